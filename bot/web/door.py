"""The door: plain webhooks are read and answered here, every other request by aiohttp.

Nearly all that comes in is webhooks, and most of what aiohttp does for one (a task, a request, a route, a response) is
of no use to it. So each connection begins here. At the first request that is no plain webhook it becomes aiohttp's, for
good, with every byte that was not answered yet.

Plain is what the grammar below says to the letter (RFC 9112): the head whole and at once, one `Content-Length`, nothing
that changes how the body is read. Whatever is unusual is left to aiohttp and not judged here, so the two never differ
about where a request ends.

Nobody may keep us waiting without end: not for the rest of a request, not for reading an answer. All connections are
looked at now and then, which costs nothing for each message. Of more connections than there may be, those go that have
kept us waiting longest.
"""

import asyncio
import heapq
import http
import re
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Final

import msgspec
from yarl import URL

from bot import metrics
from bot.web.guest import LATE_ANSWER, Guest
from bot.web.webhook import Answer, Asked, Webhook

PLAIN_BODY: Final = 64 * 1024
"""Bytes; a longer body is gathered by aiohttp."""
PLAIN_HEAD: Final = 8 * 1024
"""Bytes; a longer head is judged by aiohttp, which bounds its lines and their number."""
UNREAD_LIMIT: Final = 2 * PLAIN_BODY
"""Bytes that may lie here while an answer is under way; with more, the connection is not read for now."""
IDLE_SECONDS: Final = 3600.0
"""A connection on which nothing comes for so long is closed; longer than proxies keep theirs."""
READ_SECONDS: Final = 30.0
"""A request may take so long to arrive, and an answer to be read."""
CONNECTIONS: Final = 4096
"""Connections that may be open at once."""
LOOKS: Final = 10
"""How often in `READ_SECONDS` the connections are looked at."""
ROOM: Final = 16
"""When there are too many connections, so many-th part of them goes at once: looking for whom costs a look at all."""

_HEAD: Final = re.compile(
    rb"POST /webhook/msg91(?:\?([!-~]*))? HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)+)\r\n"
)
_FIELD: Final = re.compile(rb"([^:]+):([^\r]*)\r\n")
_LENGTH: Final = re.compile(rb"[0-9]{1,5}")
_UNUSUAL: Final = frozenset({b"transfer-encoding", b"content-encoding", b"expect", b"upgrade"})
_SAME_FIELDS: Final = (
    b"Content-Type: application/json\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
)
_STATUS_LINES: Final = {one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in http.HTTPStatus}


class Plain(msgspec.Struct, frozen=True):
    """The head of a plain webhook: its query, its fields by lower-case name, where its body begins and ends."""

    query: bytes
    fields: dict[bytes, bytes]
    start: int
    end: int


def read_head(unread: bytes) -> Plain | None:
    """The plain webhook that `unread` begins with, its body perhaps still on the way; None for anything else."""
    head = _HEAD.match(unread, 0, PLAIN_HEAD)
    if head is None:
        return None
    query, block = head.groups(b"")
    lines = _FIELD.findall(block)
    fields = {name.lower(): value.strip(b" \t") for name, value in lines}
    length = fields.get(b"content-length", b"")
    if len(fields) < len(lines) or not _UNUSUAL.isdisjoint(fields) or not _LENGTH.fullmatch(length):
        return None
    if int(length) > PLAIN_BODY or fields.get(b"connection", b"keep-alive").lower() not in {b"keep-alive", b""}:
        return None
    return Plain(query, fields, head.end(), head.end() + int(length))


class Doors:
    """Makes the door of each connection and knows all that are open. `others` makes aiohttp's part of a connection."""

    def __init__(
        self,
        webhook: Webhook,
        others: Callable[[], Guest],
        *,
        idle_seconds: float = IDLE_SECONDS,
        read_seconds: float = READ_SECONDS,
        most: int = CONNECTIONS,
    ) -> None:
        self._webhook = webhook
        self._others = others
        self._idle_seconds = idle_seconds
        self._read_seconds = read_seconds
        self._most = most
        self._open: set[Door | Guest] = set()
        self._loop = asyncio.get_running_loop()
        self._look_around()

    def __len__(self) -> int:
        return len(self._open)

    def __call__(self) -> "Door":
        return Door(self._webhook, self)

    def enter(self, door: "Door") -> None:
        """Count a new connection in, and make room for it."""
        if len(self._open) >= self._most and not self._make_room():
            metrics.connections_closed_total.labels("crowded").inc()
            door.abort()
            return
        self._open.add(door)

    def leave(self, one: "Door | Guest") -> None:
        """Count a connection out."""
        self._open.discard(one)

    def guest(self, door: "Door") -> Guest:
        """Aiohttp's part of the connection that was `door`'s."""
        guest = self._others()
        guest.gone = self.leave
        self._open.discard(door)
        self._open.add(guest)
        return guest

    async def close(self, seconds: float) -> None:
        """Close every door's connection once it has its answer, and after so many seconds in any case."""
        self._look.cancel()
        doors = [one for one in self._open if isinstance(one, Door)]
        for door in doors:
            door.close()
        if doors:
            await asyncio.wait([door.closed for door in doors], timeout=seconds)
        for door in doors:
            door.abort()

    def _look_around(self) -> None:
        self._look = self._loop.call_later(min(self._read_seconds, self._idle_seconds) / LOOKS, self._look_around)
        metrics.connections.set(len(self._open))
        now = self._loop.time()
        for one in list(self._open):
            reason = self._reason(one, now)
            if reason and one.leaving:
                one.abort()
            elif reason:
                metrics.connections_closed_total.labels(reason).inc()
                one.turn_out()

    def _reason(self, one: "Door | Guest", now: float) -> str:
        """Why a connection has to go, empty when it may stay. Who has been told and is still here goes anyhow."""
        late = now - self._read_seconds
        if one.clogged_since is not None and one.clogged_since < late:
            return "unread"
        if one.busy:
            return ""
        if one.waiting_since is not None and one.waiting_since < late:
            return "slow"
        return "idle" if one.leaving or one.heard_at < now - self._idle_seconds else ""

    def _make_room(self) -> bool:
        """Close what has kept us waiting longest; False when every connection has an answer under way."""
        waiting = [one for one in self._open if not one.busy]
        for one in heapq.nsmallest(max(1, self._most // ROOM), waiting, key=_since):
            metrics.connections_closed_total.labels("crowded").inc()
            self._open.discard(one)
            one.abort()
        return bool(waiting)


def _since(one: "Door | Guest") -> float:
    return one.heard_at if one.waiting_since is None else one.waiting_since


class Door(asyncio.Protocol):
    """One connection. Requests are answered one at a time; what comes meanwhile waits its turn."""

    def __init__(self, webhook: Webhook, doors: Doors) -> None:
        self._webhook = webhook
        self._doors = doors
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._unread = b""
        self._head: Plain | None = None
        self.busy = False
        """An answer is under way."""
        self.leaving = False
        """It is closed when the answer under way is written, or was closed and has something left to write."""
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self.heard_at = self._loop.time()
        self.waiting_since: float | None = self.heard_at
        """Since when a request is incomplete, or the first one awaited; None while none is."""
        self.clogged_since: float | None = None
        """Since when the other side does not read its answers; None while it does."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._doors.enter(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._doors.leave(self)
        self.closed.set_result(None)

    def eof_received(self) -> bool:
        """Nothing more comes. Who has asked hears the answer all the same."""
        self.leaving = True
        return self.busy

    def pause_writing(self) -> None:
        self.clogged_since = self._loop.time()

    def resume_writing(self) -> None:
        self.clogged_since = None
        self._go_on()

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        self._unread = self._unread + data if self._unread else data
        if not self.busy and self.clogged_since is None:
            self._next()
        elif len(self._unread) > UNREAD_LIMIT and self._transport is not None:
            self._transport.pause_reading()

    def close(self) -> None:
        """Close the connection now, or when the answer under way is written."""
        self.leaving = True
        if not self.busy and self._transport is not None:
            self._transport.close()

    def turn_out(self) -> None:
        """Close the connection now; who sent a part of a request hears why."""
        if self._unread and not self.busy and self._transport is not None:
            self._transport.write(LATE_ANSWER)
        self.close()

    def abort(self) -> None:
        """Close the connection, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def _next(self) -> None:
        """Take the next request in, if it is all there."""
        head = self._head or read_head(self._unread)
        if head is None:
            self._hand_over()
            return
        if len(self._unread) < head.end:
            self._head = head
            self.waiting_since = self.waiting_since or self.heard_at
            return
        body, self._unread, self._head = self._unread[head.start : head.end], self._unread[head.end :], None
        token = URL(f"?{head.query.decode()}", encoded=True).query.get("token") if head.query else None
        self.busy = True
        self.waiting_since = None
        self._webhook.take(Asked(body=body, fields=head.fields, token=token, address=self._address), self._answer)

    def _answer(self, answer: Answer) -> None:
        self.busy = False
        if self._transport is None:
            return
        self._transport.write(_written(answer))
        if self.leaving:
            self._transport.close()
        elif self._unread:
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        """After an answer: what came meanwhile."""
        if self._transport is None or self._transport.is_closing() or self.busy or self.clogged_since:
            return
        self._transport.resume_reading()
        if self._unread:
            self._next()

    def _hand_over(self) -> None:
        """This connection is aiohttp's from here on. Whatever was put off here finds nothing left to do."""
        transport, self._transport = self._transport, None
        unread, self._unread = self._unread, b""
        if transport is not None:
            guest = self._doors.guest(self)
            transport.set_protocol(guest)
            guest.connection_made(transport)
            guest.data_received(unread)

    def _address(self) -> str:
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return str(peer[0]) if peer else ""


class _Clock:
    """The `Date` of answers, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def line(self) -> bytes:
        now = int(time.time())
        if now != self._second:
            self._second, self._line = now, f"Date: {formatdate(now, usegmt=True)}\r\n".encode()
        return self._line


_date: Final = _Clock()


def _written(answer: Answer) -> bytes:
    retry = f"Retry-After: {answer.retry_after}\r\n".encode() if answer.retry_after else b""
    return b"%s%sContent-Length: %d\r\n%s%s\r\n%s" % (
        _STATUS_LINES[answer.status],
        _SAME_FIELDS,
        len(answer.body),
        _date.line(),
        retry,
        answer.body,
    )
