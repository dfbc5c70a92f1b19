"""PostgreSQL stopped, frozen, refusing, out of connections, demoted or slow: webhooks are taken all the same (P8).

Two replicas, of which each customer's messages reach now one and now the other. The servers are the test's own, because
nobody else's may be stopped.
"""

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import asyncpg
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from bot.adapters.embedded import Embedded
from bot.adapters.postgres.migrations import load_migrations, migrate
from bot.adapters.postgres.pool import connect
from bot.adapters.postgres.queries import load_queries
from tests.acceptance.postgres_proxy import PostgresProxy, proxied
from tests.acceptance.sharing import new_phone
from tests.acceptance.stage import echoes
from tests.acceptance.world import SECRET, Sandbox, Service, environment, free_port, until
from tests.conftest import SQL_DIR

ANSWER_SECONDS = 2.5
"""A webhook is answered within this: a second for PostgreSQL, half of one for Redis, and room for a slow machine."""
AWAY_SECONDS = 2.5
"""Longer than the silence after which PostgreSQL is not asked any more."""
ROLE = "desk"
LEFT = """
select (select count(*) from journal where consumed_at is null)
  + (select count(*) from messages where claimed_by <> '')
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Deployment:
    """Two replicas, the way to their PostgreSQL, and everything that may be taken away from them."""

    def __init__(
        self, postgres: Embedded, redis: Embedded, folder: Path, proxy: PostgresProxy, admin_url: str, redis_url: str
    ) -> None:
        self.postgres = postgres
        self.redis = redis
        self.folder = folder
        self.proxy = proxy
        self.admin_url = admin_url
        self.redis_url = redis_url

    async def start(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        ports = free_port(), free_port()
        self.sandbox = Sandbox(session, ports[0], reports=False)
        await self.sandbox.start()
        known = environment(self.proxy.url, self.redis_url, self.sandbox)
        self.replicas = [Service(session, port, self.folder / f"replica-{port}.log", **known) for port in ports]
        await asyncio.gather(*(replica.start() for replica in self.replicas))

    async def stop(self) -> None:
        await asyncio.gather(*(replica.kill() for replica in self.replicas))
        await self.sandbox.stop()

    async def say(self, phone: str, number: int, text: str) -> int:
        """The status of a webhook to one of the replicas; its answer comes in time."""
        replica = self.replicas[number % 2]
        began = time.monotonic()
        status, answer = await replica.say(phone, text, f"{phone}-{number}")
        took = time.monotonic() - began
        assert took < ANSWER_SECONDS, f"{status} after {took:.1f} s: {self.troubles()}"
        assert status in {200, 503}, answer
        return status

    async def talk(self, phone: str, count: int, over: asyncio.Event) -> list[str]:
        """Messages of one customer, one after the other, and a few more when `over` is set; all are taken."""
        texts: list[str] = []
        last = None
        while last is None or len(texts) < last:
            text = "hello" if not texts else str(len(texts))
            assert await self.say(phone, len(texts) + count, text) == 200, self.troubles()
            texts.append(text)
            last = last or (len(texts) + 4 if over.is_set() else None)
            await asyncio.sleep(0.15)
        return texts

    async def told(self, phone: str, texts: list[str]) -> None:
        """Each was answered once and in order."""
        expected = echoes(texts)

        async def enough() -> bool:
            return len(await self.sandbox.replies(phone)) >= len(expected)

        await until(enough, f"{len(expected)} answers reach {phone}{self.troubles()}")
        assert await self.sandbox.replies(phone) == expected

    async def rest(self) -> None:
        async with self.administered() as admin:
            await until(lambda: admin.fetchval(f"select ({LEFT}) = 0"), "everything is worked off")

    async def has(self, status: int, *degraded: str) -> None:
        """Both replicas say so at `/ready`, and say it soon. With no part named, none may be degraded."""

        async def said() -> bool:
            began = time.monotonic()
            answers = await asyncio.gather(*(replica.ready() for replica in self.replicas))
            assert time.monotonic() - began < ANSWER_SECONDS
            return all(code == status and _names(said["degraded"], degraded) for code, said in answers)

        await until(said, f"ready says {status} {degraded}")

    async def is_open(self) -> None:
        """PostgreSQL is not asked any more but by probes, so the API says at once that it is away."""
        for replica in self.replicas:
            began = time.monotonic()
            async with self.session.get(
                f"{replica.url}/api/v1/conversations", headers={"Authorization": "Bearer admin"}
            ) as answer:
                assert (answer.status, answer.headers["Retry-After"].isdigit()) == (503, True)
            assert time.monotonic() - began < 1
            assert await replica.metric("bot_spool_waiting") > 0

    @asynccontextmanager
    async def administered(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self.admin_url)
        try:
            yield connection
        finally:
            await connection.close()

    def troubles(self) -> str:
        lines = [line for replica in self.replicas for line in replica.log.read_text().splitlines()[-6:]]
        return "\n" + "\n".join(lines)


def _names(degraded: list[str], parts: tuple[str, ...]) -> bool:
    return set(parts) <= set(degraded) if parts else not degraded


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment() -> AsyncIterator[Deployment]:
    folder = Path(tempfile.mkdtemp(prefix="bot-away-"))  # pytest's own folders are closed to PostgreSQL's user
    async with AsyncExitStack() as stack:
        postgres, redis = Embedded(folder, redis=False), Embedded(folder / "redis", postgres=False)
        urls, queue = await stack.enter_async_context(postgres), await stack.enter_async_context(redis)
        admin_url = await _prepared(urls.database)
        proxy = await stack.enter_async_context(proxied(admin_url.replace("postgres:@", f"{ROLE}:@")))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
        )
        deployment = Deployment(postgres, redis, folder, proxy, admin_url, queue.redis)
        await deployment.start(session)
        stack.push_async_callback(deployment.stop)
        yield deployment
    shutil.rmtree(folder, ignore_errors=True)


async def _prepared(url: str) -> str:
    """The superuser's way to a database that belongs to a role that is none."""
    admin = await asyncpg.connect(url)
    await admin.execute(f"create role {ROLE} login superuser")
    await admin.execute(f"create database {ROLE} owner {ROLE}")
    await admin.close()
    url = url.replace("/postgres?", f"/{ROLE}?")
    async with await connect(url.replace("postgres:@", f"{ROLE}:@"), size=1) as pool:
        await migrate(pool, load_queries(SQL_DIR), load_migrations(SQL_DIR))
    admin = await asyncpg.connect(url)
    await admin.execute(f"alter role {ROLE} nosuperuser")
    await admin.close()
    return url


# --- how it goes away ------------------------------------------------------------------------------------------------

Away = Callable[[Deployment], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def stopped(deployment: Deployment) -> AsyncIterator[None]:
    await deployment.postgres.stop()
    yield
    await deployment.postgres.start()


@asynccontextmanager
async def frozen(deployment: Deployment) -> AsyncIterator[None]:
    postmaster = int((deployment.folder / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])
    processes = [postmaster, *_children(postmaster)]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found


@asynccontextmanager
async def refusing(deployment: Deployment) -> AsyncIterator[None]:
    deployment.proxy.cut()
    yield
    deployment.proxy.mend()


@asynccontextmanager
async def out_of_connections(deployment: Deployment) -> AsyncIterator[None]:
    async with deployment.administered() as admin:
        await admin.execute(f"alter role {ROLE} connection limit 0")
        await _dismiss(admin)
        yield
        await admin.execute(f"alter role {ROLE} connection limit -1")


@asynccontextmanager
async def demoted(deployment: Deployment) -> AsyncIterator[None]:
    """Every new connection reaches a server that takes no writes; who stays on it stays on it."""
    async with deployment.administered() as admin:
        await admin.execute(f"alter role {ROLE} set default_transaction_read_only = on")
        await _dismiss(admin)
        yield
        await admin.execute(f"alter role {ROLE} set default_transaction_read_only = off")


@asynccontextmanager
async def slow(deployment: Deployment) -> AsyncIterator[None]:
    """Appends wait for a lock, and take effect long after their callers have given them up."""
    async with deployment.administered() as admin, admin.transaction():
        await admin.execute("lock table journal in exclusive mode")
        yield


async def _dismiss(admin: asyncpg.Connection) -> None:
    await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", ROLE)


@asynccontextmanager
async def silent_redis(deployment: Deployment) -> AsyncIterator[None]:
    async with Redis.from_url(deployment.redis_url) as client:
        process = int((await client.info("server"))["process_id"])
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


# --- what is promised ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("away", [stopped, frozen, refusing, out_of_connections, demoted, slow])
async def test_webhooks_are_taken_while_postgresql_is_away_and_answered_in_order_afterwards(
    deployment: Deployment, away: Away
) -> None:
    phones = [new_phone() for _ in range(4)]
    over = asyncio.Event()
    talking = [asyncio.ensure_future(deployment.talk(phone, place, over)) for place, phone in enumerate(phones)]
    await asyncio.sleep(0.3)
    async with away(deployment):
        fresh = new_phone()
        assert await deployment.say(fresh, 0, "hello") == 200
        await asyncio.sleep(AWAY_SECONDS)
        if away not in (demoted, slow):  # where it is still read
            await deployment.has(200, "database", "spool")
            await deployment.is_open()
    over.set()
    for phone, texts in zip(phones, await asyncio.gather(*talking), strict=True):
        await deployment.told(phone, texts)
    await deployment.told(fresh, ["hello"])
    await deployment.rest()
    await deployment.has(200)


async def test_without_both_stores_webhooks_are_refused_and_nothing_acknowledged_is_lost(
    deployment: Deployment,
) -> None:
    phone = new_phone()
    assert await deployment.say(phone, 0, "hello") == 200
    async with refusing(deployment):
        assert await deployment.say(phone, 1, "1") == 200
        async with silent_redis(deployment):
            for _ in range(2):
                assert await deployment.say(phone, 2, "2") == 503
            async with deployment.session.post(
                f"{deployment.replicas[1].url}/webhook/msg91",
                json={"from": phone, "text": "2", "messageId": f"{phone}-2", "timestamp": str(int(time.time()))},
                headers={"X-Webhook-Secret": SECRET},
            ) as answer:
                assert (answer.status, answer.headers["Retry-After"].isdigit()) == (503, True)
            await deployment.has(503, "database", "redis")
            assert await deployment.replicas[0].healthy()
        await deployment.has(200, "database", "spool")
        assert await deployment.say(phone, 2, "2") == 200
    assert await deployment.say(phone, 3, "3") == 200
    await deployment.told(phone, ["hello", "1", "2", "3"])
    await deployment.rest()
    await deployment.has(200)
