"""Redis may lose everything, be away or fall silent: that costs speed, never a message and never the order (P7)."""

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from bot.adapters.embedded import Embedded
from tests.acceptance.sharing import new_phone
from tests.acceptance.stage import Stage, echoes, staged
from tests.acceptance.world import until
from tests.conftest import Servers

Away = Callable[[Embedded], AbstractAsyncContextManager[None]]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Embedded]:
    """A Redis of our own: the one of the other tests must not be stopped."""
    server = Embedded(tmp_path_factory.mktemp("redis"), postgres=False)
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(servers: Servers, redis: Embedded, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("service")
    url = servers.new_database()
    async with staged(url, (await redis.start()).redis, folder) as stage:
        yield stage
    servers.drop(url)


@asynccontextmanager
async def _stopped(redis: Embedded) -> AsyncIterator[None]:
    await redis.stop()
    try:
        yield
    finally:
        await redis.start()


@asynccontextmanager
async def _silent(redis: Embedded) -> AsyncIterator[None]:
    client = Redis.from_url((await redis.start()).redis)
    process = int((await client.info("server"))["process_id"])
    await client.aclose()
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


async def test_a_redis_that_lost_everything_is_not_missed(stage: Stage, redis: Embedded) -> None:
    phones = [new_phone() for _ in range(3)]
    for phone in phones:
        await stage.hear("hello", phone)
        await stage.hear("1", phone)
    async with Redis.from_url((await redis.start()).redis) as client:
        assert await client.flushall()
    async with _stopped(redis):
        pass
    for phone in phones:
        await stage.hear("2", phone)
        await stage.told(*echoes(["hello", "1", "2"]), phone=phone)
    await until(lambda: _degraded(stage, []), "Redis is used again")


@pytest.mark.parametrize("away", [_stopped, _silent])
async def test_conversations_go_on_without_redis(stage: Stage, redis: Embedded, away: Away) -> None:
    phones = [new_phone() for _ in range(3)]
    texts = ["hello", "1", "2", "3", "4"]
    for phone in phones:
        await stage.hear("hello", phone)
    async with away(redis):
        for text in texts[1:3]:
            for phone in phones:
                await stage.hear(text, phone)
        fresh = new_phone()
        await stage.hear("hello", fresh)
        await stage.told("Heard hello", phone=fresh)
        for phone in phones:
            await stage.told(*echoes(texts[:3]), phone=phone)
        await until(lambda: _degraded(stage, ["redis"]), "Redis is named and nothing else")
    for text in texts[3:]:
        for phone in phones:
            await stage.hear(text, phone)
    for phone in phones:
        await stage.told(*echoes(texts), phone=phone)
    await until(lambda: _degraded(stage, []), "Redis is used again")


async def _degraded(stage: Stage, parts: list[str]) -> bool:
    status, ready = await stage.service.ready()
    return status == 200 and ready["degraded"] == parts
