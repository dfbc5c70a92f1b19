import asyncio
import socket
from pathlib import Path

import asyncpg
import pytest

from bot.adapters.postgres.pool import Database, connect
from bot.ports.failures import Unacceptable, Unavailable
from tests.conftest import Servers


def ask(pool: asyncpg.Pool, statement: str, acquire_timeout_s: float = 5.0) -> Database:
    return Database(pool, {"it": statement}, acquire_timeout_s=acquire_timeout_s)


async def test_statements_run_by_name(pool: asyncpg.Pool) -> None:
    assert [tuple(row) for row in await ask(pool, "select $1::int + 1").fetch("it", 1)] == [(2,)]


async def test_connections_are_set_for_many_small_statements(pool: asyncpg.Pool) -> None:
    expected = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}
    expected |= {"application_name": "bot", "statement_timeout": "10s"}
    assert {name: await pool.fetchval(f"show {name}") for name in expected} == expected


@pytest.mark.parametrize(
    ("statement", "argument"),
    [
        ("select $1::text", "a\0b"),
        ("select $1::text", "\ud800"),
        ("select $1::int", "text"),
        ("select $1::int", 2**40),
        ("select $1::uuid", "x"),
        ("select $1::int[]", 7),
        ("insert into timers values (null, $1, '', now())", 1),
        ("insert into identities values ($1, 7, 'phone', '', now())", b"x"),
        ("insert into keyring values ('a', $1), ('a', $1) on conflict (name) do update set wrapped = ''", b"x"),
    ],
    ids=["nul", "surrogate", "type", "range", "uuid", "no array", "null", "foreign key", "row twice"],
)
async def test_a_value_that_is_to_blame_is_unacceptable(pool: asyncpg.Pool, statement: str, argument: object) -> None:
    with pytest.raises(Unacceptable):
        await ask(pool, statement).fetch("it", argument)


@pytest.mark.parametrize(
    "statement",
    [
        "select * from nowhere",
        "select pg_terminate_backend(pg_backend_pid())",
        "select pg_cancel_backend(pg_backend_pid()), pg_sleep(9)",
        "this is no statement",
    ],
)
async def test_whatever_else_goes_wrong_is_unavailable(pool: asyncpg.Pool, statement: str) -> None:
    with pytest.raises(Unavailable):
        await ask(pool, statement).fetch("it")
    assert [tuple(row) for row in await ask(pool, "select 1").fetch("it")] == [(1,)]


async def test_a_row_is_never_quoted_in_the_message(pool: asyncpg.Pool) -> None:
    with pytest.raises(Unacceptable) as caught:
        await ask(pool, "insert into keyring values ('secret', $1), ('secret', $1)").fetch("it", b"x")
    assert "secret" not in str(caught.value)


async def test_a_slow_statement_is_given_up_by_the_server(database_url: str) -> None:
    async with await connect(database_url, size=1, statement_timeout_s=0.01) as pool:
        with pytest.raises(Unavailable, match="statement timeout"):
            await ask(pool, "select pg_sleep(9)").fetch("it")


async def test_a_pool_whose_connections_are_all_busy_is_unavailable(database_url: str) -> None:
    async with await connect(database_url, size=1) as pool, pool.acquire():
        with pytest.raises(Unavailable):
            await ask(pool, "select 1", acquire_timeout_s=0.01).fetch("it")


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        await connect(f"postgresql://postgres@/bot?host={tmp_path}")


async def test_a_server_that_never_answers_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unavailable):
        await connect(f"postgresql://postgres@127.0.0.1:{silent.getsockname()[1]}/bot", connect_timeout_s=0.05)


async def test_a_pool_that_was_closed_is_unavailable(database_url: str) -> None:
    pool = await connect(database_url, size=1)
    await pool.close()
    with pytest.raises(Unavailable):
        await ask(pool, "select 1").fetch("it")


async def test_a_database_that_is_dropped_under_us_is_unavailable(servers: Servers, database_url: str) -> None:
    async with await connect(database_url, size=1) as pool:
        servers.drop(database_url)
        with pytest.raises(Unavailable):
            await ask(pool, "select 1").fetch("it")
        with pytest.raises(Unavailable):
            await ask(pool, "select 1").fetch("it")


async def test_a_transaction_takes_effect_whole_or_not_at_all(pool: asyncpg.Pool) -> None:
    database = ask(pool, "insert into keyring values ($1, '')")
    async with database.transaction() as session:
        await session.fetch("it", "a")
    with pytest.raises(Unacceptable):
        await both(database, "b", "a")
    assert [row["name"] for row in await pool.fetch("select name from keyring")] == ["a"]


async def both(database: Database, *names: str) -> None:
    async with database.transaction() as session:
        for name in names:
            await session.fetch("it", name)


async def test_cancellation_stays_cancellation(pool: asyncpg.Pool) -> None:
    task = asyncio.create_task(ask(pool, "select pg_sleep(9)").fetch("it"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
