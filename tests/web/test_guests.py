"""Who keeps the service waiting: slow, silent, half-closed and deaf callers, too many of them, and what is no HTTP."""

import asyncio
import gzip
import logging
from pathlib import Path

import orjson
import pytest

from bot import metrics
from tests.acceptance.world import until
from tests.web.test_door import HEAD, PING, Caller, SlowPeer, body_of, entrance, request_of

SHORT = 0.15
"""Seconds in place of the half a minute that callers have."""
CHUNKS = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def closed_because(reason: str) -> float:
    return float(metrics.connections_closed_total.labels(reason)._value.get())


async def drip(caller: Caller, data: bytes) -> None:
    """A byte now and then, for as long as somebody listens."""
    for place in range(len(data)):
        if caller.writer.is_closing():
            return
        caller.send(data[place : place + 1])
        await asyncio.sleep(SHORT / 20)


SLOW: dict[str, tuple[bytes, bytes]] = {
    "a head": (b"", HEAD + b"X-Pad: " + b"a" * 1000),
    "the head of a second request": (PING, HEAD + b"X-Pad: " + b"a" * 1000),
    "a plain body": (request_of(b"{" * 1000)[:-1000], b"{" * 1000),
    "the body of a second webhook": (request_of(b"no json") + request_of(b"{" * 1000)[:-1000], b"{" * 1000),
    "a body that aiohttp reads": (request_of(b" " * 100_000)[:-100_000], b" " * 1000),
    "chunks": (CHUNKS, b"3e8\r\n" + b" " * 1000),
}


@pytest.mark.parametrize("what", SLOW)
async def test_who_takes_too_long_to_ask_hears_so_and_is_let_go(what: str) -> None:
    start, rest = SLOW[what]
    async with entrance(read_seconds=SHORT) as here:
        caller = await here.call()
        caller.send(start)
        dripping = asyncio.ensure_future(drip(caller, rest))
        statuses = [await caller.status()]
        if statuses[0] != 408:
            statuses.append(await caller.status())
        assert statuses[-1] == 408
        await until(lambda: len(here.doors) == 0, "the connection is closed")
        dripping.cancel()
        assert not here.journalled


async def test_who_connects_and_says_nothing_is_let_go_without_a_word() -> None:
    before = closed_because("slow")
    async with entrance(read_seconds=SHORT) as here:
        callers = [await here.call() for _ in range(20)]
        assert [await caller.closed() for caller in callers] == [True] * 20
        assert closed_because("slow") == before + 20


async def test_who_has_asked_may_rest(caplog: pytest.LogCaptureFixture) -> None:
    """Proxies keep connections; closing them early costs a webhook that is on its way."""
    async with entrance(read_seconds=SHORT) as here:
        plain, other = await here.call(), await here.call()
        for caller, request in ((plain, request_of(body_of("a"))), (other, PING)):
            caller.send(request)
            assert await caller.status() == 200
        assert await (await here.call()).closed()
        for caller, request in ((plain, request_of(body_of("b"))), (other, PING)):
            caller.send(request)
            assert await caller.status() == 200


async def test_a_slow_answer_of_ours_is_nobodys_fault() -> None:
    async with entrance(read_seconds=SHORT) as here:
        hold = here.replica.database.hold("journal.append")
        plain, large = await here.call(), await here.call()
        plain.send(request_of(body_of("a")))
        large.send(request_of(body_of("b", "x" * 70_000)))
        await until(lambda: hold.reached, "the webhooks are being made durable")
        assert await (await here.call()).closed()
        hold.release()
        assert [await plain.status(), await large.status()] == [200, 200]


@pytest.mark.parametrize("large", [False, True])
async def test_who_has_closed_their_half_hears_the_answer_all_the_same(large: bool) -> None:
    async with entrance() as here:
        caller = await here.call()
        caller.send(request_of(body_of("half", "x" * (70_000 if large else 1))))
        caller.writer.write_eof()
        assert await caller.status() == 200
        assert await caller.closed()
        assert here.journalled == 1


async def test_a_deaf_caller_does_not_hold_what_it_is_told_for_ever() -> None:
    before = closed_because("unread")
    async with entrance(read_seconds=SHORT) as here:
        door, peer = here.doors(), Deaf()
        door.connection_made(peer)
        door.pause_writing()
        await until(lambda: peer.aborted, "the connection is torn")
        assert peer.closed == 1
        assert closed_because("unread") == before + 1
        door.connection_lost(None)


async def test_a_deaf_guest_is_let_go_in_the_middle_of_its_answer() -> None:
    async with entrance(read_seconds=SHORT) as here:
        caller = await here.call()
        caller.send(PING)
        assert await caller.status() == 200
        (guest,) = here.doors._open
        guest.pause_writing()
        guest.resume_writing()
        assert guest.clogged_since is None
        guest.pause_writing()
        assert await caller.closed()
        await until(lambda: len(here.doors) == 0, "the connection is gone")


class Deaf(SlowPeer):
    """A transport that never gets rid of what it has to write."""

    def __init__(self) -> None:
        super().__init__()
        self.closed, self.aborted = 0, False

    def close(self) -> None:
        self.closed += 1

    def abort(self) -> None:
        self.aborted = True


async def test_of_too_many_connections_those_go_that_keep_us_waiting_longest() -> None:
    before = closed_because("crowded")
    async with entrance(most=8) as here:
        good = await here.call()
        good.send(request_of(body_of("first")))
        assert await good.status() == 200
        callers = [await here.call() for _ in range(7)]
        await until(lambda: len(here.doors) == 8, "all are in")
        good.send(request_of(body_of("second")))
        assert await good.status() == 200
        callers += [await here.call() for _ in range(4)]
        assert [await caller.closed() for caller in callers[:4]] == [True] * 4
        assert len(here.doors) == 8
        good.send(request_of(body_of("third")))
        assert await good.status() == 200
        assert closed_because("crowded") == before + 4


async def test_when_all_are_being_answered_a_new_one_has_to_come_back() -> None:
    async with entrance(most=2) as here:
        hold = here.replica.database.hold("journal.append")
        busy = [await here.call() for _ in range(2)]
        for number, caller in enumerate(busy):
            caller.send(request_of(body_of(f"busy {number}")))
        await until(lambda: hold.reached and all(door.busy for door in here.doors._open), "both are being answered")
        assert await (await here.call()).closed()
        hold.release()
        assert [await caller.status() for caller in busy] == [200, 200]


# --- what is no HTTP -------------------------------------------------------------------------------------------------

NOT_HTTP: dict[str, tuple[bytes, int]] = {
    "garbage": (b"\x00\xff" * 50 + b"\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 200 + b"\r\n\r\n", 400),
    "a long line": (b"POST /webhook/msg91?" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 431),
    "a long header": (HEAD + b"X-Long: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    "many headers": (PING[:-2] + b"".join(b"X-%d: a\r\n" % n for n in range(1000)) + b"\r\n", 400),
    "a length below nothing": (HEAD + b"Content-Length: -1\r\n\r\n{}", 400),
    "two lengths": (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
    "a length and chunks": (HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a chunk without a size": (CHUNKS + b"zz\r\n{}\r\n0\r\n\r\n", 400),
    "an encoding nobody knows": (request_of(b"{}", "Content-Encoding: gzip"), 400),
    "a broken packing": (request_of(gzip.compress(b"{}" * 100)[:-9] + b"123456789", "Content-Encoding: gzip"), 400),
    "garbage behind a webhook": (request_of(b"no json") + b"garbage\r\n\r\n", 400),
    "a length that is too short": (HEAD + b"Content-Length: 2\r\n\r\n" + b"no json at all\r\n\r\n", 400),
}


@pytest.mark.parametrize("what", NOT_HTTP)
async def test_what_is_no_http_gets_the_usual_error_and_no_traceback(
    what: str, caplog: pytest.LogCaptureFixture
) -> None:
    data, status = NOT_HTTP[what]
    with caplog.at_level(logging.WARNING):
        async with entrance() as here:
            caller = await here.call()
            caller.send(data)
            found, head, body = await caller.answer()
            if what in {"garbage behind a webhook", "a length that is too short"}:
                found, head, body = await caller.answer()
            assert found == status, body
            assert set(orjson.loads(body)["error"]) == {"code", "message"}
            assert b"aiohttp" not in head
            assert b"nosniff" in head
            assert not here.journalled
    assert not caplog.records


@pytest.mark.parametrize("rest", [b" " * 100, b""])
async def test_who_goes_away_in_the_middle_leaves_no_traceback(rest: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with entrance() as here:
        for start in (request_of(b" " * 100_000)[:-100_000], CHUNKS + b"fff\r\n", HEAD, request_of(b"{}" * 99)[:-198]):
            caller = await here.call()
            caller.send(start + rest)
            await until(lambda: len(here.doors) == 1, "it is in")
            caller.hang_up()
            await until(lambda: len(here.doors) == 0, "it is gone")
    assert not caplog.records


async def test_a_bomb_is_refused_before_it_has_gone_off() -> None:
    bomb = gzip.compress(b"\0" * (100 << 20), 1)
    async with entrance() as here:
        caller = await here.call()
        before = resident_bytes()
        caller.send(request_of(bomb, "Content-Encoding: gzip"))
        assert await caller.status() == 413
        assert resident_bytes() - before < 40 << 20


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_chunks_beyond_the_limit_are_refused() -> None:
    async with entrance() as here:
        caller = await here.call()
        caller.send(CHUNKS + (b"10000\r\n" + b" " * 65536 + b"\r\n") * 64)
        assert await caller.status() == 413
