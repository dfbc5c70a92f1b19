"""The door: what it takes for a plain webhook, what it leaves to aiohttp, and that nothing is lost between the two."""

import asyncio
import gzip
import hmac
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import orjson
import pytest
from aiohttp import web

from bot.runtime.intake import MESSAGE_KIND
from bot.web.attempts import FAILURES_ALLOWED
from bot.web.door import CONNECTIONS, IDLE_SECONDS, PLAIN_BODY, PLAIN_HEAD, READ_SECONDS, UNREAD_LIMIT, Doors, read_head
from bot.web.guest import Guest
from bot.web.headers import make_safe
from bot.web.webhook import BODY_LIMIT, Webhook
from tests.acceptance.world import until
from tests.runtime.replica import NUMBER, PHONE, Replica, Settings, World

HEAD = b"POST /webhook/msg91 HTTP/1.1\r\nHost: x\r\n"
PING = b"GET /webhook/msg91 HTTP/1.1\r\nHost: x\r\n\r\n"


def body_of(name: str, text: str = "hello") -> bytes:
    return orjson.dumps({"from": PHONE, "text": text, "timestamp": 1795411618, "messageId": name})


def request_of(body: bytes, *fields: str, head: bytes = HEAD) -> bytes:
    lines = "".join(f"{field}\r\n" for field in (*fields, f"Content-Length: {len(body)}"))
    return head + lines.encode() + b"\r\n" + body


class Caller:
    """One connection to the door, over a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, bytes, bytes]:
        """Status, head and body of the next answer."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        return int(head[9:12]), head, await self.reader.readexactly(length)

    async def status(self) -> int:
        return (await self.answer())[0]

    def hang_up(self) -> None:
        """Tear the connection: the other side hears a reset and no end."""
        line: socket.socket = self.writer.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def closed(self) -> bool:
        return await self.reader.read() == b""


class Entrance:
    """A replica whose stores are in memory, behind doors; `handed_over` counts connections that became aiohttp's."""

    def __init__(self, replica: Replica, webhook: Webhook, stack: AsyncExitStack) -> None:
        self.replica, self.webhook = replica, webhook
        self.handed_over = 0
        self._stack = stack

    async def begin(self, idle_seconds: float, read_seconds: float, most: int) -> None:
        app = web.Application(client_max_size=BODY_LIMIT)
        app.on_response_prepare.append(make_safe)
        app.router.add_post("/webhook/msg91", self.webhook.receive)
        app.router.add_get("/webhook/msg91", self.webhook.ping)
        runner = web.AppRunner(app)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        self.doors = Doors(
            self.webhook, self._counted(runner), idle_seconds=idle_seconds, read_seconds=read_seconds, most=most
        )
        self._stack.push_async_callback(self.doors.close, 1.0)
        self.server = await asyncio.get_running_loop().create_server(self.doors, "127.0.0.1", 0)
        self._stack.callback(self.server.close)

    def _counted(self, runner: web.AppRunner) -> Callable[[], Guest]:
        def make() -> Guest:
            assert runner.server is not None
            self.handed_over += 1
            return Guest(runner.server, lingering_seconds=0.2)

        return make

    async def call(self) -> Caller:
        port = self.server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        self._stack.callback(writer.close)
        return Caller(reader, writer)

    @property
    def journalled(self) -> int:
        """Messages of customers in the journal; timers that fire are there, too."""
        return sum(row.kind == MESSAGE_KIND for row in self.replica.world.tables.journal.values())


@asynccontextmanager
async def entrance(
    *,
    secret: str = "",
    limit: int = 100,
    idle_seconds: float = IDLE_SECONDS,
    read_seconds: float = READ_SECONDS,
    most: int = CONNECTIONS,
    world: World | None = None,
) -> AsyncIterator[Entrance]:
    async with AsyncExitStack() as stack:
        replica = await Replica(world or World(), "r1", Settings(intake=limit)).begin(sweeping=False)
        webhook = Webhook(intake=replica.intake, secret=secret, numbers=(NUMBER,), read_seconds=read_seconds)
        made = Entrance(replica, webhook, stack)
        await made.begin(idle_seconds, read_seconds, most)
        yield made


async def test_plain_webhooks_of_a_connection_are_answered_at_the_door() -> None:
    async with entrance() as here:
        caller = await here.call()
        for number in range(3):
            caller.send(request_of(body_of(f"m{number}"), "Content-Type: application/json"))
            status, head, body = await caller.answer()
            assert (status, orjson.loads(body)["accepted"]) == (200, 1)
            assert b"Content-Type: application/json\r\n" in head
            assert b"GMT\r\n" in head
        assert (here.journalled, here.handed_over) == (3, 0)


async def test_a_body_may_come_in_pieces() -> None:
    async with entrance() as here:
        caller = await here.call()
        whole = request_of(body_of("pieces"))
        start = whole.index(b"\r\n\r\n") + 4
        for piece in (whole[:start], whole[start : start + 7], whole[start + 7 :]):
            assert not here.journalled
            caller.send(piece)
            await caller.writer.drain()
            await asyncio.sleep(0)
        assert await caller.status() == 200
        assert here.handed_over == 0


async def test_webhooks_sent_ahead_are_answered_in_their_order() -> None:
    async with entrance() as here:
        caller = await here.call()
        caller.send(request_of(body_of("one")) + request_of(b"no json") + request_of(body_of("one")) + PING)
        answers = [await caller.answer() for _ in range(4)]
        assert [status for status, _, _ in answers] == [200, 400, 200, 200]
        assert orjson.loads(answers[2][2])["duplicates"] == 1
        assert answers[3][2] == b"ok"
        assert here.handed_over == 1


UNUSUAL = {
    "a dashboard's ping": PING,
    "a path that begins like the webhook's": request_of(b"{}", head=b"POST /webhook/msg91x HTTP/1.1\r\nHost: x\r\n"),
    "HTTP/1.0": request_of(b"{}", head=b"POST /webhook/msg91 HTTP/1.0\r\nHost: x\r\n"),
    "chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks and a length": request_of(b"{}", "Transfer-Encoding: chunked"),
    "two lengths": request_of(b"{}", "Content-Length: 1"),
    "a field twice": request_of(b"{}", "X-Hub-Signature-256: a", "X-Hub-Signature-256: b"),
    "no length": HEAD + b"\r\n",
    "a length that is no number": HEAD + b"Content-Length: +2\r\n\r\n{}",
    "a long body": request_of(b" " * (PLAIN_BODY + 1)),
    "a long head": request_of(b"{}", "X-Long: " + "a" * PLAIN_HEAD),
    "a body that is packed": request_of(gzip.compress(b"{}"), "Content-Encoding: gzip"),
    "a wish to be asked for the body": request_of(b"{}", "Expect: 100-continue"),
    "the last request of its connection": request_of(b"{}", "Connection: close"),
    "another protocol": request_of(b"{}", "Connection: upgrade", "Upgrade: h2c"),
    "a folded field": request_of(b"{}", "X-Long: a\r\n b"),
    "a blank before the colon": request_of(b"{}", "X-Webhook-Secret : a"),
    "a bare line feed": request_of(b"{}", "X-One: a\nContent-Length: 9"),
    "a zero byte": request_of(b"{}", "X-One: a\0"),
    "half a head": HEAD + b"Content-Le",
    "nothing that is HTTP": b"\x16\x03\x01\x02\x00",
}


@pytest.mark.parametrize("what", UNUSUAL)
def test_what_is_not_plain_is_left_to_aiohttp(what: str) -> None:
    assert read_head(UNUSUAL[what]) is None


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ("connection:  Keep-Alive ", "CONTENT-TYPE:application/json", "X-Forwarded-For: 1.2.3.4, 5.6.7.8"),
        ("Connection: ", "X-Empty:", "X-Name: J\xfcrgen"),
    ],
)
def test_a_plain_head_is_taken_apart(fields: tuple[str, ...]) -> None:
    request = request_of(b"{}", *fields)
    plain = read_head(request + b"more")
    assert plain is not None
    assert request[plain.start : plain.end] == b"{}"
    assert len(plain.fields) == len(fields) + 2
    assert all(not value.startswith(b" ") and not value.endswith(b" ") for value in plain.fields.values())


@pytest.mark.parametrize(
    "request_", [request_of(body_of("a", "x" * PLAIN_BODY)), HEAD + b"Transfer-Encoding: chunked\r\n\r\n"]
)
async def test_aiohttp_takes_over_with_every_byte(request_: bytes) -> None:
    async with entrance() as here:
        caller = await here.call()
        caller.send(request_of(body_of("first")))
        assert await caller.status() == 200
        body = body_of("chunked")
        rest = b"" if b"chunked" not in request_ else b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        caller.send(request_ + rest + request_of(body_of("last")))
        assert [await caller.status(), await caller.status()] == [200, 200]
        assert (here.journalled, here.handed_over) == (3, 1)


async def test_a_head_that_comes_in_pieces_is_aiohttps_from_its_first_byte() -> None:
    async with entrance() as here:
        caller = await here.call()
        whole = request_of(body_of("slow"))
        caller.send(whole[:20])
        await until(lambda: here.handed_over == 1, "the connection is handed over")
        caller.send(whole[20:])
        assert await caller.status() == 200


async def test_a_connection_is_handed_over_once() -> None:
    """More arrives after an answer and before the door had looked again at what came during it."""
    async with entrance() as here:
        caller = await here.call()
        await until(lambda: len(here.doors) == 1, "it is in")
        (door,) = here.doors._open
        door.data_received(request_of(b"no json") + PING[:20])
        door.data_received(PING[20:])
        assert [await caller.status(), (await caller.answer())[2]] == [400, b"ok"]
        caller.send(request_of(body_of("next")))
        assert await caller.status() == 200
        assert (here.handed_over, here.journalled) == (1, 1)


async def test_every_signature_must_be_right_though_the_same_field_comes_twice() -> None:
    async with entrance(secret="right") as here:
        body = body_of("forged")
        good = hmac.digest(b"right", body, "sha256").hex()
        caller = await here.call()
        for fields, status in (((good, "00"), 401), (("00", good), 401), ((good, good), 401), ((good,), 200)):
            caller.send(request_of(body, *(f"X-Hub-Signature-256: {one}" for one in fields)))
            assert await caller.status() == status, fields


async def test_a_body_beyond_the_limit_is_refused() -> None:
    async with entrance() as here:
        caller = await here.call()
        caller.send(request_of(b" " * (BODY_LIMIT + 1)))
        assert await caller.status() == 413


async def test_a_failure_nobody_thought_of_is_refused_with_a_time_to_come_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr("bot.runtime.intake.dedup_key")
    async with entrance() as here:
        caller = await here.call()
        caller.send(request_of(body_of("unlucky")))
        status, head, _ = await caller.answer()
        assert status == 503
        assert b"Retry-After: " in head
    assert "could not be made durable" in caplog.text


async def test_the_secret_may_stand_in_the_address() -> None:
    async with entrance(secret="a b&c") as here:
        caller = await here.call()
        for query, status in (("token=a+b%26c", 200), ("x=1&token=a%20b%26c", 200), ("token=a", 401), ("", 401)):
            head = HEAD.replace(b" HTTP", f"?{query} HTTP".encode())
            caller.send(request_of(body_of(query), head=head))
            assert await caller.status() == status, query
        assert here.handed_over == 0


async def test_who_guesses_is_counted_by_address() -> None:
    async with entrance(secret="right") as here:
        caller = await here.call()
        answers = []
        for _ in range(FAILURES_ALLOWED + 1):
            caller.send(request_of(b"{}", "X-Webhook-Secret: wrong"))
            answers.append(await caller.answer())
        assert [status for status, _, _ in answers] == [401] * FAILURES_ALLOWED + [429]
        assert b"Retry-After: " in answers[-1][1]


async def test_closing_waits_for_the_answer_under_way_and_for_nobody_else() -> None:
    async with entrance() as here:
        hold = here.replica.database.hold("journal.append")
        busy, idle = await here.call(), await here.call()
        busy.send(request_of(body_of("under way")))
        await until(lambda: hold.reached, "the webhook is being made durable")
        closing = asyncio.ensure_future(here.doors.close(5.0))
        assert await idle.closed()
        assert not closing.done()
        hold.release()
        assert await busy.status() == 200
        assert await busy.closed()
        await closing
        assert len(here.doors) == 0


async def test_closing_does_not_wait_for_ever() -> None:
    async with entrance() as here:
        hold = here.replica.database.hold("journal.append")
        caller = await here.call()
        caller.send(request_of(body_of("held")))
        await until(lambda: hold.reached, "the webhook is being made durable")
        await here.doors.close(0.0)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await caller.answer()
        hold.release()
        await until(lambda: here.journalled == 1, "the webhook is durable all the same")


async def test_a_connection_on_which_nothing_comes_is_closed() -> None:
    async with entrance(idle_seconds=0.05) as here:
        assert await (await here.call()).closed()


async def test_who_goes_away_before_the_answer_is_not_missed() -> None:
    async with entrance() as here:
        hold = here.replica.database.hold("journal.append")
        caller = await here.call()
        caller.send(request_of(body_of("gone")))
        await until(lambda: hold.reached, "the webhook is being made durable")
        caller.hang_up()
        await until(lambda: len(here.doors) == 0, "the connection is lost")
        hold.release()
        await until(lambda: here.journalled == 1, "the webhook is durable all the same")


async def test_a_connection_is_not_read_while_too_much_waits_on_it() -> None:
    """What is sent ahead lies in the sockets' buffers then, and the sender is held up."""
    async with entrance(limit=10**6) as here:
        hold = here.replica.database.hold("journal.append")
        caller = await here.call()
        caller.send(request_of(body_of("first")))
        await until(lambda: hold.reached, "the first webhook is being made durable")
        caller.send(request_of(b" " * PLAIN_BODY) * 300)
        held_up = asyncio.ensure_future(caller.writer.drain())
        done, _ = await asyncio.wait([held_up], timeout=0.3)
        assert not done
        hold.release()
        assert [await caller.status() for _ in range(301)] == [200] + [400] * 300
        await held_up


class SlowPeer(asyncio.Transport):
    """A transport whose other side does not read."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.written.append(b"paused")

    def resume_reading(self) -> None: ...


async def test_nothing_is_taken_from_who_does_not_read_the_answers() -> None:
    async with entrance(secret="right") as here:
        door, peer = here.doors(), SlowPeer()
        door.connection_made(peer)
        door.pause_writing()
        door.data_received(request_of(b"{}"))
        door.data_received(b" " * UNREAD_LIMIT)
        assert peer.written == [b"paused"]
        door.resume_writing()
        assert peer.written[1].startswith(b"HTTP/1.1 401 Unauthorized\r\n")
        door.connection_lost(None)
