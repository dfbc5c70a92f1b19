"""A million conversations, ten million messages: what every statement reads, and what a message costs there.

`python -m loadtest.scale --messages 10000000` fills a database, runs each statement of `sql/queries` with
`explain (analyze, buffers)` and prints what it read; then it measures the cost of a message on the full and on an
empty database in alternating rounds. It ends with 1 when a plan breaks the rule (`loadtest/scale_run/plans.py`) or a
reply was lost, doubled or out of order.
"""

import argparse
import asyncio
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # started as a file

from bot.adapters.postgres.migrations import load_migrations, migrate
from bot.adapters.postgres.pool import connect
from bot.adapters.postgres.queries import load_queries
from bot.adapters.postgres.watch import SETTLED_DAYS
from loadtest.bench import ROOT, answers, started
from loadtest.scale_run.cost import Cost, Plan, Site, hot_updates, measure, report, serving
from loadtest.scale_run.fill import Size, fill
from loadtest.scale_run.plans import Finding, busy, examine, load_cases
from loadtest.scale_run.servers import FILLING, SERVING, forget_gaps, served

SQL = ROOT / "sql"
TURNS = 10
PATIENCE = 600.0
"""Seconds that a statement may take here, so that a slow one is shown and not cut off."""


async def prepare(folder: Path, size: Size | None) -> None:
    """The schema, and everything of `size` in it, unless there is a database from before."""
    if (folder / "filled").exists():
        print(f"{folder} is filled already")
        return
    async with served(folder, FILLING) as urls:
        async with await connect(urls.database, size=1, statement_timeout_s=PATIENCE) as pool:
            await migrate(pool, load_queries(SQL), load_migrations(SQL))
        if size is not None:
            connection = await asyncpg.connect(urls.database)
            await fill(connection, size, lambda told: print(f"  {told}", flush=True))
            await connection.execute("checkpoint", timeout=None)
            await connection.close()
    (folder / "filled").touch()


async def plans(folder: Path, size: Size) -> int:
    """Print what each statement read; how many broke the rule."""
    async with (
        served(folder, SERVING) as urls,
        await connect(urls.database, size=1, statement_timeout_s=PATIENCE) as pool,
        pool.acquire() as connection,
    ):
        found = await _examined(connection, size)
    print(f"\n{'statement':<32} {'asked':<22} {'rows':>7} {'pages':>7} {'ms':>9}  read by")
    for one in sorted(found, key=lambda one: -one.seconds):
        print(_line(one))
    broken = [one for one in found if one.problems]
    print(f"\n{len(found)} cases of {len({one.statement for one in found})} statements, {len(broken)} break the rule")
    return len(broken)


async def _examined(connection: asyncpg.Connection, size: Size) -> list[Finding]:
    cases = load_cases()
    async with busy(connection):
        return [
            finding
            for name, statement in load_queries(SQL).items()
            for finding in await examine(
                connection, name, statement, cases.get(name, "planned"), rows_a_day=size.messages_a_day
            )
        ]


def _line(one: Finding) -> str:
    figures = f"{one.rows:>7} {one.buffers:>7} {one.seconds * 1000:>9.2f}" if one.seconds else " " * 25
    told = "".join(f"\n    BROKEN: {problem}" for problem in one.problems)
    return f"{one.statement:<32} {one.what:<22} {figures}  {one.plan}{told}"


async def settle(url: str) -> None:
    """Count the days that are past for good, as the sweep has done on a database that was filled day by day."""
    statement = load_queries(SQL)["stats_settle"]
    async with await connect(url, size=1, statement_timeout_s=PATIENCE) as pool:
        while await pool.fetch(statement, SETTLED_DAYS):
            pass


async def cost(empty: Path, full: Path, plan: Plan, port: int) -> int:
    """Measure both in turn; how many replies were lost, doubled or out of order."""
    provider = f"http://127.0.0.1:{port}"
    async with served(empty, SERVING) as first, served(full, SERVING) as second:
        await settle(second.database)
        sites = (
            Site(name="empty", folder=empty, urls=first, port=port + 1),
            Site(name="full", folder=full, urls=second, port=port + 2),
        )
        with ExitStack() as stack:
            command = [sys.executable, "-m", "bot", "sandbox", "--port", str(port), "--no-reports"]
            stack.enter_context(started("sandbox", command, port))
            await answers(f"{provider}/sandbox/counters")
            running = [(site, stack.enter_context(serving(site, provider))) for site in sites]
            costs = await measure(running, provider, plan)
        print(f"\n{report(costs)}")
        for site in sites:
            print(
                f"updates that stayed within their page, {site.name}: {_shares(await hot_updates(site.urls.database))}"
            )
    return sum(_broken(one) for rounds in costs.values() for one in rounds)


def _shares(updates: object) -> str:
    assert isinstance(updates, dict)
    return ", ".join(
        f"{name} {hot}/{total} ({hot / max(1, total):.1%})" for name, (total, hot) in sorted(updates.items())
    )


def _broken(one: Cost) -> int:
    figures = one.service
    return figures.lost + figures.doubled + figures.disordered + figures.refused


async def run(arguments: argparse.Namespace, folder: Path) -> int:
    size = Size(conversations=arguments.messages // TURNS, turns=TURNS, now=datetime.now(UTC))
    print(f"filling {folder} with {size.conversations} conversations of {TURNS} messages", flush=True)
    await prepare(folder / "full", size)
    broken = 0 if arguments.only == "cost" else await plans(folder / "full", size)
    if arguments.only != "plans":
        await prepare(folder / "empty", None)
        await forget_gaps(folder / "full", "messages")
        plan = Plan(
            rounds=arguments.rounds,
            messages=arguments.round_messages,
            phones=arguments.phones,
            connections=arguments.connections,
        )
        broken += await cost(folder / "empty", folder / "full", plan, arguments.port)
    return 1 if broken else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000_000, help="stored before anything is measured")
    parser.add_argument("--folder", type=Path, help="kept, and used again when it is filled; else a temporary one")
    parser.add_argument("--only", choices=("plans", "cost"), help="one of the two parts")
    parser.add_argument("--rounds", type=int, default=5, help="of each database, after one of warming up")
    parser.add_argument("--round-messages", type=int, default=10_000)
    parser.add_argument("--phones", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--port", type=int, default=18_300, help="the first of three ports")
    arguments = parser.parse_args()
    if arguments.folder is not None:
        return asyncio.run(run(arguments, arguments.folder))
    with tempfile.TemporaryDirectory(prefix="scale-", ignore_cleanup_errors=True) as folder:
        return asyncio.run(run(arguments, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
