"""A database that is away is not asked again and again, and nobody waits in line for it."""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from bot import metrics
from bot.adapters.postgres.circuit import FAILURES, PROBE_SECONDS, SILENCE_SECONDS, Circuit
from bot.adapters.postgres.migrations import load_migrations, standing
from bot.adapters.postgres.pool import Database, connect
from bot.adapters.postgres.queries import load_queries
from bot.ports.failures import Unacceptable, Unavailable
from tests.acceptance.postgres_proxy import PostgresProxy, proxied
from tests.conftest import SQL_DIR

AT_ONCE = 0.2
"""Seconds that asking nobody takes on a busy machine."""


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time_() -> Time:
    return Time()


@pytest.fixture
def circuit(time_: Time) -> Circuit:
    return Circuit(time_)


def shown() -> float:
    return float(metrics.breaker_state.labels("database")._value.get())


def refused(circuit: Circuit, *, probe: bool = True) -> bool:
    try:
        circuit.enter(probe=probe)
    except Unavailable:
        return True
    return False


def opened(circuit: Circuit) -> Circuit:
    for _ in range(FAILURES):
        assert not refused(circuit)
        circuit.failed()
    return circuit


def test_after_some_failures_in_a_row_only_one_call_a_second_is_let_through(circuit: Circuit, time_: Time) -> None:
    opened(circuit)
    assert shown() == 2
    assert [refused(circuit) for _ in range(3)] == [False, True, True]
    time_.now += PROBE_SECONDS
    assert [refused(circuit) for _ in range(2)] == [False, True]


def test_a_probe_that_hangs_does_not_keep_the_next_from_being_tried(circuit: Circuit, time_: Time) -> None:
    opened(circuit)
    for _ in range(5):
        assert not refused(circuit)
        time_.now += PROBE_SECONDS
    circuit.answered()
    assert shown() == 0
    assert not any(refused(circuit) for _ in range(9))


def test_who_does_not_probe_is_refused_until_somebody_else_found_out(circuit: Circuit, time_: Time) -> None:
    opened(circuit)
    time_.now += PROBE_SECONDS
    assert refused(circuit, probe=False)
    assert not refused(circuit)
    circuit.answered()
    assert not refused(circuit, probe=False)


def test_failures_between_answers_do_not_add_up(circuit: Circuit) -> None:
    for _ in range(3 * FAILURES):
        circuit.enter()
        circuit.failed()
        circuit.enter()
        circuit.answered()
    assert shown() == 0


def test_silence_counts_as_failure_while_somebody_waits(circuit: Circuit, time_: Time) -> None:
    time_.now += 10 * SILENCE_SECONDS
    circuit.enter()
    time_.now += SILENCE_SECONDS
    circuit.enter()
    assert shown() == 0
    time_.now += 0.1
    assert [refused(circuit) for _ in range(2)] == [False, True]
    assert shown() == 2


def test_a_server_that_goes_on_answering_somebody_is_not_silent(circuit: Circuit, time_: Time) -> None:
    circuit.enter()  # a statement that takes long
    for _ in range(10):
        time_.now += 1
        circuit.enter()
        circuit.answered()
    assert not refused(circuit)
    assert shown() == 0


# --- over a real server ----------------------------------------------------------------------------------------------


def ask(pool: asyncpg.Pool, statement: str, time_: Time, acquire_timeout_s: float = 5.0) -> Database:
    return Database(pool, {"it": statement}, circuit=Circuit(time_), acquire_timeout_s=acquire_timeout_s)


@pytest_asyncio.fixture
async def proxy(database_url: str) -> AsyncIterator[PostgresProxy]:
    async with proxied(database_url) as proxy:
        yield proxy


@pytest.mark.parametrize("away", ["cut", "freeze"])
async def test_a_database_that_went_away_is_refused_at_once_and_found_again(
    proxy: PostgresProxy, time_: Time, away: str
) -> None:
    async with await connect(proxy.url, size=2, statement_timeout_s=0.1) as pool:
        database = ask(pool, "select 1", time_, acquire_timeout_s=0.1)
        await database.fetch("it")
        getattr(proxy, away)()
        problems = await asyncio.gather(*(database.fetch("it") for _ in range(FAILURES)), return_exceptions=True)
        assert {type(problem) for problem in problems} == {Unavailable}
        began = time.monotonic()
        for _ in range(100):
            with pytest.raises(Unavailable):
                await database.impatient().fetch("it")
        assert time.monotonic() - began < AT_ONCE
        proxy.mend()
        assert [tuple(row) for row in await database.fetch("it")] == [(1,)]
        assert [tuple(row) for row in await database.impatient().fetch("it")] == [(1,)]


@pytest.mark.parametrize("how", ["statement", "transaction", "begin", "no name"])
async def test_who_gives_up_waiting_for_a_silent_server_waits_no_longer(proxy: PostgresProxy, how: str) -> None:
    async with await connect(proxy.url, size=1) as pool:
        database = Database(pool, {**load_queries(SQL_DIR), "it": "select 1"})
        await database.fetch("it")

        async def work() -> None:
            if how == "statement":
                await database.fetch("it")
            elif how == "no name":
                await standing(database, load_queries(SQL_DIR), load_migrations(SQL_DIR))
            else:
                async with database.transaction() as session:
                    if how == "transaction":
                        proxy.freeze()
                    await session.fetch("it")

        if how != "transaction":
            proxy.freeze()
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(work(), 0.1)
        assert time.monotonic() - began < 0.1 + AT_ONCE
        proxy.mend()
        assert len(await database.fetch("it")) == 1


async def test_a_server_that_lets_nobody_in_is_unavailable_and_counts(database_url: str, time_: Time) -> None:
    async with await connect(database_url, size=1) as admin:
        await admin.execute("drop role if exists crowded")
        await admin.execute("create role crowded login connection limit 0")
        with pytest.raises(Unavailable, match="too many connections"):
            await connect(database_url.replace("postgres:@", "crowded:@"), size=1)
        await admin.execute("alter role crowded connection limit 1")
        async with await connect(database_url.replace("postgres:@", "crowded:@"), size=2) as pool, pool.acquire():
            database = ask(pool, "select 1", time_)
            for _ in range(FAILURES):
                with pytest.raises(Unavailable, match="too many connections"):
                    await database.fetch("it")
            assert shown() == 2
        await admin.execute("drop role crowded")


async def test_a_refused_statement_is_an_answer(pool: asyncpg.Pool, time_: Time) -> None:
    database = ask(pool, "insert into keyring values ($1, null)", time_)
    for _ in range(2 * FAILURES):
        with pytest.raises(Unacceptable):
            await database.fetch("it", "a")
        with pytest.raises(Unacceptable):
            await database.fetch("it", "a\0")
    missing = ask(pool, "select * from nowhere", time_)
    for _ in range(2 * FAILURES):
        with pytest.raises(Unavailable):
            await missing.fetch("it")
    assert shown() == 0


async def test_connections_to_a_server_that_was_demoted_are_given_up(database_url: str, time_: Time) -> None:
    name = database_url.partition("?")[0].rpartition("/")[2]
    async with await connect(database_url, size=1) as admin:
        await admin.execute(f"alter database {name} set default_transaction_read_only = on")
        async with await connect(database_url, size=3) as pool:
            reading = ask(pool, "select pg_sleep(0.05)", time_)
            await asyncio.gather(*(reading.fetch("it") for _ in range(3)))  # all three are open
            await pool_is_writable_again(admin, name)
            writing = ask(pool, "insert into keyring values ($1, '')", time_)
            with pytest.raises(Unavailable, match="read-only"):
                await writing.fetch("it", "a")
            await asyncio.gather(*(writing.fetch("it", str(n)) for n in range(9)))


async def pool_is_writable_again(admin: asyncpg.Pool, name: str) -> None:
    async with admin.acquire() as connection:
        await connection.execute("set transaction_read_only = off")
        await connection.execute(f"alter database {name} reset default_transaction_read_only")


async def test_a_transaction_that_fails_leaves_its_connection_usable(pool: asyncpg.Pool, time_: Time) -> None:
    database = ask(pool, "select 1", time_)

    async def fail() -> None:
        async with database.transaction() as session:
            await session.fetch("it")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert len(await database.fetch("it")) == 1
