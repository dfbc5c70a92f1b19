"""What is counted once: unanswered customers for all replicas, and the messages of days that are past."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from bot.adapters.postgres.pool import Database
from bot.adapters.postgres.records import PostgresRecords
from bot.adapters.postgres.watch import SETTLED_DAYS, PostgresWatch
from bot.core.ids import CustomerId, new_id
from tests.adapters.rows import new_customer, new_vault

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
PAST = TODAY - timedelta(days=SETTLED_DAYS + 3)
INSERT = """
insert into messages (
  id, conversation_id, user_id, direction, message_type, kind, content, sender_number, recipient_number,
  delivery_status, is_from_llm, processing_time, caused_at, created_at
) values ($1, $1, $2, $3, 'text', 'flow', '', '', '', $4, $5, $6, $7, $7)
"""


async def said(
    pool: asyncpg.Pool,
    customer: CustomerId,
    at: datetime,
    status: str,
    *,
    model: bool = False,
    took: float | None = None,
) -> None:
    direction = "inbound" if status == "received" else "outbound"
    id_ = new_id(at.timestamp(), int(at.timestamp() * 1e6), 1)
    await pool.execute(INSERT, id_, customer, direction, status, model, took, at)


@pytest.fixture
async def customer(pool: asyncpg.Pool) -> CustomerId:
    """Somebody with messages on three days that are past, the middle one at both ends of the day, and one today."""
    someone = await new_customer(pool)
    for day, hour in ((0, 10), (1, 0), (1, 12), (2, 9)):
        at = PAST + timedelta(days=day, hours=hour)
        await said(pool, someone, at, "received")
        await said(pool, someone, at + timedelta(seconds=1), "read", model=hour == 12, took=0.5 + hour)
    await said(pool, someone, PAST + timedelta(days=2) - timedelta(milliseconds=1), "failed")
    await said(pool, someone, TODAY, "sent")
    return someone


async def settled(pool: asyncpg.Pool) -> list[Any]:
    return [row["day"] for row in await pool.fetch("select day from message_days order by settled_at, day")]


async def test_the_latest_day_that_is_past_is_counted_first_and_one_at_a_time(
    pool: asyncpg.Pool, database: Database, customer: CustomerId
) -> None:
    watch = PostgresWatch(database)
    latest = TODAY - timedelta(days=SETTLED_DAYS + 1)
    days = [(latest - timedelta(days=back)).date() for back in range(3)]
    for count in range(1, 4):
        await watch.settle_day()
        assert await settled(pool) == days[:count]
    await watch.settle_day()
    assert await settled(pool) == days


async def test_a_day_without_messages_is_counted_and_a_database_without_any_has_no_days(
    pool: asyncpg.Pool, database: Database
) -> None:
    watch = PostgresWatch(database)
    await watch.settle_day()
    assert await settled(pool) == []
    await said(pool, await new_customer(pool), PAST, "received")
    for _ in range(5):
        await watch.settle_day()
    assert len(await settled(pool)) == 3


async def test_numbers_are_the_same_before_and_after_days_were_counted(
    pool: asyncpg.Pool, database: Database, customer: CustomerId
) -> None:
    records = PostgresRecords(database, new_vault())
    tick = timedelta(milliseconds=1)
    periods = [
        (PAST, TODAY + timedelta(days=1)),
        (PAST + timedelta(days=1), PAST + timedelta(days=2)),
        (PAST + timedelta(days=1) + tick, PAST + timedelta(days=2)),
        (PAST + timedelta(days=1), PAST + timedelta(days=2) - tick),
        (PAST + timedelta(hours=5), PAST + timedelta(hours=18)),
        (PAST + timedelta(hours=5), PAST + timedelta(days=2, hours=18)),
    ]
    before = [(await records.stats(*period)).messages for period in periods]
    for _ in range(3):
        await PostgresWatch(database).settle_day()
    assert [(await records.stats(*period)).messages for period in periods] == before
    assert before[0].by_status == {"received": 4, "read": 4, "failed": 1, "sent": 1}
    assert (before[1].inbound, before[1].outbound, before[2].inbound) == (2, 3, 1)
    assert before[3].by_status.get("failed") is None


async def test_a_day_that_is_counted_is_read_from_its_count(
    pool: asyncpg.Pool, database: Database, customer: CustomerId
) -> None:
    """So what is removed by age stays in the numbers."""
    records = PostgresRecords(database, new_vault())
    period = (PAST + timedelta(days=1), PAST + timedelta(days=2))
    before = (await records.stats(*period)).messages
    for _ in range(3):
        await PostgresWatch(database).settle_day()
    await pool.execute("delete from messages where created_at < $1", TODAY)
    assert (await records.stats(*period)).messages == before


async def test_two_replicas_do_not_count_the_same_day_at_once(
    pool: asyncpg.Pool, database: Database, customer: CustomerId
) -> None:
    async with pool.acquire() as other, other.transaction():
        await other.execute("select pg_advisory_xact_lock(hashtext('message_days'))")
        await PostgresWatch(database).settle_day()
        assert await settled(pool) == []


async def test_a_count_of_another_replica_serves_while_it_is_young(pool: asyncpg.Pool, database: Database) -> None:
    watch = PostgresWatch(database)
    now = datetime.now(UTC).timestamp()
    await pool.execute("update looks set count = 7, looked_at = now() - interval '3 seconds'")
    assert await watch.unanswered(now, at_most_old=60.0) == 7
    assert await watch.unanswered(now, at_most_old=1.0) == 0
    assert await watch.unanswered(now, at_most_old=60.0) == 0
    await pool.execute("update looks set count = 7")
    assert await watch.unanswered(now) == 0


async def test_whoever_finds_another_replica_counting_takes_the_count_before(
    pool: asyncpg.Pool, database: Database
) -> None:
    await pool.execute("update looks set count = 7")
    async with pool.acquire() as other, other.transaction():
        await other.execute("select from looks where name = 'unanswered' for update")
        assert await PostgresWatch(database).unanswered(datetime.now(UTC).timestamp(), at_most_old=1.0) == 7
