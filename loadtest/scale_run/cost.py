"""What a message costs the service and PostgreSQL, on an empty and on a full database in alternating rounds."""

import asyncio
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import msgspec

from bot.adapters.embedded import EmbeddedUrls
from loadtest.bench import ROOT, SECRET, Process, Round, answers, one_round, shown, started
from loadtest.driver import build, phones
from loadtest.scale_run.servers import postgres_seconds

HOT_TABLES = ("conversations", "messages", "users", "journal")
HOT = """
select relname as name, n_tup_upd as updates, n_tup_hot_upd as hot from pg_stat_user_tables where relname = any ($1)
"""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A service over its own stores."""

    name: str
    folder: Path
    urls: EmbeddedUrls
    port: int


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of a round; `database` is PostgreSQL's processor time for a message in microseconds."""

    service: Round
    database: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured: `messages` in each of `rounds` rounds, after one of warming up."""

    rounds: int
    messages: int
    phones: int
    connections: int


@contextmanager
def serving(site: Site, provider: str) -> Iterator[Process]:
    with started(
        f"service-{site.name}",
        [sys.executable, "-m", "bot", "serve"],
        site.port,
        ENVIRONMENT="production",
        DATABASE_URL=site.urls.database,
        REDIS_URL=site.urls.redis,
        HOST="127.0.0.1",
        PORT=str(site.port),
        MSG91_BASE_URL=f"{provider}/api/v5",
        MSG91_AUTH_KEY="bench",
        MSG91_SENDER_ID="919000000001",
        MSG91_WEBHOOK_SECRET=SECRET,
        MSG91_RATE="1000000",
        RECIPIENT_BURST="1000000",
        ENCRYPTION_KEYS="bench:" + "QUFB" * 10 + "QUE=",
        FLOWS_DIR=str(ROOT / "loadtest" / "flows"),
    ) as process:
        yield process


async def measure(sites: Sequence[tuple[Site, Process]], provider: str, plan: Plan) -> Mapping[str, Sequence[Cost]]:
    """The rounds of each site after the first, in turn."""
    numbers, turns = phones(plan.phones), max(2, plan.messages // plan.phones)
    for _, process in sites:
        await answers(f"http://127.0.0.1:{process.port}/ready")
    costs: dict[str, list[Cost]] = {site.name: [] for site, _ in sites}
    fresh = 2 * int(time.time())  # a kept folder knows the messages of earlier runs
    for index in range(plan.rounds + 1):
        for site, process in sites if index % 2 else tuple(reversed(sites)):
            requests = build(
                numbers, range(fresh + index * turns, fresh + (index + 1) * turns), port=process.port, secret=SECRET
            )
            before = postgres_seconds(site.folder)
            figures = await one_round(process, provider, requests, plan.connections)
            used = (postgres_seconds(site.folder) - before) / (turns * len(numbers)) * 1e6
            print(f"round {index} {shown(site.name, [figures])}   PostgreSQL {used:.0f} us CPU/msg", flush=True)
            if index:
                costs[site.name].append(Cost(service=figures, database=used))
    return costs


def ratios(costs: Mapping[str, Sequence[Cost]]) -> Mapping[str, Sequence[float]]:
    """Full by empty, round by round, of the service's processor time, of PostgreSQL's, and of both together."""
    pairs = list(zip(costs["full"], costs["empty"], strict=True))
    return {
        "service": [full.service.cpu / empty.service.cpu for full, empty in pairs],
        "PostgreSQL": [full.database / empty.database for full, empty in pairs],
        "both": [(full.service.cpu + full.database) / (empty.service.cpu + empty.database) for full, empty in pairs],
    }


def report(costs: Mapping[str, Sequence[Cost]]) -> str:
    lines = []
    for name, rounds in costs.items():
        database = statistics.median(one.database for one in rounds)
        lines.append(f"{shown(name, [one.service for one in rounds])}   PostgreSQL {database:.0f} us CPU/msg")
    for name, found in ratios(costs).items():
        listed = ", ".join(f"{ratio:.2f}" for ratio in found)
        lines.append(f"CPU per message, full / empty, {name}: {statistics.median(found):.3f} (rounds: {listed})")
    return "\n".join(lines)


async def hot_updates(url: str) -> Mapping[str, tuple[int, int]]:
    """Updates of the tables that every message changes, and how many of them stayed within their page."""
    await asyncio.sleep(2.0)  # the server writes its statistics a second late
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(HOT, list(HOT_TABLES))
    await connection.close()
    return {row["name"]: (row["updates"], row["hot"]) for row in rows}
