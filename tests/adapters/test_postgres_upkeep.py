import asyncio
import itertools
from typing import Any

import asyncpg
import pytest

from bot.adapters.postgres.effects import PostgresEffects
from bot.adapters.postgres.flow_versions import PostgresFlowVersions
from bot.adapters.postgres.journal import PostgresJournal
from bot.adapters.postgres.keyring import PostgresKeyring
from bot.adapters.postgres.outbox import PostgresOutbox
from bot.adapters.postgres.parking import PostgresParking
from bot.adapters.postgres.pool import Database
from bot.adapters.postgres.replicas import PostgresReplicas
from bot.adapters.postgres.store import PostgresStore
from bot.adapters.postgres.timers import PostgresTimers
from bot.adapters.postgres.watch import PostgresWatch
from bot.core.ids import ConversationId, CustomerId, EffectId, JournalSeq
from bot.ports.effects import ModelCall, OrphanEffect
from bot.ports.journal import Backlog
from bot.ports.parking import KEY, STATE
from bot.ports.store import CustomerFacts, Loaded
from bot.ports.timers import DueTimer
from bot.runtime.letters import event_key
from tests.adapters.rows import (
    AT,
    conversation_row,
    effect_row,
    entry,
    inbound,
    new_customer,
    new_uuid,
    new_vault,
    note,
    outbound,
    timer_row,
    write,
)

TURNS = itertools.count(1)
"""Each call that claims has a name of its own."""


@pytest.fixture
def store(database: Database) -> PostgresStore:
    return PostgresStore(database)


@pytest.fixture
def watch(database: Database) -> PostgresWatch:
    return PostgresWatch(database)


@pytest.fixture
async def anna(pool: asyncpg.Pool) -> CustomerId:
    return await new_customer(pool)


# --- effects ---------------------------------------------------------------------------------------------------------


async def test_effects_of_a_replica_that_is_gone_are_claimed_once(
    database: Database, store: PostgresStore, anna: CustomerId
) -> None:
    effects, replicas = PostgresEffects(database), PostgresReplicas(database)
    await replicas.beat("other", 60)
    await replicas.beat("third", 60)
    rows = [effect_row(), effect_row()]
    await store.commit([write(anna, effects=tuple(rows))])
    claims = await asyncio.gather(*(effects.orphans(name, 9, turn=next(TURNS)) for name in ("other", "third")))
    claimed = [orphan for orphans in claims for orphan in orphans]
    assert {orphan.id for orphan in claimed} == {row.id for row in rows}
    assert len(claimed) == 2
    assert claimed[0] == OrphanEffect(id=claimed[0].id, customer=anna, data_key=b"key", sealed=b"question")
    assert list(await effects.orphans("other", 9, turn=next(TURNS))) == []


async def test_calls_are_accounted_once_and_added_up(database: Database, pool: asyncpg.Pool) -> None:
    effects = PostgresEffects(database)
    call = ModelCall(
        id=EffectId(new_uuid()), customer=CustomerId(1), conversation=ConversationId(new_uuid()), outcome="answered",
        model="m", prompt_tokens=10, completion_tokens=5, cost_usd=0.25, estimated=False, attempts=1, seconds=1.5,
        generation_id="g", at=AT,
    )  # fmt: skip
    await effects.account([call])
    await effects.account([call])
    assert await effects.spent_since(AT) == 0.25
    assert await effects.spent_since(AT + 1) == 0.0
    assert await pool.fetchval("select seconds from model_calls") == 1.5


# --- timers ----------------------------------------------------------------------------------------------------------


async def test_due_timers_come_earliest_first_and_stay(
    database: Database, store: PostgresStore, anna: CustomerId
) -> None:
    timers = PostgresTimers(database)
    late, early, future = timer_row(due=AT + 2), timer_row(due=AT + 1), timer_row(due=AT + 3)
    await store.commit([write(anna, timers=(late, early, future))])
    expected = [DueTimer(id=timer.id, customer=anna, kind="session") for timer in (early, late)]
    assert await timers.due(AT + 2, 9) == expected
    assert await timers.due(AT + 2, 1) == expected[:1]


async def test_timers_of_a_parked_customer_wait(database: Database, store: PostgresStore, anna: CustomerId) -> None:
    await store.commit([write(anna, timers=(timer_row(),))])
    await PostgresParking(database).park(anna, JournalSeq(1), "ValueError", 1, AT)
    assert list(await PostgresTimers(database).due(AT + 99, 9)) == []


# --- replicas --------------------------------------------------------------------------------------------------------


async def test_a_replica_that_is_long_gone_is_forgotten(database: Database, pool: asyncpg.Pool) -> None:
    replicas = PostgresReplicas(database)
    await replicas.beat("old", 60)
    await pool.execute("update replicas set gone_at = now() - interval '2 days'")
    await replicas.beat("me", 60)
    assert [row["id"] for row in await pool.fetch("select id from replicas")] == ["me"]


# --- parking ---------------------------------------------------------------------------------------------------------


async def parked(database: Database, pool: asyncpg.Pool, anna: CustomerId) -> int:
    (seq,) = await PostgresJournal(database).append([entry(anna)])
    assert seq is not None
    parking = PostgresParking(database)
    await parking.park(anna, seq, "ValueError", 1, AT)
    await parking.park(anna, seq, "KeyError", 2, AT)
    row = await pool.fetchrow("select id, error, attempts from parked")
    assert tuple(row)[1:] == ("KeyError", 2)
    return int(row["id"])


async def test_a_released_customer_meets_the_same_event_again(
    database: Database, pool: asyncpg.Pool, anna: CustomerId
) -> None:
    id_ = await parked(database, pool, anna)
    assert await PostgresParking(database).release(id_, discard=False, at=AT) == anna
    assert await PostgresParking(database).release(id_, discard=False, at=AT) is None
    assert (await PostgresJournal(database).backlog()).count == 1


async def test_a_discarded_event_is_consumed_and_audited(
    database: Database, pool: asyncpg.Pool, anna: CustomerId, store: PostgresStore
) -> None:
    id_ = await parked(database, pool, anna)
    parking = PostgresParking(database)
    assert await parking.release(id_, discard=True, at=AT) == anna
    assert await parking.release(id_, discard=True, at=AT) is None
    assert (await PostgresJournal(database).backlog()).count == 0
    assert await pool.fetchval("select action from audit where user_id = $1", anna) == "event_discarded"
    assert await store.commit([write(anna)]) == [False]


@pytest.mark.parametrize("kind", ["timer_fired", "model_answered", "model_failed", "message_received"])
async def test_what_a_discarded_event_came_from_ends_with_it_and_nothing_else(
    database: Database, pool: asyncpg.Pool, anna: CustomerId, store: PostgresStore, kind: str
) -> None:
    own, other = timer_row(due=AT - 1), timer_row(due=AT - 1)
    asked, also = effect_row(), effect_row()
    await store.commit([write(anna, timers=(own, other), effects=(asked, also))])
    of_what = ("timer", own.id) if kind == "timer_fired" else ("ask", asked.id)
    (seq,) = await PostgresJournal(database).append([entry(anna, kind=kind, dedup=event_key(*of_what))])
    assert seq is not None
    parking = PostgresParking(database)
    await parking.park(anna, seq, "ValueError", 3, AT)
    await parking.release(await pool.fetchval("select id from parked"), discard=True, at=AT)
    gone = {own.id} if kind == "timer_fired" else {asked.id} if kind.startswith("model") else set()
    left = await pool.fetch("select id from timers union all select id from effects where done_at is null")
    assert {str(row["id"]) for row in left} == {own.id, other.id, asked.id, also.id} - gone


async def test_a_state_that_is_given_up_takes_what_it_had_under_way_with_it_and_no_event(
    database: Database, pool: asyncpg.Pool, anna: CustomerId, store: PostgresStore
) -> None:
    talk, before = new_uuid(), new_uuid()
    facts = CustomerFacts(name=b"sealed", language="hi", opted_out=True, search=())
    open_row, done_row = conversation_row(talk, status="agent"), conversation_row(before, completed_at=AT - 9)
    began = write(
        anna, conversations=(open_row, done_row), timers=(timer_row(),), effects=(effect_row(),), facts=facts,
        messages=(outbound(talk),),
    )  # fmt: skip
    assert await store.commit([began]) == [True]
    (seq,) = await PostgresJournal(database).append([entry(anna)])
    assert seq is not None
    parking = PostgresParking(database)
    await parking.park(anna, STATE, "the state cannot be opened", 3, AT)
    id_ = await pool.fetchval("select id from parked")
    assert await parking.release(id_, discard=True, at=AT + 5) == anna
    assert await parking.release(id_, discard=True, at=AT + 5) is None
    loaded = (await store.load([anna]))[anna]
    assert loaded == Loaded(version=2, state=None, data_key=b"key", language="hi", opted_out=True)
    assert [row.seq for row in (await PostgresJournal(database).unread([anna], 9))[anna]] == [seq]
    assert await pool.fetchval("select count(*) from timers") == 0
    assert await pool.fetchval("select count(*) from effects where done_at is null") == 0
    assert await pool.fetchval("select count(*) from messages where claimed_by = 'me'") == 1
    closed = "select extract(epoch from completed_at) from conversations where id = $1 and status = 'closed'"
    assert await pool.fetchval(closed, talk) == AT + 5
    assert (
        await pool.fetchval("select extract(epoch from completed_at) from conversations where id = $1", before)
        == AT - 9
    )
    noted = await pool.fetchrow("select action, by_whom, conversation_id::text, detail from audit")
    told = "the state cannot be opened; it was held by: agent"
    assert tuple(noted) == ("conversation_begun_anew", "operator", talk, told)


async def test_a_customer_whose_key_is_missing_loses_nothing_by_a_discard(
    database: Database, pool: asyncpg.Pool, anna: CustomerId, store: PostgresStore
) -> None:
    assert await store.commit([write(anna, timers=(timer_row(),))]) == [True]
    parking = PostgresParking(database)
    await parking.park(anna, KEY, "the customer's key cannot be opened", 3, AT)
    assert (await store.load([anna]))[anna].parked
    id_ = await pool.fetchval("select id from parked")
    assert await parking.release(id_, discard=True, at=AT) == anna
    assert (await store.load([anna]))[anna] == Loaded(version=1, state=b"state", data_key=b"key")
    assert await pool.fetchval("select count(*) from timers") == 1
    assert await pool.fetchval("select array_agg(action) from audit") == ["parked_retried"]


# --- keys and flows --------------------------------------------------------------------------------------------------


async def test_a_key_is_made_once(database: Database) -> None:
    keyring = PostgresKeyring(database)
    made = await asyncio.gather(keyring.obtain("fingerprint", b"1"), keyring.obtain("fingerprint", b"2"))
    assert made[0] == made[1]
    assert await keyring.obtain("fingerprint", b"3") == made[0]


async def test_sources_of_flows_are_kept(database: Database) -> None:
    versions = PostgresFlowVersions(database)
    await versions.keep([])
    await versions.keep([("d1", "support", 1, "text"), ("d1", "support", 1, "text"), ("d2", "support", 2, "more")])
    await versions.keep([("d1", "support", 1, "text")])
    assert [await versions.source(digest) for digest in ("d1", "d2", "d3")] == ["text", "more", None]


# --- what the alarms look at -----------------------------------------------------------------------------------------


HEARD = inbound("00000000-0000-7000-8000-000000000001")
CONVERSATION = HEARD.conversation


@pytest.mark.parametrize(
    ("messages", "conversation", "expected"),
    [
        ([inbound(CONVERSATION)], {}, 1),
        ([inbound(CONVERSATION), outbound(CONVERSATION)], {}, 1),
        ([outbound(CONVERSATION), inbound(CONVERSATION)], {}, 1),
        ([inbound(CONVERSATION, unanswered="stale")], {}, 0),
        ([inbound(CONVERSATION)], {"status": "queue"}, 0),
        ([inbound(CONVERSATION)], {"status": "agent"}, 0),
        ([inbound(CONVERSATION)], {"status": "closed", "completed_at": AT}, 0),
        ([inbound(CONVERSATION)], {"heard_at": AT + 50}, 0),
        ([inbound(CONVERSATION)], {"heard_at": AT - 90_000}, 0),
        ([], {}, 0),
    ],
    ids=["silence", "reply not sent", "reply before", "decision", "queue", "agent", "closed", "recent", "old", "none"],
)
async def test_a_customer_without_an_answer_is_counted(
    store: PostgresStore,
    watch: PostgresWatch,
    anna: CustomerId,
    messages: list[Any],
    conversation: dict[str, Any],
    expected: int,
) -> None:
    row = conversation_row(CONVERSATION, **conversation)
    assert await store.commit([write(anna, conversations=(row,), messages=tuple(messages))]) == [True]
    assert await watch.unanswered(AT + 10) == expected


async def test_a_reply_counts_once_the_provider_took_it(
    store: PostgresStore, watch: PostgresWatch, anna: CustomerId, database: Database
) -> None:
    said = outbound(CONVERSATION)
    messages = (inbound(CONVERSATION), said)
    await store.commit([write(anna, conversations=(conversation_row(CONVERSATION),), messages=messages)])
    outbox = PostgresOutbox(database, new_vault())
    await outbox.note([note(said.id, "sending")])
    assert await watch.unanswered(AT + 10) == 1
    await outbox.note([note(said.id, "sent")])
    assert await watch.unanswered(AT + 10) == 0


async def test_a_customer_whose_message_was_accepted_and_not_stepped_is_counted_once(
    store: PostgresStore, watch: PostgresWatch, anna: CustomerId, database: Database
) -> None:
    await PostgresJournal(database).append([entry(anna), entry(anna), entry(anna, kind="timer_fired")])
    assert await watch.unanswered(AT + 10) == 1
    assert await watch.unanswered(AT - 10) == 0
    row = conversation_row(CONVERSATION)
    await store.commit([write(anna, conversations=(row,), messages=(inbound(CONVERSATION),))])
    assert await watch.unanswered(AT + 10) == 1


async def test_what_waits_is_counted(
    store: PostgresStore, watch: PostgresWatch, anna: CustomerId, database: Database, pool: asyncpg.Pool
) -> None:
    now = await pool.fetchval("select extract(epoch from now())::float8")
    await store.commit([write(anna, messages=(outbound(CONVERSATION, at=now - 100), outbound(CONVERSATION, at=now)))])
    outbox = await watch.outbox()
    assert outbox.count == 2
    assert 100 <= outbox.oldest_seconds < 160
    await parked(database, pool, anna)
    assert await watch.parked() == 1
    assert await watch.backlog() == Backlog(count=0, oldest_seconds=0)


async def test_the_longest_due_timer_tells_how_late_timers_are(
    store: PostgresStore, watch: PostgresWatch, anna: CustomerId, database: Database, pool: asyncpg.Pool
) -> None:
    now = await pool.fetchval("select extract(epoch from now())::float8")
    await store.commit([write(anna, timers=(timer_row(due=now + 100),))])
    assert await watch.timers_late() == 0
    await store.commit([write(anna, version=1, timers=(timer_row(due=now - 100), timer_row(due=now - 50)))])
    assert 100 <= await watch.timers_late() < 160
    await parked(database, pool, anna)
    assert await watch.timers_late() == 0
