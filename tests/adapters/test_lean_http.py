"""The lean client against servers that answer in pieces, say too much, and close at every moment."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bot.adapters.lean_http.client import LeanClient
from bot.adapters.lean_http.connection import AnswerLost
from bot.adapters.lean_http.pool import Bounds, NotSent
from tests.acceptance.world import until
from tests.adapters.raw_server import Peer, RawServer, raw_server

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
BRIEF = 0.2
"""Seconds: the deadline of tests that reach it."""


def bounds(*, connections: int = 8, rest: float = 5.0, call: float = 5.0, connect: float = 5.0) -> Bounds:
    return Bounds(connections=connections, rest=rest, call=call, connect=connect, answer=100)


@asynccontextmanager
async def client(
    server: RawServer | str, limits: Bounds | None = None, tls: ssl.SSLContext | None = None, **headers: str
) -> AsyncIterator[LeanClient]:
    base_url = server if isinstance(server, str) else f"http://127.0.0.1:{server.port}"
    made = LeanClient(base_url, headers=headers, bounds=limits or bounds(), tls=tls)
    try:
        yield made
    finally:
        await made.close()


async def polite(peer: Peer) -> None:
    """Answers every request."""
    while True:
        await peer.request()
        await peer.say(OK)


# --- what is written -------------------------------------------------------------------------------------------------


async def test_the_request_is_as_http_wants_it() -> None:
    seen = []

    async def note(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.say(OK)

    async with raw_server(note) as server, client(f"http://me:a%20b@127.0.0.1:{server.port}/v5/", authkey="k") as lean:
        answer = await lean.post("/send/", b'{"a":1}')
    assert (answer.status, answer.body) == (200, b"hi")
    assert seen == [
        b"POST /v5/send/ HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nauthkey: k\r\nAuthorization: Basic bWU6YSBi\r\n"
        b'Accept-Encoding: identity\r\nContent-Length: 7\r\n\r\n{"a":1}' % server.port
    ]


async def test_ipv6_and_names_are_addresses_too() -> None:
    seen = []

    async def note(peer: Peer) -> None:
        seen.append((await peer.request()).split(b"\r\n")[1])
        await peer.say(OK)

    async with raw_server(note, host="::1") as server, client(f"http://[::1]:{server.port}") as lean:
        await lean.post("/", b"")
        assert seen == [b"Host: [::1]:%d" % server.port]
    async with raw_server(note) as server, client(f"HTTP://localhost:{server.port}/") as lean:
        assert (await lean.post("/", b"")).status == 200


@pytest.mark.parametrize("bad", ["a\r\nb", "a\nb", "a\rb", "a\0b"])
async def test_a_header_with_a_line_break_is_refused(bad: str) -> None:
    async with raw_server(polite) as server, client(server, authkey=bad) as lean:
        with pytest.raises(ValueError, match="line break"):
            await lean.post("/", b"")
    assert server.connections == 0


@pytest.mark.parametrize("base_url", ["http://", "nonsense", "ftp://a", "http://a:99999", "https://", ""])
async def test_an_address_that_is_none_is_refused(base_url: str) -> None:
    async with client(base_url) as lean:
        with pytest.raises(ValueError, match=r".+"):
            await lean.post("/", b"")


# --- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "body"),
    [
        (OK, b"hi"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"hi"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n", b"hi"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + b"x" * 200, b"x" * 100),
    ],
)
async def test_answers_of_every_kind_are_read_byte_by_byte(said: bytes, body: bytes) -> None:
    async def trickle(peer: Peer) -> None:
        await peer.request()
        await peer.bytewise(said)

    async with raw_server(trickle) as server, client(server) as lean:
        answer = await lean.post("/", b"")
    assert (answer.status, answer.body) == (200, body)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhi",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
    ],
)
async def test_what_is_no_whole_answer_is_lost(said: bytes) -> None:
    async def lie(peer: Peer) -> None:
        await peer.request()
        await peer.say(said)

    async with raw_server(lie) as server, client(server) as lean:
        with pytest.raises(AnswerLost):
            await lean.post("/", b"")


# --- connections -----------------------------------------------------------------------------------------------------


async def test_a_connection_is_kept_for_the_next_request() -> None:
    async with raw_server(polite) as server, client(server) as lean:
        for _ in range(5):
            await lean.post("/", b"x" * 1000)
        assert server.connections == 1


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + b"x" * 200,
        OK + b"more",
    ],
)
async def test_a_connection_that_may_not_be_used_again_is_closed(said: bytes) -> None:
    closed = 0

    async def once(peer: Peer) -> None:
        nonlocal closed
        await peer.request()
        await peer.say(said)
        assert await peer.until_closed() == b""
        closed += 1

    async with raw_server(once) as server, client(server, bounds(connections=1)) as lean:
        for _ in range(3):
            assert (await lean.post("/", b"")).status == 200
        await until(lambda: closed == 3, "each is closed")


async def test_a_connection_that_was_closed_meanwhile_is_not_written_to() -> None:
    async def once(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)

    async with raw_server(once) as server, client(server, bounds(connections=1)) as lean:
        for number in range(1, 4):
            assert (await lean.post("/", b"")).status == 200
            assert server.connections == number
            await until(lambda: not lean.standing, "the close was seen")


async def test_what_nobody_asked_for_closes_the_connection() -> None:
    speak = asyncio.Event()

    async def talkative(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await speak.wait()
        await peer.say(b"\r\n")
        assert await peer.until_closed() == b""

    async with raw_server(talkative) as server, client(server) as lean:
        await lean.post("/", b"")
        assert lean.standing == 1
        speak.set()
        await until(lambda: not lean.standing, "the close was seen")
        await lean.post("/", b"")
        assert server.connections == 2


async def test_a_connection_that_rested_too_long_is_closed() -> None:
    async with raw_server(polite) as server, client(server, bounds(rest=0.05)) as lean:
        await lean.post("/", b"")
        await until(lambda: not server.standing, "the connection is closed")
        await lean.post("/", b"")
        assert server.connections == 2


async def test_a_connection_that_is_used_again_and_again_does_not_rest() -> None:
    async with raw_server(polite) as server, client(server, bounds(rest=5.0, call=0.1)) as lean:
        end = asyncio.get_running_loop().time() + 0.3
        while asyncio.get_running_loop().time() < end:
            await lean.post("/", b"")
        assert server.connections == 1


async def test_a_connection_that_is_too_old_is_not_used_before_its_timer_rings() -> None:
    async with raw_server(polite) as server, client(server, bounds(rest=0.0)) as lean:
        for number in range(1, 4):
            await lean.post("/", b"")
            assert server.connections == number


async def test_a_close_while_the_request_goes_out_is_lost() -> None:
    async def shut(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()  # and no answer

    async with raw_server(shut) as server, client(server) as lean:
        await lean.post("/", b"")
        with pytest.raises(AnswerLost):
            await lean.post("/", b"")
        assert server.connections == 1


async def test_half_of_a_connection_is_none() -> None:
    async def half(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK[:-1])
        peer.writer.write_eof()
        await peer.until_closed()

    async with raw_server(half) as server, client(server) as lean:
        with pytest.raises(AnswerLost):
            await lean.post("/", b"")
        await until(lambda: not server.standing, "the connection is closed")


async def test_a_server_that_closes_before_anything_was_written_has_no_answer() -> None:
    async def rude(peer: Peer) -> None:
        return

    async with raw_server(rude) as server, client(server) as lean:
        for _ in range(10):
            with pytest.raises((NotSent, AnswerLost)):
                await lean.post("/", b"")
        assert server.connections == 10
