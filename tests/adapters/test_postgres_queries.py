import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from bot.adapters.postgres.pool import connect
from bot.adapters.postgres.queries import description, load_queries
from tests.conftest import Servers

SQL_DIR = Path(__file__).parents[2] / "sql"
QUERIES = load_queries(SQL_DIR)
HOT = (
    "journal_append",
    "journal_mine",
    "journal_unread",
    "store_load",
    "store_commit",
    "store_commit_all",
    "store_mine",
    "directory_find",
    "outbox_note",
    "outbox_report",
    "outbox_still_mine",
    "timers_due",
)


@pytest.fixture(scope="module")
def shared_url(servers: Servers) -> Iterator[str]:
    """One database for all of them: nobody here writes."""
    url = servers.new_database()
    yield url
    servers.drop(url)


@pytest.fixture
async def connection(shared_url: str) -> AsyncIterator[asyncpg.Connection]:
    """With the settings that the service gives to its own."""
    async with await connect(shared_url, size=1) as pool, pool.acquire() as connection:
        yield connection


@pytest.mark.parametrize("name", QUERIES)
async def test_every_statement_fits_the_schema(connection: asyncpg.Connection, name: str) -> None:
    await connection.prepare(QUERIES[name])


@pytest.mark.parametrize("name", QUERIES)
def test_every_statement_begins_with_what_it_does(name: str) -> None:
    assert description(QUERIES[name])


def test_a_statement_without_a_description_is_refused() -> None:
    with pytest.raises(ValueError, match="line of description"):
        description("select 1")


def test_a_folder_without_statements_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="SQL_DIR"):
        load_queries(tmp_path)


@pytest.mark.parametrize("name", HOT)
async def test_the_hot_path_goes_by_index_even_when_planned_on_empty_tables(
    connection: asyncpg.Connection, name: str
) -> None:
    count = len((await connection.prepare(QUERIES[name])).get_parameters())
    await connection.execute(f"prepare it as {QUERIES[name]}")
    plan = json.loads(await connection.fetchval(f"explain (format json) execute it ({', '.join(['null'] * count)})"))
    assert not [node for node in nodes(plan[0]["Plan"]) if reads_all(node)]


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", ()) for node in nodes(child))]


def reads_all(node: dict[str, Any]) -> bool:
    """A scan of a whole table or index; the partial indexes of what is open are read whole on purpose."""
    if node["Node Type"] == "Seq Scan":
        return True
    by_index = {"Index Scan", "Index Only Scan", "Bitmap Index Scan"}
    return node["Node Type"] in by_index and "Index Cond" not in node
