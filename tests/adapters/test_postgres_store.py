import asyncio
from typing import Any

import asyncpg
import pytest

from bot.adapters.postgres.journal import PostgresJournal
from bot.adapters.postgres.pool import Database, connect
from bot.adapters.postgres.queries import load_queries
from bot.adapters.postgres.store import PostgresStore
from bot.core.ids import ConversationId, CustomerId, JournalSeq
from bot.ports.failures import Unacceptable, Unavailable
from bot.ports.store import AuditRow, CustomerFacts, Loaded
from tests.adapters.lost_answers import proxied
from tests.adapters.rows import (
    AT,
    conversation_row,
    effect_row,
    entry,
    inbound,
    new_customer,
    new_uuid,
    outbound,
    timer_row,
    write,
)
from tests.conftest import SQL_DIR

USUAL: dict[str, Any] = {}
RARE: dict[str, Any] = {"audit": (AuditRow(action="a", by="b", at=AT, detail="d"),)}


@pytest.fixture
def journal(database: Database) -> PostgresJournal:
    return PostgresJournal(database)


@pytest.fixture
def store(database: Database) -> PostgresStore:
    return PostgresStore(database)


@pytest.fixture
async def anna(pool: asyncpg.Pool) -> CustomerId:
    return await new_customer(pool)


@pytest.fixture
async def boris(pool: asyncpg.Pool) -> CustomerId:
    return await new_customer(pool)


async def journalled(journal: PostgresJournal, *customers: CustomerId) -> list[JournalSeq]:
    return [seq for seq in await journal.append([entry(customer) for customer in customers]) if seq is not None]


async def test_a_customer_is_loaded_as_made(store: PostgresStore, anna: CustomerId) -> None:
    assert await store.load([anna, CustomerId(999)]) == {anna: Loaded(version=0, state=None, data_key=b"key")}


async def test_a_destroyed_key_loads_as_an_empty_one(
    store: PostgresStore, anna: CustomerId, pool: asyncpg.Pool
) -> None:
    await pool.execute("update users set data_key = null")
    assert (await store.load([anna]))[anna].data_key == b""


@pytest.mark.parametrize("more", [USUAL, RARE], ids=["usual", "rare"])
async def test_all_of_a_write_is_stored(
    store: PostgresStore, journal: PostgresJournal, anna: CustomerId, pool: asyncpg.Pool, more: dict[str, Any]
) -> None:
    (seq,) = await journalled(journal, anna)
    id_ = new_uuid()
    heard, said = inbound(id_, provider_id="wamid.1"), outbound(id_, llm_cost=0.00012345, is_from_llm=True)
    row = conversation_row(id_, current_flow="support", status="queue", department="sales")
    assert await store.commit([write(anna, seq, conversations=(row,), messages=(heard, said), **more)]) == [True]
    assert await store.load([anna]) == {anna: Loaded(version=1, state=b"state", data_key=b"key")}
    assert (await journal.backlog()).count == 0
    stored = await pool.fetchrow("select user_id, current_flow, status, department, completed_at from conversations")
    assert tuple(stored) == (anna, "support", "queue", "sales", None)
    messages = await pool.fetch("select * from messages order by seq")
    assert [str(message["id"]) for message in messages] == [heard.id, said.id]
    assert [message["msg91_message_id"] for message in messages] == ["wamid.1", None]
    assert [message["content"] for message in messages] == [b"content", b"content"]
    assert (messages[1]["is_from_llm"], str(messages[1]["llm_cost"])) == (True, "0.00012345")


async def test_a_conversation_is_brought_up_to_date(store: PostgresStore, anna: CustomerId, pool: asyncpg.Pool) -> None:
    id_ = new_uuid()
    later = conversation_row(id_, status="closed", completed_at=AT + 9, resolution_time=9.0, created_at=AT + 5)
    await store.commit([write(anna, conversations=(conversation_row(id_),))])
    assert await store.commit([write(anna, version=1, conversations=(later,))]) == [True]
    row = await pool.fetchrow("select *, extract(epoch from created_at)::float8 as created from conversations")
    assert (row["status"], row["resolution_time"], row["created"]) == ("closed", 9.0, AT)


async def test_effects_timers_facts_and_audit_commit_with_the_state(
    store: PostgresStore, anna: CustomerId, pool: asyncpg.Pool
) -> None:
    effect, timer, id_ = effect_row(), timer_row(), ConversationId(new_uuid())
    facts = CustomerFacts(name=b"sealed", language="hi", opted_out=True, search=(b"w1", b"w2"))
    told = (AuditRow(action="a1", by="me", at=AT, detail="", conversation=id_), RARE["audit"][0])
    first = write(anna, effects=(effect,), timers=(timer,), facts=facts, audit=told)
    assert await store.commit([first]) == [True]
    assert await pool.fetchval("select sealed from effects where done_at is null") == b"question"
    assert await pool.fetchval("select extract(epoch from due_at)::float8 from timers") == timer.due
    user = await pool.fetchrow("select name, language, opted_out, search from users")
    assert tuple(user) == (b"sealed", "hi", True, [b"w1", b"w2"])
    audit = await pool.fetch("select action, user_id, conversation_id::text from audit order by id")
    assert [tuple(row) for row in audit] == [("a1", anna, id_), ("a", anna, None)]
    second = write(anna, version=1, done_effects=(effect.id,), stopped_timers=(timer.id,))
    assert await store.commit([second]) == [True]
    assert await pool.fetchval("select count(*) from effects where done_at is null") == 0
    assert await pool.fetchval("select count(*) from timers") == 0
    assert await pool.fetchval("select language from users") == "hi"


@pytest.mark.parametrize("more", [USUAL, RARE], ids=["usual", "rare"])
async def test_a_stale_write_changes_nothing_and_leaves_its_neighbours_alone(
    store: PostgresStore,
    journal: PostgresJournal,
    anna: CustomerId,
    boris: CustomerId,
    pool: asyncpg.Pool,
    more: dict[str, Any],
) -> None:
    hers, his = await journalled(journal, anna, boris)
    stale = write(
        boris, his, version=4, messages=(outbound(new_uuid()),), conversations=(conversation_row(new_uuid()),), **more
    )
    assert await store.commit([stale, write(anna, hers, **more)]) == [False, True]
    assert [row.seq for row in (await journal.unread([boris], 9))[boris]] == [his]
    assert (await store.load([boris]))[boris].version == 0
    assert await pool.fetchval("select count(*) from messages") == 0
    assert await pool.fetchval("select count(*) from conversations") == 0
    assert await pool.fetchval("select count(*) from audit where user_id = $1", boris) == 0


async def test_a_write_whose_event_is_consumed_already_is_stale(
    store: PostgresStore, journal: PostgresJournal, anna: CustomerId
) -> None:
    first, second = await journalled(journal, anna, anna)
    assert await store.commit([write(anna, first)]) == [True]
    assert await store.commit([write(anna, first, second, version=1)]) == [False]
    assert await store.commit([write(anna, second, version=1)]) == [True]


async def test_a_write_cannot_consume_the_event_of_another(
    store: PostgresStore, journal: PostgresJournal, anna: CustomerId, boris: CustomerId
) -> None:
    (his,) = await journalled(journal, boris)
    assert await store.commit([write(anna, his)]) == [False]


async def test_repeating_writes_that_took_effect_says_so(
    store: PostgresStore, journal: PostgresJournal, anna: CustomerId, boris: CustomerId, pool: asyncpg.Pool
) -> None:
    (seq,) = await journalled(journal, anna)
    consuming = write(anna, seq, messages=(outbound(new_uuid()),), commit_id=2**64 - 1)
    plain = write(boris, commit_id=0)
    assert await store.commit([consuming, plain]) == [True, True]
    assert await store.commit([plain, consuming]) == [True, True]
    assert await pool.fetchval("select count(*) from messages") == 1


async def test_a_write_recognises_itself_even_after_somebody_elses_next(
    store: PostgresStore, journal: PostgresJournal, anna: CustomerId
) -> None:
    first, second = await journalled(journal, anna, anna)
    mine = write(anna, first)
    assert await store.commit([mine]) == [True]
    assert await store.commit([write(anna, second, version=1)]) == [True]
    assert await store.commit([mine]) == [True]


async def test_after_a_lost_answer_the_same_writes_are_true(database_url: str) -> None:
    async with proxied(database_url) as (proxy, url), await connect(url, size=1) as pool:
        database = Database(pool, load_queries(SQL_DIR))
        journal, store = PostgresJournal(database), PostgresStore(database)
        anna = await new_customer(pool)
        (seq,) = await journalled(journal, anna)
        writes = [write(anna, seq, messages=(outbound(new_uuid()),))]
        proxy.swallowing = True
        with pytest.raises(Unavailable):
            await store.commit(writes)
        proxy.swallowing = False
        assert await store.commit(writes) == [True]
        assert await pool.fetchval("select count(*) from messages") == 1


async def test_a_repeated_write_whose_first_try_is_still_under_way_recognises_itself(
    store: PostgresStore, journal: PostgresJournal, anna: CustomerId, pool: asyncpg.Pool
) -> None:
    (seq,) = await journalled(journal, anna)
    again = write(anna, seq)
    async with pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute(
                "update users set version = 1, commit_id = $1, state = 'mine' where id = $2",
                again.commit_id - 2**63,
                anna,
            )
            repeated = asyncio.create_task(store.commit([again]))
            await waits_for_a_lock(pool)
        assert await repeated == [True]
    assert (await store.load([anna]))[anna] == Loaded(version=1, state=b"mine", data_key=b"key")


async def waits_for_a_lock(pool: asyncpg.Pool) -> None:
    asked = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    async with asyncio.timeout(5):
        while not await pool.fetchval(asked):
            pass


@pytest.mark.parametrize("more", [USUAL, RARE], ids=["usual", "rare"])
async def test_of_two_replicas_that_commit_the_same_events_one_is_stale(
    store: PostgresStore, journal: PostgresJournal, pool: asyncpg.Pool, more: dict[str, Any]
) -> None:
    customers = [await new_customer(pool) for _ in range(8)]
    for version in range(10):
        numbers = await journalled(journal, *customers)
        pairs = list(zip(customers, numbers, strict=True))
        results = await asyncio.gather(
            *(
                store.commit(
                    [
                        write(customer, seq, version=version, messages=(outbound(new_uuid()),), **more)
                        for customer, seq in order
                    ]
                )
                for order in (pairs, pairs[::-1], pairs)
            )
        )
        first, backwards, third = results
        for took_effect in zip(first, backwards[::-1], third, strict=True):
            assert sum(took_effect) == 1
    assert await pool.fetchval("select count(*) from messages") == 80
    assert {loaded.version for loaded in (await store.load(customers)).values()} == {10}
    assert (await journal.backlog()).count == 0


@pytest.mark.parametrize(
    "bad",
    [
        {"messages": (outbound(new_uuid(), agent="a\0b"),)},
        {"messages": (outbound(new_uuid(), agent="\ud800"),)},
        {"messages": (outbound(new_uuid(), delivery_status="lost"),)},
        {"messages": (outbound(new_uuid(), claimed_by=""),)},
        {"messages": (outbound("not a uuid"),)},
        {"conversations": (conversation_row(new_uuid(), language="\0"),)},
        {"timers": (timer_row(id="x"),)},
        {"version": 2**64},
    ],
    ids=["nul", "surrogate", "status", "unclaimed", "uuid", "language", "timer", "range"],
)
async def test_a_batch_with_a_bad_row_is_refused_whole(
    store: PostgresStore, anna: CustomerId, boris: CustomerId, bad: dict[str, Any]
) -> None:
    with pytest.raises(Unacceptable):
        await store.commit([write(anna), write(boris, **bad)])
    assert (await store.load([anna]))[anna].version == 0
    assert await store.commit([write(anna)]) == [True]
