import asyncio

import asyncpg
import pytest

from bot.adapters.postgres.journal import PostgresJournal
from bot.adapters.postgres.parking import PostgresParking
from bot.adapters.postgres.pool import Database, connect
from bot.adapters.postgres.quarantine import PostgresQuarantine
from bot.adapters.postgres.queries import load_queries
from bot.core.ids import CustomerId, JournalSeq
from bot.ports.failures import Unacceptable, Unavailable
from bot.ports.journal import Backlog
from bot.ports.quarantine import Quarantined
from tests.adapters.lost_answers import proxied
from tests.adapters.rows import AT, entry, new_customer
from tests.conftest import SQL_DIR

ANNA, BORIS = CustomerId(1), CustomerId(2)


@pytest.fixture
def journal(database: Database) -> PostgresJournal:
    return PostgresJournal(database)


async def test_numbers_rise_in_the_order_given(journal: PostgresJournal) -> None:
    numbers = await journal.append([entry(ANNA) for _ in range(50)])
    assert list(numbers) == sorted(filter(None, numbers))
    assert len(set(numbers)) == 50


async def test_the_same_event_again_is_not_appended(journal: PostgresJournal) -> None:
    first = entry(ANNA)
    (seq,) = await journal.append([first])
    again = entry(ANNA, dedup=first.dedup)
    assert [n is None for n in await journal.append([entry(ANNA), again, entry(ANNA)])] == [False, True, False]
    (unread,) = [row for row in (await journal.unread([ANNA], 9))[ANNA] if row.seq == seq]
    assert (unread.dedup, unread.sealed) == (first.dedup, first.sealed)


async def test_of_an_event_twice_in_one_batch_the_first_is_appended(journal: PostgresJournal) -> None:
    first = entry(ANNA)
    numbers = await journal.append([first, entry(ANNA, dedup=first.dedup), first])
    assert [number is None for number in numbers] == [False, True, True]


async def test_an_empty_batch_is_nothing(journal: PostgresJournal) -> None:
    assert list(await journal.append([])) == []


async def test_after_a_lost_answer_appending_again_gives_the_numbers_of_the_first_time(database_url: str) -> None:
    entries = [entry(ANNA), entry(BORIS)]
    async with proxied(database_url) as (proxy, url), await connect(url, size=1) as pool:
        journal = PostgresJournal(Database(pool, load_queries(SQL_DIR)))
        await journal.append([entry(ANNA)])
        proxy.swallowing = True
        with pytest.raises(Unavailable):
            await journal.append(entries)
        proxy.swallowing = False
        numbers = await journal.append(entries)
        assert None not in numbers
        assert [row.seq for row in (await journal.unread([BORIS], 9))[BORIS]] == [numbers[1]]
        assert await pool.fetchval("select count(*) from journal") == 3


async def test_unread_rows_come_in_order_up_to_the_limit(journal: PostgresJournal) -> None:
    numbers = await journal.append([entry(customer) for customer in (ANNA, BORIS, ANNA, ANNA)])
    unread = await journal.unread([BORIS, ANNA, CustomerId(3)], 2)
    assert [row.seq for row in unread[ANNA]] == [numbers[0], numbers[2]]
    assert [row.seq for row in unread[BORIS]] == [numbers[1]]
    assert list(unread[CustomerId(3)]) == []


async def test_forgotten_customers_are_those_that_wait_oldest_first(journal: PostgresJournal) -> None:
    await journal.append([entry(BORIS, at=AT), entry(ANNA, at=AT + 1), entry(CustomerId(3), at=AT + 10)])
    assert list(await journal.forgotten(AT + 5, 9)) == [BORIS, ANNA]
    assert list(await journal.forgotten(AT + 5, 1)) == [BORIS]


async def test_a_parked_customer_is_neither_read_nor_forgotten_nor_counted(
    journal: PostgresJournal, database: Database, pool: asyncpg.Pool
) -> None:
    anna = await new_customer(pool)
    (seq,) = await journal.append([entry(anna)])
    assert seq is not None
    await PostgresParking(database).park(anna, seq, "ValueError", 3, AT)
    assert list((await journal.unread([anna], 9))[anna]) == []
    assert list(await journal.forgotten(AT + 5, 9)) == []
    assert await journal.backlog() == Backlog(count=0, oldest_seconds=0)


async def test_the_backlog_knows_its_oldest_row(journal: PostgresJournal, pool: asyncpg.Pool) -> None:
    now = await pool.fetchval("select extract(epoch from now())::double precision")
    await journal.append([entry(ANNA, at=now - 100), entry(ANNA, at=now)])
    backlog = await journal.backlog()
    assert backlog.count == 2
    assert 100 <= backlog.oldest_seconds < 160


async def test_a_clock_ahead_of_the_database_gives_no_negative_age(journal: PostgresJournal) -> None:
    await journal.append([entry(ANNA, at=4e9)])
    assert await journal.backlog() == Backlog(count=1, oldest_seconds=0)


async def test_rows_of_an_absorbed_customer_find_their_way(journal: PostgresJournal, pool: asyncpg.Pool) -> None:
    kept, absorbed = await new_customer(pool), await new_customer(pool)
    await pool.execute("update users set merged_into = $1 where id = $2", kept, absorbed)
    (seq,) = await journal.append([entry(absorbed)])
    assert list(await journal.forgotten(AT + 5, 9)) == [kept]
    assert [row.seq for row in (await journal.unread([kept], 9))[kept]] == [seq]


@pytest.mark.parametrize("kind", ["a\0b", "\ud800"])
async def test_a_text_that_no_database_takes_is_unacceptable(journal: PostgresJournal, kind: str) -> None:
    with pytest.raises(Unacceptable):
        await journal.append([entry(ANNA), entry(ANNA, kind=kind)])
    assert (await journal.backlog()).count == 0


async def test_two_replicas_that_append_the_same_event_append_it_once(journal: PostgresJournal) -> None:
    entries = [entry(ANNA) for _ in range(20)]
    theirs = [entry(ANNA, dedup=mine.dedup) for mine in entries]
    mine, others = await asyncio.gather(journal.append(entries), journal.append(theirs))
    appended: list[tuple[JournalSeq | None, JournalSeq | None]] = list(zip(mine, others, strict=True))
    assert all((a is None) != (b is None) for a, b in appended)


async def test_quarantined_bodies_are_kept(database: Database, pool: asyncpg.Pool) -> None:
    await PostgresQuarantine(database).keep([Quarantined(reason="no sender", sealed=b"body", at=AT)])
    row = await pool.fetchrow("select reason, sealed, extract(epoch from received_at)::float8 as at from quarantine")
    assert tuple(row) == ("no sender", b"body", AT)
