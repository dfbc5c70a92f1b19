"""Redis as it stands in production: its master dies in the middle of traffic, and no customer notices (P7, P8).

Two replicas of the service without affinity, and customers who write all the time. Outside stands who counts: how each
webhook was answered, how long that took, and what reached each customer.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from tests.acceptance.postgres_proxy import PostgresProxy, proxied
from tests.acceptance.sharing import new_phone
from tests.acceptance.stage import echoes
from tests.acceptance.world import Sandbox, Service, environment, free_port, until
from tests.redis_servers import Clustered, Server, Watched, standing, wait_for

CUSTOMERS = 20
PAUSE_S = 0.3
"""Between two messages of one customer."""
PROMPT_S = 2.0
"""A webhook is answered within this."""
_LEFT = """
select (select count(*) from journal where consumed_at is null)
  + (select count(*) from messages where claimed_by <> '')
"""


class Town:
    """Two replicas, the proxy before PostgreSQL, and customers who go on until each message is acknowledged."""

    def __init__(self, proxy: PostgresProxy, sandbox: Sandbox, replicas: list[Service], database: asyncpg.Connection):
        self.proxy = proxy
        self.replicas = replicas
        self._sandbox = sandbox
        self._database = database
        self.said: dict[str, list[str]] = {new_phone(): [] for _ in range(CUSTOMERS)}
        self.refused = 0
        self.slowest = 0.0

    @property
    def acknowledged(self) -> int:
        return sum(map(len, self.said.values()))

    @asynccontextmanager
    async def talking(self) -> AsyncIterator[None]:
        """Everybody writes while inside; all that was begun is acknowledged at the end."""
        over = asyncio.Event()
        writing = [asyncio.ensure_future(self._write(phone, place, over)) for place, phone in enumerate(self.said)]
        try:
            yield
        finally:
            over.set()
            await asyncio.gather(*writing)

    async def hear_more(self, each: int) -> None:
        """Wait until each customer's next messages are acknowledged."""
        wanted = {phone: len(texts) + each for phone, texts in self.said.items()}
        await until(lambda: all(len(self.said[phone]) >= count for phone, count in wanted.items()), "more is heard")

    async def count(self) -> None:
        """Everybody was answered, each message once and in order, and nothing else came."""
        await until(self._at_rest, "everything is worked off")
        for phone, texts in self.said.items():
            assert await self._sandbox.replies(phone) == echoes(texts)

    async def _write(self, phone: str, place: int, over: asyncio.Event) -> None:
        await asyncio.sleep(PAUSE_S * place / CUSTOMERS)
        while not over.is_set():
            await self._insist(phone, str(len(self.said[phone])) if self.said[phone] else "hello")
            await asyncio.sleep(PAUSE_S)

    async def _insist(self, phone: str, text: str) -> None:
        """As a provider does: again until it is acknowledged, by whichever replica."""
        identity = f"{phone}-{text}"
        for attempt in range(200):
            begun = time.monotonic()
            status, _ = await self.replicas[(len(self.said[phone]) + attempt) % 2].say(phone, text, identity)
            self.slowest = max(self.slowest, time.monotonic() - begun)
            if status == 200:
                self.said[phone].append(text)
                return
            assert status == 503
            self.refused += 1
            await asyncio.sleep(0.1)
        raise AssertionError("a webhook was never acknowledged")

    async def _at_rest(self) -> bool:
        if await self._database.fetchval(_LEFT):
            return False
        for phone, texts in self.said.items():
            if len(await self._sandbox.replies(phone)) < len(texts):
                return False
        return True


@pytest.fixture(params=[Watched, Clustered], ids=["sentinel", "cluster"])
def redis(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched | Clustered]:
    found: Watched | Clustered = request.param(tmp_path_factory.mktemp("redis"))
    with standing(found):
        yield found


@pytest.fixture
async def town(redis: Watched | Clustered, database_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session, proxied(database_url) as proxy:
        ports = [free_port(), free_port()]
        sandbox = Sandbox(session, ports[0], report_gap=0.01)
        await sandbox.start()
        database = await asyncpg.connect(database_url)
        known = environment(proxy.url, redis.url, sandbox, MSG91_RATE="1000", RECIPIENT_BURST="1000")
        replicas = [Service(session, port, tmp_path / f"{port}.log", **known) for port in ports]
        try:
            await asyncio.gather(*(replica.start() for replica in replicas))
            yield Town(proxy, sandbox, replicas, database)
        finally:
            await asyncio.gather(*(replica.kill() for replica in replicas))
            await database.close()
            await sandbox.stop()


def master(redis: Watched | Clustered) -> Server:
    """The one that has the spool."""
    return redis.master() if isinstance(redis, Watched) else redis.owner("spool")


async def lose_master(redis: Watched | Clustered) -> Server:
    """SIGKILL; it returns when another is the master."""
    lost = await asyncio.to_thread(master, redis)
    lost.kill()
    await asyncio.to_thread(wait_for, lambda: master(redis) is not lost, "another is the master")
    return lost


async def test_a_master_dies_in_the_middle_of_traffic_and_no_customer_notices(
    redis: Watched | Clustered, town: Town
) -> None:
    async with town.talking():
        await town.hear_more(3)
        lost = await lose_master(redis)
        await town.hear_more(3)
        assert town.refused == 0
        assert town.slowest < PROMPT_S
        lost.start()
        await asyncio.to_thread(redis.rejoin, lost)
        await asyncio.to_thread(wait_for, redis.healthy, "the servers are whole again")

        town.proxy.cut()  # now everything goes to the spool
        await town.hear_more(2)
        assert (await asyncio.to_thread(master, redis)).ask("XLEN", "spool") >= CUSTOMERS
        for replica in town.replicas:
            assert await replica.metric("bot_spool_unconfirmed_total") == 0
        await lose_master(redis)
        await town.hear_more(2)
        town.proxy.mend()
        await town.hear_more(1)
    await town.count()
