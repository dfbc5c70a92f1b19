"""The promises of spool and hints, held against those in memory and those in Redis: so that the former can stand in."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.adapters.redis.connection import connect
from bot.adapters.redis.hints import RedisHints
from bot.adapters.redis.spool import RedisSpool
from bot.ports.hints import Hint, Hints
from bot.ports.spool import Spool, Spooled
from tests.acceptance.world import until
from tests.runtime.memory.hints import Boxes, MemoryHints
from tests.runtime.memory.link import Link
from tests.runtime.memory.spool import MemorySpool, Queue
from tests.runtime.simulated_clock import SimulatedClock

LONG = 30.0
"""Seconds that nothing here takes."""


@pytest.fixture(params=["memory", "redis"])
async def spools(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Spool, Spool]]:
    """The spool as two replicas see it."""
    if request.param == "memory":
        queue, clock = Queue(), SimulatedClock()
        yield MemorySpool(queue, Link(), clock), MemorySpool(queue, Link(), clock)
        return
    url = request.getfixturevalue("redis_url")
    async with connect(url) as one, connect(url) as other:
        yield RedisSpool(one), RedisSpool(other)


@pytest.fixture(params=["memory", "redis"])
async def hints(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Hints, Hints]]:
    """Those of the replicas `one` and `two`."""
    if request.param == "memory":
        boxes: Boxes = {}
        clock = SimulatedClock()
        yield MemoryHints(boxes, Link(), clock, me="one"), MemoryHints(boxes, Link(), clock, me="two")
        return
    url = request.getfixturevalue("redis_url")
    async with connect(url) as one, connect(url) as other:
        yield RedisHints(one, me="one"), RedisHints(other, me="two")


def words(*said: bytes, to: str = "two") -> list[Hint]:
    return [Hint(to=to, words=word) for word in said]


def sealed(waiting: list[Spooled]) -> list[bytes]:
    return [one.sealed for one in waiting]


# --- spool -------------------------------------------------------------------------------------------------------


async def test_an_empty_spool_has_nothing(spools: tuple[Spool, Spool]) -> None:
    spool, _ = spools
    assert await spool.waiting() == 0
    assert list(await spool.first(10)) == []
    await spool.push([])
    assert await spool.waiting() == 0


async def test_what_two_replicas_push_waits_in_the_order_of_their_pushes(spools: tuple[Spool, Spool]) -> None:
    one, two = spools
    await one.push([b"1", b"2"])
    await two.push([b"3"])
    await one.push([b"4"])
    for spool in spools:
        assert await spool.waiting() == 4
        assert sealed(list(await spool.first(10))) == [b"1", b"2", b"3", b"4"]


async def test_the_first_stay_until_they_are_removed(spools: tuple[Spool, Spool]) -> None:
    one, two = spools
    await one.push([b"1", b"2", b"3"])
    first = await one.first(2)
    assert sealed(list(first)) == sealed(list(await two.first(2))) == [b"1", b"2"]
    await two.remove([waits.id for waits in first])
    assert sealed(list(await one.first(2))) == [b"3"]
    assert await one.waiting() == 1


async def test_removing_again_or_nothing_is_no_error(spools: tuple[Spool, Spool]) -> None:
    one, two = spools
    await one.push([b"1"])
    ids = [waits.id for waits in await one.first(1)]
    await one.remove(ids)
    await two.remove(ids)
    await two.remove([])
    assert await one.waiting() == 0


async def test_after_everything_was_removed_what_comes_next_is_in_order_again(spools: tuple[Spool, Spool]) -> None:
    spool, _ = spools
    for round_ in (b"a", b"b"):
        await spool.push([round_ + b"1", round_ + b"2"])
        waiting = await spool.first(10)
        assert sealed(list(waiting)) == [round_ + b"1", round_ + b"2"]
        await spool.remove([waits.id for waits in waiting])


async def test_the_same_delivery_may_wait_twice(spools: tuple[Spool, Spool]) -> None:
    spool, _ = spools
    await spool.push([b"same"])
    await spool.push([b"same"])
    one, two = await spool.first(10)
    assert (one.sealed, two.sealed) == (b"same", b"same")
    assert one.id != two.id


async def test_any_bytes_come_back_as_they_were(spools: tuple[Spool, Spool]) -> None:
    spool, _ = spools
    odd = [b"", b"\r\n$3\r\n", bytes(range(256)), b"\0" * 100_000]
    await spool.push(odd)
    assert sealed(list(await spool.first(10))) == odd


async def test_one_works_the_spool_off_and_may_go_on(spools: tuple[Spool, Spool]) -> None:
    one, two = spools
    assert await one.claim("one", LONG)
    assert not await two.claim("two", LONG)
    assert await one.claim("one", LONG)


# --- hints -------------------------------------------------------------------------------------------------------


async def test_a_hint_reaches_the_replica_it_is_for_and_no_other(hints: tuple[Hints, Hints]) -> None:
    one, two = hints
    await one.send([*words(b"to two"), *words(b"to one", to="one")])
    assert list(await two.receive(LONG)) == [b"to two"]
    assert list(await one.receive(LONG)) == [b"to one"]


async def test_everything_that_was_sent_comes_at_once_and_only_once(hints: tuple[Hints, Hints]) -> None:
    one, two = hints
    await one.send(words(b"1", b"2"))
    await one.send(words(b"3"))
    assert list(await two.receive(LONG)) == [b"1", b"2", b"3"]
    await one.send(words(b"4"))
    assert list(await two.receive(LONG)) == [b"4"]


async def test_who_waits_hears_at_once(hints: tuple[Hints, Hints]) -> None:
    one, two = hints
    waiting = asyncio.ensure_future(two.receive(LONG))
    await one.send(words(b"now"))
    assert list(await asyncio.wait_for(waiting, LONG / 3)) == [b"now"]


async def test_who_stops_waiting_may_wait_again(hints: tuple[Hints, Hints]) -> None:
    one, two = hints
    waiting = asyncio.ensure_future(two.receive(LONG))
    await one.send(words(b"any", to="nobody"))  # the wait has begun by the time this is done
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    again = asyncio.ensure_future(two.receive(LONG))

    async def heard() -> bool:
        """The wait that was given up may take one hint with it."""
        await one.send(words(b"later"))
        return again.done()

    await until(heard, "a hint arrives")
    assert set(await again) == {b"later"}


async def test_sending_nothing_is_nothing(hints: tuple[Hints, Hints]) -> None:
    one, _ = hints
    await one.send([])
