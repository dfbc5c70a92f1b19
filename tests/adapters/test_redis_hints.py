"""What the hints in Redis have of their own; what they promise as hints is in `test_contracts_redis.py`."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from bot.adapters.redis.connection import connect
from bot.adapters.redis.hints import LIFE_S, MOST, RedisHints
from bot.adapters.redis.keyspace import Keyspace
from bot.ports.failures import Unavailable
from bot.ports.hints import Hint
from tests.acceptance.world import until


@pytest.fixture
async def keyspace(redis_url: str) -> AsyncIterator[Keyspace]:
    async with connect(redis_url) as keyspace:
        yield keyspace


@pytest.fixture
async def direct(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as direct:
        yield direct


def said(*words: bytes) -> list[Hint]:
    return [Hint(to="me", words=word) for word in words]


async def test_hints_that_nobody_hears_are_gone_after_a_while(keyspace: Keyspace, direct: Redis) -> None:
    await RedisHints(keyspace, me="other").send(said(b"1"))
    assert 0 < await direct.pttl("hints:me") <= LIFE_S * 1000


async def test_only_the_newest_hints_wait(keyspace: Keyspace) -> None:
    hints = RedisHints(keyspace, me="me")
    await hints.send(said(*(b"%d" % number for number in range(MOST + 5))))
    received = await hints.receive(0)
    assert (len(received), received[0], received[-1]) == (MOST, b"5", b"%d" % (MOST + 4))


async def test_without_a_wait_nothing_is_an_answer_at_once(keyspace: Keyspace) -> None:
    async with asyncio.timeout(5):
        assert list(await RedisHints(keyspace, me="me").receive(0)) == []


async def test_a_wait_without_a_hint_ends_with_nothing(keyspace: Keyspace) -> None:
    async with asyncio.timeout(5):
        assert list(await RedisHints(keyspace, me="me").receive(0.02)) == []


async def test_a_wait_that_was_given_up_takes_nothing_away_from_the_next(keyspace: Keyspace, direct: Redis) -> None:
    hints = RedisHints(keyspace, me="me")
    waiting = asyncio.ensure_future(hints.receive(60))

    async def blocked() -> int:
        return int((await direct.info("clients"))["blocked_clients"])

    await until(blocked, "it waits at its list")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    async def free() -> bool:
        return await blocked() == 0

    await until(free, "Redis has noticed")
    await hints.send(said(b"1"))
    assert list(await hints.receive(60)) == [b"1"]


async def test_a_redis_that_falls_silent_ends_the_wait_in_time(redis_url: str, direct: Redis) -> None:
    async with connect(redis_url, timeout_s=0.05) as keyspace:
        hints = RedisHints(keyspace, me="me")
        await hints.receive(0)
        await direct.client_pause(300)
        async with asyncio.timeout(5):
            with pytest.raises(Unavailable):
                await hints.receive(0.05)
