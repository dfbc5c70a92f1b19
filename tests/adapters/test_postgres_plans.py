"""Every statement's plan, on a database of 200,000 messages: what it reads goes with what is asked, not with what is
stored. `python -m loadtest.scale` looks at the same with ten million.
"""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from bot.adapters.postgres.pool import connect
from bot.adapters.postgres.queries import load_queries
from loadtest.scale_run.fill import Size, fill
from loadtest.scale_run.plans import Case, Entry, Finding, busy, examine, load_cases
from tests.conftest import SQL_DIR, Servers

SIZE = Size(conversations=20_000, turns=10, now=datetime.now(UTC))
QUERIES = load_queries(SQL_DIR)
CASES = load_cases()


@pytest.fixture(scope="module")
def filled(servers: Servers) -> Iterator[str]:
    """The URL of a filled database, which tests leave as they found it."""
    url = servers.new_database()
    asyncio.run(_filled(url))
    yield url
    servers.drop(url)


async def _filled(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await fill(connection, SIZE, lambda told: None)
    finally:
        await connection.close()


async def findings(url: str, name: str, entry: Entry, *before: str) -> Sequence[Finding]:
    """What `name` does after the statements `before`, all of it undone afterwards."""
    async with (
        await connect(url, size=1, statement_timeout_s=30.0) as pool,
        pool.acquire() as connection,
        busy(connection),
    ):
        for statement in before:
            await connection.execute(statement)
        return await examine(connection, name, QUERIES[name], entry, rows_a_day=SIZE.messages_a_day)


def problems(found: Sequence[Finding]) -> list[str]:
    return [f"{one.what}: {problem}" for one in found for problem in one.problems]


def test_every_statement_has_an_entry_and_every_entry_a_statement() -> None:
    """Who adds a statement says how it is tried, in loadtest/scale_run/cases.yaml."""
    assert sorted(CASES) == sorted(QUERIES)


@pytest.mark.parametrize("name", sorted(QUERIES.keys() & CASES.keys()))
async def test_a_statement_reads_what_is_asked_for_and_not_what_is_stored(filled: str, name: str) -> None:
    assert not problems(await findings(filled, name, CASES[name]))


@pytest.mark.parametrize(
    ("index", "name", "told"),
    [
        ("messages_conversation", "records_transcript", "scans messages from end to end"),
        ("messages_outbox", "outbox_orphans", "scans messages from end to end"),
        ("conversations_user", "records_user", "reads"),
        ("journal_unread", "journal_backlog", "scans journal from end to end"),
        ("timers_user", "directory_merge", "scans timers from end to end"),
        ("conversations_open", "watch_unanswered", "reads"),
        ("model_calls_conversation", "records_model_use", "scans model_calls from end to end"),
    ],
)
async def test_an_index_that_is_missing_is_noticed(filled: str, index: str, name: str, told: str) -> None:
    found = problems(await findings(filled, name, CASES[name], f"drop index {index}"))
    assert any(told in problem for problem in found)


async def test_a_statement_that_reads_more_than_its_case_allows_is_noticed(filled: str) -> None:
    case = Case(what="a page", with_=("null", "null", "51"), rows=50)
    found = await findings(filled, "records_conversations_recent", [case])
    assert problems(found) == ["a page: reads 51 rows, allowed 50"]


async def test_an_index_that_is_read_whole_is_noticed_without_running_the_statement(filled: str) -> None:
    async with await connect(filled, size=1) as pool, pool.acquire() as connection:
        (found,) = await examine(connection, "all", "select id from messages order by id", "planned")
    assert found.problems == ("reads the index messages_pkey whole",)


async def test_what_is_filled_is_as_large_as_asked(filled: str) -> None:
    connection: Any = await asyncpg.connect(filled)
    counts = [await connection.fetchval(f"select count(*) from {table}") for table in ("conversations", "messages")]
    await connection.close()
    assert counts == [SIZE.conversations, SIZE.conversations * SIZE.turns]
