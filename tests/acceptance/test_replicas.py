"""Two replicas over one database and one Redis, with no affinity: any of them may die, stop or freeze (P2, P3, P6)."""

import asyncio
import itertools
import signal
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import asyncpg

from tests.acceptance.postgres_proxy import PostgresProxy, proxied
from tests.acceptance.stage import COMMIT, PHONE, echoes
from tests.acceptance.world import PATIENCE, Sandbox, Service, environment, free_port, until

PHONES = [f"9198000008{number:02}" for number in range(10)]
TEXTS = ("hello", *map(str, range(1, 10)))
LEASE = 1.5
GIVE_UP = 1.0
"""Seconds after which a provider takes a webhook to be lost and delivers it again."""
_LEFT = """
select (select count(*) from journal where consumed_at is null)
  + (select count(*) from messages where claimed_by <> '')
"""


class Pair:
    """Two replicas, the second of them behind a proxy. Delivery reports go to the first, which outlives every test."""

    def __init__(
        self, sandbox: Sandbox, replicas: Sequence[Service], proxy: PostgresProxy, database: asyncpg.Connection
    ) -> None:
        self.sandbox = sandbox
        self.proxy = proxy
        self.first, self.second = replicas
        self.replicas = replicas
        self._database = database

    async def deliver(self, phone: str, text: str, *to: Service) -> None:
        """As a provider behind a balancer does: again, and to the next one, until it is acknowledged."""
        body = {"from": phone, "text": text, "messageId": f"{phone}-{text}", "timestamp": str(int(time.time()))}
        end = time.monotonic() + PATIENCE
        for replica in itertools.cycle(to):
            try:
                status, answer = await asyncio.wait_for(replica.post(body), GIVE_UP)
            except TimeoutError:
                status, answer = 0, None
            if status == 200:
                return
            assert status in {0, 503}, answer
            assert time.monotonic() < end, "the webhook was never acknowledged"
            await asyncio.sleep(0.02)

    async def converse(self, phone: str, texts: Sequence[str], pause: float = 0.0) -> None:
        """A customer in a hurry, whose messages land here and there in turn; every other one begins there."""
        for number, text in enumerate(texts, PHONES.index(phone)):
            await self.deliver(phone, text, self.replicas[number % 2], self.replicas[1 - number % 2])
            await asyncio.sleep(pause)

    async def told(self, count: int) -> None:
        """Return when so many messages have reached customers."""

        async def enough() -> bool:
            return bool((await self.sandbox.call("GET", "/sandbox/counters")).get("accepted", 0) >= count)

        await until(enough, f"{count} messages are out")

    async def replied(self, phone: str, text: str) -> None:
        async def there() -> bool:
            return text in await self.sandbox.replies(phone)

        await until(there, f"{text} reaches {phone}")

    async def rest(self, seconds: float = PATIENCE) -> None:
        async def nothing_left() -> bool:
            return bool(await self._database.fetchval(_LEFT) == 0)

        await until(nothing_left, "everything is worked off", seconds)

    async def silent(self, seconds: float) -> None:
        """Return when one of the replicas has given no sign of life for so long."""
        sql = "select min(seen_at) < now() - make_interval(secs => $1) from replicas"
        await until(lambda: self._database.fetchval(sql, seconds), "a replica is silent")

    async def doubles(self, texts: Sequence[str]) -> int:
        """How many messages came twice, everybody having been told all in order."""
        count = 0
        for phone in PHONES:
            replies = await self.sandbox.replies(phone)
            once = [text for text, before in zip(replies, [None, *replies], strict=False) if text != before]
            assert once == echoes(texts), phone
            count += len(replies) - len(once)
        return count

    async def metric(self, name: str, *replicas: Service) -> float:
        return sum([await replica.metric(name) for replica in replicas or self.replicas])


@asynccontextmanager
async def paired(database_url: str, redis_url: str, folder: Path, **settings: str) -> AsyncIterator[Pair]:
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session, proxied(database_url) as proxy:
        ports = [free_port(), free_port()]
        sandbox = Sandbox(session, ports[0], report_gap=0.01)
        await sandbox.start()
        database = await asyncpg.connect(database_url)
        known = environment(database_url, redis_url, sandbox, **{"MSG91_RATE": "1000", **settings})
        replicas = [
            Service(session, port, folder / f"{port}.log", **{**known, "DATABASE_URL": url})
            for port, url in zip(ports, (database_url, proxy.url), strict=True)
        ]
        try:
            await asyncio.gather(*(replica.start() for replica in replicas))
            yield Pair(sandbox, replicas, proxy, database)
        finally:
            for replica in replicas:
                await replica.kill()
            await database.close()
            await sandbox.stop()


async def test_messages_and_deeds_that_alternate_between_replicas_are_done_at_once_in_order(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with paired(database_url, redis_url, tmp_path, LEASE_SECONDS="30") as pair:
        await asyncio.gather(*(pair.converse(phone, TEXTS) for phone in PHONES))
        await pair.rest()
        assert await pair.doubles(TEXTS) == 0
        await pair.deliver(PHONE, "hello", pair.first)
        await pair.replied(PHONE, "Heard hello")
        took = []
        for text in map(str, range(7)):
            began = time.monotonic()
            await pair.deliver(PHONE, text, pair.second)
            await pair.replied(PHONE, f"Echo {text}")
            took.append(time.monotonic() - began)
        assert statistics.median(took) < 1.0
        await _a_deed_has_its_result_at_the_wrong_replica(pair)


async def _a_deed_has_its_result_at_the_wrong_replica(pair: Pair) -> None:
    _, found = await pair.second.api("GET", f"/conversations?q={PHONE}")
    path = f"/conversations/{found['items'][0]['id']}/reply"
    status, answer = await pair.second.api("POST", path, {"message": "From a person", "agent": "zoe"})
    assert status == 200, answer
    await pair.replied(PHONE, "From a person")
    _, shown = await pair.second.api("GET", f"/messages/{answer['messages'][0]}")
    assert shown["content"]["text"] == "From a person"


async def test_when_a_replica_is_killed_its_conversations_go_on_within_the_lease(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with paired(database_url, redis_url, tmp_path, LEASE_SECONDS=str(LEASE)) as pair:
        talking = asyncio.gather(*(pair.converse(phone, TEXTS, 0.05) for phone in PHONES))
        await pair.told(len(PHONES) * 4)
        await pair.second.kill()
        killed = time.monotonic()
        await talking
        await pair.rest(killed + LEASE + 2.0 - time.monotonic())
        doubles = await pair.doubles(TEXTS)
        assert doubles <= await pair.metric("bot_uncertain_sends_total", pair.first)


async def test_when_a_replica_is_stopped_its_conversations_go_on_at_once(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with paired(database_url, redis_url, tmp_path, LEASE_SECONDS="60", DRAIN_SECONDS="5") as pair:
        talking = asyncio.gather(*(pair.converse(phone, TEXTS, 0.05) for phone in PHONES))
        await pair.told(len(PHONES) * 4)
        assert await pair.second.terminate() == 0
        stopped = time.monotonic()
        await talking
        await pair.rest(10.0)
        assert time.monotonic() - stopped < 10.0
        assert await pair.doubles(TEXTS) == 0


async def test_a_replica_that_was_frozen_does_no_harm_when_it_goes_on_with_the_commit_it_was_at(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    texts = [*TEXTS, *map(str, range(10, 30))]
    async with paired(database_url, redis_url, tmp_path, LEASE_SECONDS=str(LEASE)) as pair:
        await pair.sandbox.behave(msg91={"latency": {"uniform": [0.0, 0.1]}})
        talking = asyncio.gather(*(pair.converse(phone, texts, 0.2) for phone in PHONES))
        await pair.told(len(PHONES) * 3)
        trap = pair.proxy.trap(COMMIT, "before")
        await asyncio.wait_for(trap.sprung.wait(), PATIENCE)
        pair.second.signal(signal.SIGSTOP)
        await pair.silent(3 * LEASE)
        trap.release()
        pair.second.signal(signal.SIGCONT)
        await talking
        await pair.rest()
        doubles = await pair.doubles(texts)
        assert doubles <= await pair.metric("bot_uncertain_sends_total")
        assert await pair.metric("bot_stale_commits_total", pair.second) >= 1
