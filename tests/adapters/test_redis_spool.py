"""What the spool in Redis has of its own; what it promises as a spool is in `test_contracts_redis.py`."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from bot import metrics
from bot.adapters.redis.connection import connect
from bot.adapters.redis.spool import RedisSpool
from bot.ports.failures import Unavailable
from tests.acceptance.world import until
from tests.redis_servers import Watched, standing


@pytest.fixture
async def spool(redis_url: str) -> AsyncIterator[RedisSpool]:
    async with connect(redis_url) as keyspace:
        yield RedisSpool(keyspace)


async def test_a_holder_who_falls_silent_loses_the_claim(spool: RedisSpool) -> None:
    assert await spool.claim("first", 0.02)
    assert await until(lambda: spool.claim("second", 60), "the claim is free")
    assert not await spool.claim("first", 60)


async def test_a_push_is_all_or_nothing_where_there_is_no_room(spool: RedisSpool, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as direct:
        used = int((await direct.info("memory"))["used_memory"])
        await direct.config_set("maxmemory", used + 100_000)
        try:
            with pytest.raises(Unavailable, match="OOM"):
                await until(lambda: spool.push([b"x" * 30_000, b"y" * 30_000]), "there is no room")
            pushed = [waits.sealed[:1] for waits in await spool.first(100)]
            assert pushed == [b"x", b"y"] * (len(pushed) // 2)
        finally:
            await direct.config_set("maxmemory", 0)


async def test_a_key_of_another_type_is_unavailable(spool: RedisSpool, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as direct:
        await direct.set("spool", "no stream")
    for call in (spool.waiting(), spool.push([b"1"]), spool.first(1), spool.remove(["1-1"])):
        with pytest.raises(Unavailable, match="WRONGTYPE"):
            await call


async def test_without_a_replica_a_push_counts_all_the_same_and_is_counted(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    watched = Watched(tmp_path_factory.mktemp("alone"))
    with standing(watched):
        watched.second.kill()
        unconfirmed = metrics.spool_unconfirmed_total._value.get()
        async with connect(watched.url, timeout_s=0.5) as keyspace:
            spool = RedisSpool(keyspace)
            async with asyncio.timeout(5):
                await spool.push([b"1", b"2"])
            assert await spool.waiting() == 2
        assert metrics.spool_unconfirmed_total._value.get() == unconfirmed + 2
