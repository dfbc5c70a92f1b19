"""A connection that aiohttp serves, with what aiohttp leaves out: how long it may keep us waiting, and what it is told.

aiohttp waits for ever for the rest of a head, and for ever for somebody to read an answer. A guest says since when
either lasts; the doors look at it now and then and turn it out. What is no HTTP gets the error shape of every other
answer and one quiet line in the log, because anybody on the internet may send it.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import orjson
from aiohttp import StreamReader, web
from aiohttp.http_exceptions import LineTooLong

from bot.web.headers import SAFE_HEADERS

LINGERING_SECONDS: Final = 5.0
"""Seconds for which the rest of a body is read that nobody wanted, so that its sender hears the answer."""
TOO_LATE: Final = orjson.dumps({"error": {"code": "timeout", "message": "The request took too long to arrive."}})
GONE: Final = (ConnectionError, web.RequestPayloadError)
"""What reading a body raises when the rest of it never comes, or is not what its head says."""
LATE_ANSWER: Final = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n"
    b"Cache-Control: no-store\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(TOO_LATE), TOO_LATE)
)


class Guest(web.RequestHandler):
    """One connection. Its requests are answered one at a time, by aiohttp's application."""

    __slots__ = ("_body", "_line", "clogged_since", "gone", "heard_at", "leaving", "waiting_since")

    def __init__(self, server: web.Server, *, lingering_seconds: float = LINGERING_SECONDS) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(server, loop=loop, access_log=None, lingering_time=lingering_seconds)  # type: ignore[arg-type]
        self.heard_at = loop.time()
        self.waiting_since: float | None = self.heard_at
        """Since when the head of a request is incomplete; None while none is."""
        self.clogged_since: float | None = None
        """Since when the other side does not read what it is told."""
        self.leaving = False
        """It was told to go, and may have something left to write."""
        self.gone: Callable[[Guest], None] = lambda _: None
        """Hears that the connection is no more."""
        self._line: asyncio.Transport | None = None
        self._body: StreamReader | None = None
        """Of the newest request."""

    @property
    def busy(self) -> bool:
        """Whether a request is being read or answered: aiohttp does not wait for the next one."""
        return self._waiter is None or bool(self._messages)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._line = self.transport

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._line = None
        self.gone(self)

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        if self.waiting_since is None and self._has_whole_body():
            self.waiting_since = self.heard_at
        super().data_received(data)
        if self._messages:
            self.waiting_since = None
            self._body = self._messages[-1][1]

    def eof_received(self) -> bool:  # type: ignore[override]
        """Nothing more comes. Who has asked hears the answer all the same."""
        if not self.busy or not self._has_whole_body():
            return False
        self.close()
        return True

    def pause_writing(self) -> None:
        super().pause_writing()
        self.clogged_since = self._loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.clogged_since = None

    def turn_out(self) -> None:
        """Close the connection of who is late, with a word about it where no answer is under way."""
        self.leaving = True
        if self.transport is not None and self.waiting_since is not None and not self.busy:
            self.transport.write(LATE_ANSWER)
        self.force_close()

    def abort(self) -> None:
        """Close the connection, whatever is under way."""
        if self._line is not None:
            self._line.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it may quote the request
    ) -> web.StreamResponse:
        """What is no HTTP: 400 or 431. A handler that raised: 500, and the traceback in the log."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun; another cannot follow")
        if status != 400 and not isinstance(exc, GONE):
            self.log_exception("a request could not be answered", exc_info=exc)
            return _error(500, "internal", "Something went wrong here. It was logged.")
        if isinstance(exc, LineTooLong):
            return _error(431, "headers_too_large", "The request line or a header is too long.")
        return _error(400, "bad_request", "This is not a request of HTTP/1.1.")

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Only of what is our fault: anybody may send half a body."""
        if not isinstance(kw.get("exc_info"), GONE):
            super().log_exception(*args, **kw)

    def _has_whole_body(self) -> bool:
        """Whether what comes now begins another request."""
        return self._body is None or self._body.is_eof()


def _error(status: int, code: str, message: str) -> web.Response:
    body = orjson.dumps({"error": {"code": code, "message": message}})
    answer = web.Response(body=body, status=status, content_type="application/json", headers=SAFE_HEADERS)
    answer.force_close()
    return answer
