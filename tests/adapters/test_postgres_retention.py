"""What leaves by age and what never does, in pages and by index."""

import json
import os
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, get_args

import asyncpg
import pytest

from bot.adapters.postgres.pool import Database
from bot.adapters.postgres.queries import load_queries
from bot.adapters.postgres.replicas import PostgresReplicas
from bot.adapters.postgres.retention import PostgresRemovals
from bot.core.ids import CustomerId, new_id
from bot.ports.retention import Kind, Place
from tests.adapters.rows import new_customer
from tests.conftest import SQL_DIR

NOW = 1_700_000_000.0
DAY = 86_400.0
BEFORE = NOW - 10 * DAY
OLD, RECENT = BEFORE - DAY, BEFORE + DAY
KINDS: tuple[Kind, ...] = get_args(Kind)
QUERIES = load_queries(SQL_DIR)


@pytest.fixture
def removals(database: Database) -> PostgresRemovals:
    return PostgresRemovals(database)


@pytest.fixture
async def anna(pool: asyncpg.Pool) -> CustomerId:
    return await new_customer(pool)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def an_id(seconds: float) -> uuid.UUID:
    return uuid.UUID(new_id(seconds, int.from_bytes(os.urandom(8)), 0))


async def all_pages(removals: PostgresRemovals, kind: Kind, limit: int = 2) -> list[int]:
    """Walk to the end; how many rows each page removed."""
    pages: list[int] = []
    after: Place | None = None
    while True:
        page = await removals.remove(kind, before=BEFORE, after=after, limit=limit)
        pages.append(page.rows)
        after = page.after
        if after is None:
            return pages
        assert len(pages) < 100


async def event(pool: asyncpg.Pool, customer: CustomerId, accepted: float, consumed: float | None) -> int:
    sql = (
        "insert into journal (dedup, user_id, kind, sealed, accepted_at, consumed_at)"
        " values ($1, $2, 'x', '', $3, $4) returning seq"
    )
    when = at(consumed) if consumed is not None else None
    return int(await pool.fetchval(sql, os.urandom(16), customer, at(accepted), when))


async def message(
    pool: asyncpg.Pool,
    customer: CustomerId,
    created: float,
    *,
    conversation: uuid.UUID | None = None,
    claimed: str = "",
) -> uuid.UUID:
    sql = (
        "insert into messages (id, conversation_id, user_id, direction, message_type, kind, content, sender_number,"
        " recipient_number, delivery_status, claimed_by, caused_at, created_at)"
        " values ($1, $2, $3, 'outbound', 'text', 'flow', '', '', '', $4, $5, $6, $6)"
    )
    id_, status = an_id(created), "pending" if claimed else "sent"
    await pool.execute(sql, id_, conversation or an_id(created), customer, status, claimed, at(created))
    return id_


async def conversation(pool: asyncpg.Pool, customer: CustomerId, began: float, ended: float | None) -> uuid.UUID:
    sql = (
        "insert into conversations (id, session_id, user_id, status, current_flow, created_at, updated_at, heard_at,"
        " completed_at) values ($1, 's', $2, $3, $4, $5, $5, $5, $6)"
    )
    id_, over = an_id(began), ended is not None
    completed = at(ended) if ended is not None else None
    await pool.execute(sql, id_, customer, "closed" if over else "bot", "" if over else "support", at(began), completed)
    return id_


async def ids(pool: asyncpg.Pool, table: str, column: str = "id") -> list[Any]:
    return [row[0] for row in await pool.fetch(f"select {column} from {table} order by 1")]


# --- what leaves and what stays --------------------------------------------------------------------------------------


async def test_applied_events_leave_by_age_and_unread_ones_never(
    pool: asyncpg.Pool, removals: PostgresRemovals, anna: CustomerId
) -> None:
    parked = await event(pool, anna, OLD - 100 * DAY, None)
    gone = [await event(pool, anna, OLD, OLD) for _ in range(5)]
    late = await event(pool, anna, OLD, RECENT)
    recent = await event(pool, anna, RECENT, RECENT)
    assert sum(await all_pages(removals, "journal")) == len(gone)
    assert await ids(pool, "journal", "seq") == [parked, late, recent]


async def test_a_walk_of_the_journal_ends_where_nothing_is_old(
    pool: asyncpg.Pool, removals: PostgresRemovals, anna: CustomerId
) -> None:
    for _ in range(2):
        await event(pool, anna, OLD, OLD)
    for _ in range(20):
        await event(pool, anna, RECENT, RECENT)
    assert await all_pages(removals, "journal") == [2, 0]


async def test_messages_leave_by_age_unless_they_are_still_to_be_sent(
    pool: asyncpg.Pool, removals: PostgresRemovals, anna: CustomerId
) -> None:
    for _ in range(5):
        await message(pool, anna, OLD)
    waiting = await message(pool, anna, OLD, claimed="replica")
    recent = await message(pool, anna, RECENT)
    pages = await all_pages(removals, "messages")
    assert (sum(pages), len(pages)) == (5, 4)
    assert await ids(pool, "messages") == sorted([waiting, recent])


async def test_what_somebody_has_locked_is_passed_over_and_leaves_another_time(
    pool: asyncpg.Pool, removals: PostgresRemovals, anna: CustomerId
) -> None:
    held = await message(pool, anna, OLD)
    await message(pool, anna, OLD)
    async with pool.acquire() as other, other.transaction():
        await other.execute("select from messages where id = $1 for update", held)
        assert sum(await all_pages(removals, "messages")) == 1
    assert await ids(pool, "messages") == [held]
    assert sum(await all_pages(removals, "messages")) == 1


async def test_a_conversation_leaves_by_its_end_and_after_its_messages(
    pool: asyncpg.Pool, removals: PostgresRemovals, anna: CustomerId
) -> None:
    with_message = await conversation(pool, anna, OLD, OLD)
    await message(pool, anna, OLD, conversation=with_message)
    still_open = await conversation(pool, anna, OLD, None)
    ended_late = await conversation(pool, anna, OLD, RECENT)
    await conversation(pool, anna, OLD, OLD)
    assert sum(await all_pages(removals, "conversations")) == 1
    assert set(await ids(pool, "conversations")) == {with_message, still_open, ended_late}
    await all_pages(removals, "messages")
    assert sum(await all_pages(removals, "conversations")) == 1


async def test_questions_leave_when_they_are_answered_and_old(
    pool: asyncpg.Pool, removals: PostgresRemovals, anna: CustomerId
) -> None:
    sql = "insert into effects values ($1, $2, 'ask_model', '', 'me', null, $3, $4)"
    rows = [(an_id(OLD), OLD, OLD), (an_id(OLD), OLD, None), (an_id(OLD), OLD, RECENT), (an_id(RECENT), RECENT, RECENT)]
    for id_, made, done in rows:
        await pool.execute(sql, id_, anna, at(made), at(done) if done else None)
    assert sum(await all_pages(removals, "effects")) == 1
    assert set(await ids(pool, "effects")) == {row[0] for row in rows[1:]}


async def test_accounts_of_models_leave_by_age(
    pool: asyncpg.Pool, removals: PostgresRemovals, anna: CustomerId
) -> None:
    sql = "insert into model_calls values ($1, $2, $1, 'answered', 'm', 1, 1, 0.1, false, 1, 0.5, 'g', $3)"
    old, recent = an_id(OLD), an_id(RECENT)
    for id_, made in ((old, OLD), (recent, RECENT)):
        await pool.execute(sql, id_, anna, at(made))
    assert sum(await all_pages(removals, "model_calls")) == 1
    assert await ids(pool, "model_calls") == [recent]


@pytest.mark.parametrize(
    ("kind", "sql"),
    [
        ("audit", "insert into audit (action, by_whom, created_at) values ('a', 'b', $1)"),
        ("quarantine", "insert into quarantine (reason, sealed, received_at) values ('a', 'b', $1)"),
        (
            "reports",
            "insert into reports (dedup, status, reported_at, received_at) values"
            " (decode(md5(random()::text), 'hex'), 'sent', $1, $1)",
        ),
    ],
)
async def test_rows_leave_by_age(pool: asyncpg.Pool, removals: PostgresRemovals, kind: Kind, sql: str) -> None:
    for moment in (*([OLD] * 5), RECENT, RECENT):
        await pool.execute(sql, at(moment))
    assert sum(await all_pages(removals, kind)) == 5
    assert await pool.fetchval(f"select count(*) from {kind}") == 2
    assert sum(await all_pages(removals, kind)) == 0


async def test_a_report_that_found_its_message_leaves_too(pool: asyncpg.Pool, removals: PostgresRemovals) -> None:
    sql = "insert into reports (dedup, status, reported_at, received_at, matched_at) values ('d', 'sent', $1, $1, $1)"
    await pool.execute(sql, at(OLD))
    assert await all_pages(removals, "reports") == [1]


async def test_a_flow_version_leaves_when_no_replica_and_no_conversation_has_it(
    pool: asyncpg.Pool, removals: PostgresRemovals, anna: CustomerId
) -> None:
    sql = "insert into flow_versions values ($1, $2, 1, '', $3, $3)"
    for digest, flow, used in (("a", "menu", OLD), ("b", "menu", RECENT), ("c", "support", OLD)):
        await pool.execute(sql, digest, flow, at(used))
    held = await conversation(pool, anna, OLD, None)
    assert await all_pages(removals, "flow_versions") == [1]
    assert await ids(pool, "flow_versions", "digest") == ["b", "c"]
    await pool.execute("update conversations set completed_at = now() where id = $1", held)
    assert await all_pages(removals, "flow_versions") == [1]


# --- who does it, and how --------------------------------------------------------------------------------------------


async def test_one_of_the_living_replicas_does_it(database: Database, removals: PostgresRemovals) -> None:
    assert not await removals.mine("a")
    replicas = PostgresReplicas(database)
    await replicas.beat("b", 60)
    await replicas.beat("a", 60)
    assert [await removals.mine(name) for name in ("a", "b", "c")] == [True, False, False]
    await replicas.leave("a")
    assert [await removals.mine(name) for name in ("a", "b")] == [False, True]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "flow_versions"])
async def test_every_page_goes_by_an_index_with_a_bound(pool: asyncpg.Pool, kind: str) -> None:
    query = QUERIES[f"retention_{kind}"]
    async with pool.acquire() as connection:
        count = len((await connection.prepare(query)).get_parameters())
        await connection.execute(f"prepare it as {query}")
        text = await connection.fetchval(f"explain (format json) execute it ({', '.join(['null'] * count)})")
    scans = [node for node in nodes(json.loads(text)[0]["Plan"]) if "Relation Name" in node]
    assert scans
    assert [node for node in scans if node["Node Type"] == "Seq Scan"] == []
    assert [node for node in scans if "Scan" in node["Node Type"] and not bounded(node)] == []


def nodes(plan: dict[str, Any]) -> Sequence[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", ()) for node in nodes(child))]


def bounded(node: dict[str, Any]) -> bool:
    return "Index Cond" in node or "Recheck Cond" in node or "TID Cond" in node
