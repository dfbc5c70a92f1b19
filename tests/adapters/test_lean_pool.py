"""The lean client's time and places: deadlines, cancellation, many calls over few connections, who is there."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import pytest
import trustme
from aiohttp.test_utils import unused_port

from bot.adapters.lean_http.connection import AnswerLost, Connection
from bot.adapters.lean_http.pool import Host, NotSent, Pool
from tests.acceptance.world import until
from tests.adapters.raw_server import Peer, raw_server
from tests.adapters.test_lean_http import BRIEF, OK, bounds, client, polite


async def silent(peer: Peer) -> None:
    """Reads, and says nothing."""
    await peer.until_closed()


@contextmanager
def full_port() -> Iterator[int]:
    """A port on which connecting hangs: its line of connections that wait to be accepted is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        try:
            yield address[1]
        finally:
            for one in waiting:
                one.close()


@dataclass
class Line:
    """A pool of one connection, which is taken."""

    pool: Pool
    host: Host
    taken: Connection
    now: Callable[[], float]

    async def wait(self) -> asyncio.Task[Connection]:
        """Somebody who stands in line."""
        task = asyncio.ensure_future(self.pool.obtain(self.host, self.now() + 60))
        await asyncio.sleep(0)
        return task


@asynccontextmanager
async def alone() -> AsyncIterator[Line]:
    async with raw_server(polite) as server:
        pool = Pool(bounds(connections=1))
        host = Host(address="127.0.0.1", port=server.port, name="", tls=None)
        now = asyncio.get_running_loop().time
        yield Line(pool, host, await pool.obtain(host, now() + 60), now)
        await pool.close()


# --- time ------------------------------------------------------------------------------------------------------------


async def test_a_slow_answer_is_lost_at_the_deadline() -> None:
    async with raw_server(silent) as server, client(server, bounds(call=BRIEF)) as lean:
        began = asyncio.get_running_loop().time()
        with pytest.raises(AnswerLost) as lost:
            await lean.post("/", b"")
        assert isinstance(lost.value.__cause__, TimeoutError)
        assert asyncio.get_running_loop().time() - began >= BRIEF - 0.01
        await until(lambda: not server.standing, "the connection is closed")


async def test_a_call_over_a_kept_connection_has_its_whole_time() -> None:
    async def slower_and_slower(peer: Peer) -> None:
        for pause in (0.0, BRIEF / 2, BRIEF * 0.75):
            await peer.request()
            await asyncio.sleep(pause)
            await peer.say(OK)
        await peer.until_closed()

    async with raw_server(slower_and_slower) as server, client(server, bounds(call=BRIEF, rest=60)) as lean:
        for _ in range(3):
            assert (await lean.post("/", b"")).status == 200
        with pytest.raises(AnswerLost):
            await lean.post("/", b"")
        assert server.connections == 1


async def test_connecting_that_hangs_is_not_sent() -> None:
    with full_port() as port:
        async with client(f"http://127.0.0.1:{port}", bounds(call=60, connect=BRIEF)) as lean:
            for _ in range(2):
                with pytest.raises(NotSent) as failed:
                    await lean.post("/", b"")
                assert isinstance(failed.value.__cause__, TimeoutError)


async def test_the_deadline_of_a_call_covers_connecting() -> None:
    with full_port() as port:
        async with client(f"http://127.0.0.1:{port}", bounds(call=BRIEF, connect=60)) as lean:
            with pytest.raises(NotSent):
                await lean.post("/", b"")


async def test_waiting_in_line_to_the_deadline_is_not_sent() -> None:
    async with alone() as line:
        with pytest.raises(NotSent) as failed:
            await line.pool.obtain(line.host, line.now() + BRIEF)
        assert isinstance(failed.value.__cause__, TimeoutError)
        line.pool.release(line.taken)
        assert line.pool.rested(line.now()) is line.taken


# --- places ----------------------------------------------------------------------------------------------------------


async def test_many_calls_share_few_connections_in_the_order_in_which_they_came() -> None:
    bodies: list[bytes] = []

    async def note(peer: Peer) -> None:
        while True:
            bodies.append((await peer.request())[-2:])
            await peer.say(OK)

    async with raw_server(note) as server, client(server, bounds(connections=8)) as lean:
        answered: list[int] = []

        async def call(number: int) -> None:
            await lean.post("/", b"%02d" % number)
            answered.append(number)

        await asyncio.gather(*(call(number) for number in range(64)))
        assert (server.connections, server.most, len(answered)) == (8, 8, 64)
    places = [bodies.index(b"%02d" % number) for number in range(64)]
    assert all(abs(place - number) < 16 for number, place in enumerate(places))


async def test_calls_in_line_go_one_by_one_in_order() -> None:
    bodies: list[bytes] = []

    async def note(peer: Peer) -> None:
        while True:
            bodies.append((await peer.request())[-2:])
            await peer.say(OK)

    async with raw_server(note) as server, client(server, bounds(connections=1)) as lean:
        await asyncio.gather(*(lean.post("/", b"%02d" % number) for number in range(30)))
        assert server.connections == 1
    assert bodies == sorted(bodies)


async def test_those_in_line_get_a_connection_of_their_own_when_one_fails() -> None:
    async def once(peer: Peer) -> None:
        await peer.request()
        if peer.number % 2:
            await peer.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    async with raw_server(once) as server, client(server, bounds(connections=2)) as lean:
        results = await asyncio.gather(*(lean.post("/", b"") for _ in range(20)), return_exceptions=True)
        assert sum(isinstance(one, AnswerLost) for one in results) == 10
        assert (server.connections, server.most <= 2) == (20, True)


async def test_a_cancelled_call_closes_its_connection_and_frees_its_place() -> None:
    async def first_silent(peer: Peer) -> None:
        await (silent(peer) if peer.number == 0 else polite(peer))

    async with raw_server(first_silent) as server, client(server, bounds(connections=1)) as lean:
        call = asyncio.ensure_future(lean.post("/", b""))
        await until(lambda: server.standing, "a connection stands")
        behind = asyncio.ensure_future(lean.post("/", b""))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await behind).status == 200
        assert (server.connections, lean.standing) == (2, 1)


async def test_a_call_that_is_cancelled_in_line_takes_no_place_with_it() -> None:
    async with raw_server(polite) as server, client(server, bounds(connections=1)) as lean:
        calls = [asyncio.ensure_future(lean.post("/", b"")) for _ in range(5)]
        await asyncio.sleep(0)
        for call in calls[1:4]:
            call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [isinstance(one, asyncio.CancelledError) for one in results] == [False, True, True, True, False]
        assert (await lean.post("/", b"")).status == 200


async def test_who_is_cancelled_when_their_turn_comes_passes_it_on() -> None:
    async with alone() as line:
        waiting = await line.wait()
        line.pool.release(line.taken)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert line.pool.rested(line.now()) is line.taken


async def test_a_turn_does_not_go_to_who_was_cancelled_just_now() -> None:
    async with alone() as line:
        first, second = await line.wait(), await line.wait()
        first.cancel()
        line.pool.release(line.taken)
        assert await second is line.taken
        assert first.cancelled()


async def test_a_connection_that_is_cut_when_it_changes_hands_is_replaced() -> None:
    async with alone() as line:
        waiting = await line.wait()
        line.pool.release(line.taken)
        line.taken.abort()
        assert await waiting is not line.taken
        assert line.pool.standing == 1


async def test_closing_passes_over_who_was_cancelled_just_now() -> None:
    async with alone() as line:
        first, second = await line.wait(), await line.wait()
        first.cancel()
        await line.pool.close()
        results = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(one) for one in results] == [asyncio.CancelledError, NotSent]


async def test_an_answer_that_nobody_waits_for_any_more_is_dropped() -> None:
    async with alone() as line:
        call = line.taken.ask(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", until=line.now() + 60)
        call.cancel()
        assert not line.taken.fit(line.now())
        await until(lambda: line.taken.fit(line.now()), "the answer is there")


async def test_connecting_that_is_cancelled_frees_its_place() -> None:
    with full_port() as port:
        async with client(f"http://127.0.0.1:{port}", bounds(connections=1, connect=BRIEF)) as lean:
            call = asyncio.ensure_future(lean.post("/", b""))
            await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            with pytest.raises(NotSent) as failed:
                await lean.post("/", b"")
            assert isinstance(failed.value.__cause__, TimeoutError)


async def test_closing_ends_everything() -> None:
    async with raw_server(silent) as server, client(server, bounds(connections=1)) as lean:
        calls = [asyncio.ensure_future(lean.post("/", b"")) for _ in range(2)]
        await until(lambda: server.standing, "a connection stands")
        await lean.close()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(one) for one in results] == [AnswerLost, NotSent]
        with pytest.raises(NotSent):
            await lean.post("/", b"")
        assert lean.standing == 0
        await until(lambda: not server.standing, "the connection is closed")


async def test_closing_while_connecting_leaves_nothing_open() -> None:
    async with raw_server(silent) as server, client(server) as lean:
        call = asyncio.ensure_future(lean.post("/", b""))
        await asyncio.sleep(0)
        await lean.close()
        with pytest.raises(NotSent):
            await call
        await until(lambda: not server.standing, "the connection is closed")
        assert lean.standing == 0


# --- who is there ----------------------------------------------------------------------------------------------------


async def test_nobody_there_is_not_sent() -> None:
    for address in (f"http://127.0.0.1:{unused_port()}", "http://a..b", f"http://{'a' * 70}.example"):
        async with client(address) as lean:
            with pytest.raises(NotSent):
                await lean.post("/", b"")


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def proving(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


async def test_a_server_that_proves_who_it_is_is_talked_to() -> None:
    ours = trustme.CA()
    async with (
        raw_server(polite, tls=proving(ours, "localhost")) as server,
        client(f"https://localhost:{server.port}", tls=trusting(ours)) as lean,
    ):
        for _ in range(3):
            assert (await lean.post("/", b"x" * 50_000)).body == b"hi"
        assert server.connections == 1


async def test_a_server_that_does_not_prove_who_it_is_hears_nothing() -> None:
    ours, other = trustme.CA(), trustme.CA()
    heard = []

    async def listen(peer: Peer) -> None:
        heard.append(await peer.until_closed())

    for certificate, tls in (
        (proving(ours, "elsewhere.example"), trusting(ours)),
        (proving(other, "localhost"), trusting(ours)),
        (proving(ours, "localhost"), None),
    ):
        async with (
            raw_server(listen, tls=certificate) as server,
            client(f"https://localhost:{server.port}", tls=tls) as lean,
        ):
            with pytest.raises(NotSent) as failed:
                await lean.post("/", b"secret")
            assert isinstance(failed.value.__cause__, ssl.SSLCertVerificationError)
    assert b"".join(heard) == b""


async def test_a_server_without_tls_and_one_that_hangs_in_it_are_not_sent_to() -> None:
    async def plain(peer: Peer) -> None:
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with raw_server(plain) as server, client(f"https://localhost:{server.port}") as lean:
        with pytest.raises(NotSent):
            await lean.post("/", b"")
    async with (
        raw_server(silent) as server,
        client(f"https://localhost:{server.port}", bounds(connect=BRIEF)) as lean,
    ):
        with pytest.raises(NotSent):
            await lean.post("/", b"")
        await until(lambda: not server.standing, "the connection is closed")
