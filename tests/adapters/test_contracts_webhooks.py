"""The promises of outgoing webhooks' port, held against the store in memory and PostgreSQL."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from bot.adapters.postgres.directory import PostgresDirectory
from bot.adapters.postgres.pool import Database
from bot.adapters.postgres.replicas import PostgresReplicas
from bot.adapters.postgres.store import PostgresStore
from bot.adapters.postgres.webhooks import COUNTED_MOST, PostgresWebhooks
from bot.ports.failures import Unacceptable
from bot.ports.webhooks import (
    EndpointChanges,
    EndpointId,
    NewEndpoint,
)
from tests.adapters.rows import AT, new_uuid, new_vault, write
from tests.adapters.webhook_side import NOBODY, RECEIVED, STARTED, Side, announcement
from tests.runtime.memory.directory import MemoryDirectory
from tests.runtime.memory.link import Link
from tests.runtime.memory.rest import MemoryReplicas
from tests.runtime.memory.store import MemoryStore
from tests.runtime.memory.tables import Tables
from tests.runtime.memory.vault import MemoryVault
from tests.runtime.memory.webhooks import MemoryWebhooks
from tests.runtime.simulated_clock import SimulatedClock

SHIFTED = {
    "webhook_deliveries": ("next_try_at", "claimed_until"),
    "webhook_endpoints": ("hold_until", "failing_since", "old_secret_until"),
    "replicas": ("gone_at",),
}
"""What moves into the past when time passes."""


@pytest.fixture(params=["memory", "postgres"])
def side(request: pytest.FixtureRequest) -> Side:
    if request.param == "memory":
        tables, link, clock = Tables(), Link(), SimulatedClock()
        return Side(
            webhooks=MemoryWebhooks(tables, link, clock),
            store=MemoryStore(tables, link),
            directory=MemoryDirectory(tables, link, MemoryVault()),
            replicas=MemoryReplicas(tables, link, clock),
            lapse=clock.advance,
        )
    pool: asyncpg.Pool = request.getfixturevalue("pool")
    database: Database = request.getfixturevalue("database")

    async def lapse(seconds: float) -> None:
        for table, columns in SHIFTED.items():
            moved = ", ".join(f"{column} = {column} - $1::interval" for column in columns)
            await pool.execute(f"update {table} set {moved}", timedelta(seconds=seconds))

    return Side(
        webhooks=PostgresWebhooks(database),
        store=PostgresStore(database),
        directory=PostgresDirectory(database, new_vault()),
        replicas=PostgresReplicas(database),
        lapse=lapse,
    )


# --- who is told -----------------------------------------------------------------------------------------------------


async def test_endpoints_are_shown_the_last_one_first_and_no_more_than_there_may_be(side: Side) -> None:
    first = await side.endpoint(RECEIVED, STARTED, description="crm")
    second = await side.endpoint(url="https://example.com/2", most=2)
    new = NewEndpoint(id=EndpointId(new_uuid()), url="https://x.com/", events=(), description="", secret=b"")
    assert await side.webhooks.make(new, most=2) is None
    assert [one.id for one in await side.webhooks.endpoints()] == [second, first]
    shown = await side.webhooks.endpoint(first)
    assert shown is not None
    assert (shown.url, shown.events, shown.description) == ("https://example.com/", (RECEIVED, STARTED), "crm")
    assert (shown.active, shown.disabled_at, shown.disabled_reason, shown.failing_since) == (True, None, "", None)
    assert await side.webhooks.endpoint(NOBODY) is None


async def test_what_is_not_changed_stays(side: Side) -> None:
    id_ = await side.endpoint(description="crm")
    changed = await side.webhooks.change(id_, EndpointChanges(events=(STARTED,)))
    assert changed is not None
    assert (changed.url, changed.events, changed.description, changed.active) == (
        "https://example.com/",
        (STARTED,),
        "crm",
        True,
    )
    off = await side.webhooks.change(id_, EndpointChanges(active=False, url="https://example.com/2"))
    assert off is not None
    assert (off.active, off.disabled_reason, off.url, off.events) == (
        False,
        "by request",
        "https://example.com/2",
        (STARTED,),
    )
    assert off.disabled_at is not None
    on = await side.webhooks.change(id_, EndpointChanges(active=True, description=""))
    assert on is not None
    assert (on.active, on.disabled_at, on.disabled_reason, on.description) == (True, None, "", "")
    assert await side.webhooks.change(NOBODY, EndpointChanges(active=True)) is None


async def test_an_event_is_written_down_for_each_active_endpoint_that_wants_it(side: Side) -> None:
    both, one, off = await side.endpoint(RECEIVED, STARTED), await side.endpoint(STARTED), await side.endpoint()
    await side.webhooks.change(off, EndpointChanges(active=False))
    started, received = await side.tell(await side.customer(), STARTED, RECEIVED)
    found = await side.webhooks.deliveries(both, status=None, after=None, limit=10)
    assert [(row.event_id, row.type, row.status) for row in found] == [
        (received, RECEIVED, "pending"),
        (started, STARTED, "pending"),
    ]
    assert [(row.attempts, row.last_status_code, row.error, row.finished_at) for row in found] == [
        (0, None, "", None)
    ] * 2
    assert await side.statuses(one) == ["pending"]
    assert await side.statuses(off) == []
    assert (await side.webhooks.backlog()).count == 3
    assert (await side.webhooks.backlog()).oldest_seconds > 0


async def test_a_write_that_is_stale_announces_nothing_and_a_repeated_one_nothing_twice(side: Side) -> None:
    id_ = await side.endpoint()
    anna, boris = await side.customer(), await side.customer()
    mine = write(anna, announcements=(announcement(), announcement()))
    stale = write(boris, version=9, announcements=(announcement(),))
    assert await side.store.commit([stale, mine]) == [False, True]
    assert await side.store.commit([mine]) == [True]
    assert len(await side.statuses(id_)) == 2


async def test_a_value_that_the_store_refuses_takes_its_write_with_it(side: Side) -> None:
    await side.endpoint()
    anna = await side.customer()
    with pytest.raises(Unacceptable):
        await side.store.commit([write(anna, announcements=(announcement(id="no uuid"),))])
    assert (await side.store.load([anna]))[anna].version == 0


async def test_a_removed_endpoint_is_told_nothing_more(side: Side) -> None:
    id_ = await side.endpoint()
    await side.tell(await side.customer(), RECEIVED)
    assert await side.webhooks.remove(id_)
    assert not await side.webhooks.remove(id_)
    assert list(await side.claim(id_)) == []
    (row,) = await side.webhooks.deliveries(id_, status=None, after=None, limit=10)
    assert await side.webhooks.redeliver(row.id) is None
    assert (await side.webhooks.backlog()).count == 0


# --- claims ----------------------------------------------------------------------------------------------------------


async def test_a_claim_brings_all_that_is_needed_and_nobody_else_gets_it(side: Side) -> None:
    id_ = await side.endpoint(url="https://example.com/a", secret=b"s9")
    anna = await side.customer()
    (event,) = await side.tell(anna, RECEIVED)
    (claimed,) = await side.claim(id_)
    assert (claimed.endpoint, claimed.url, claimed.secrets) == (id_, "https://example.com/a", (b"s9",))
    assert (claimed.event_id, claimed.customer, claimed.sealed, claimed.attempts) == (event, anna, b"\0body", 0)
    assert claimed.data_key == (await side.store.load([anna]))[anna].data_key
    assert list(await side.claim(id_)) == []


async def test_of_one_customer_one_is_under_way_and_of_others_as_many_as_there_is_room(side: Side) -> None:
    id_ = await side.endpoint()
    anna, boris, chitra = await side.customer(), await side.customer(), await side.customer()
    first, second = await side.tell(anna, RECEIVED, RECEIVED)
    (his,) = await side.tell(boris, RECEIVED)
    await side.tell(chitra, RECEIVED)
    claimed = await side.claim(id_, room=2)
    assert [one.event_id for one in claimed] == [first, his]
    assert len(await side.claim(id_)) == 1
    assert list(await side.claim(id_)) == []
    await side.note(claimed[0], "delivered")
    assert [one.event_id for one in await side.claim(id_)] == [second]


async def test_what_fails_again_and_again_lets_later_ones_pass(side: Side) -> None:
    id_ = await side.endpoint()
    first, second = await side.tell(await side.customer(), RECEIVED, RECEIVED)
    for tries in (1, 2):
        (claimed,) = await side.claim(id_)
        assert (claimed.event_id, claimed.attempts) == (first, tries - 1)
        await side.note(claimed, "pending", delay=50.0)
        if tries == 1:
            assert list(await side.claim(id_)) == []
            await side.lapse(50.5)
    assert [one.event_id for one in await side.claim(id_)] == [second]


async def test_a_claim_ends_with_its_time_or_with_its_replica(side: Side) -> None:
    id_ = await side.endpoint()
    await side.replicas.beat("dying", 10.0)
    await side.replicas.beat("slow", 1000.0)
    await side.tell(await side.customer(), RECEIVED)
    (claimed,) = await side.claim(id_, me="dying")
    assert list(await side.claim(id_, me="slow")) == []
    await side.lapse(11.0)
    assert len(await side.claim(id_, me="slow")) == 1
    assert list(await side.claim(id_)) == []
    await side.note(claimed, "pending", me="dying")
    assert list(await side.claim(id_)) == [], "a note of a claim that is over changes nothing"
    await side.lapse(61.0)
    assert len(await side.claim(id_)) == 1


async def test_a_success_counts_whoever_tells_of_it(side: Side) -> None:
    id_ = await side.endpoint()
    await side.tell(await side.customer(), RECEIVED)
    (claimed,) = await side.claim(id_, me="other")
    await side.note(claimed, "delivered", status_code=204, error="")
    await side.note(claimed, "pending", me="other")
    (row,) = await side.webhooks.deliveries(id_, status="delivered", after=None, limit=10)
    assert (row.attempts, row.last_status_code, row.error, row.next_try_at) == (1, 204, "", None)
    assert row.finished_at is not None


async def test_for_a_while_both_secrets_sign(side: Side) -> None:
    id_ = await side.endpoint(secret=b"old")
    await side.tell(await side.customer(), RECEIVED)
    await side.tell(await side.customer(), RECEIVED)
    assert await side.webhooks.rotate(NOBODY, b"new", overlap=100.0) is None
    assert isinstance(await side.webhooks.rotate(id_, b"new", overlap=100.0), datetime)
    assert [one.secrets for one in await side.claim(id_, room=1)] == [(b"new", b"old")]
    await side.lapse(101.0)
    assert {one.secrets for one in await side.claim(id_)} == {(b"new",)}


async def test_what_belongs_to_no_customer_has_no_key_and_no_order(side: Side) -> None:
    id_ = await side.endpoint()
    for _ in range(2):
        made = await side.webhooks.add(id_, new_uuid(), "ping", b"ping")
        assert made is not None
        assert (made.type, made.status, made.conversation_id) == ("ping", "pending", None)
    assert [(one.customer, one.data_key) for one in await side.claim(id_)] == [(None, b"")] * 2
    assert await side.webhooks.add(NOBODY, new_uuid(), "ping", b"ping") is None


# --- an endpoint that fails ------------------------------------------------------------------------------------------


async def failing(side: Side, id_: EndpointId, times: int) -> None:
    for _ in range(times):
        await side.tell(await side.customer(), RECEIVED)
        claimed = (await side.claim(id_, room=1))[0]
        await side.note(claimed, "pending", delay=5000.0)


async def test_an_endpoint_that_fails_is_left_alone_longer_and_longer_and_then_asked_once(side: Side) -> None:
    id_ = await side.endpoint()
    await failing(side, id_, 3)
    for _ in range(3):
        await side.tell(await side.customer(), RECEIVED)
    assert list(await side.claim(id_)) == []
    await side.lapse(101.0)
    (probe,) = await side.claim(id_)
    await side.note(probe, "pending", delay=5000.0)
    await side.lapse(150.0)
    assert list(await side.claim(id_)) == []
    await side.lapse(51.0)
    (probe,) = await side.claim(id_)
    await side.note(probe, "delivered")
    assert len(await side.claim(id_)) == 1, "it is heard of again, and one is left"
    shown = await side.webhooks.endpoint(id_)
    assert shown is not None
    assert (shown.active, shown.failing_since) == (True, None)


async def test_an_endpoint_that_took_nothing_for_too_long_is_disabled_until_it_is_switched_on(side: Side) -> None:
    id_ = await side.endpoint()
    await failing(side, id_, 1)
    await side.lapse(1001.0)
    await side.tell(await side.customer(), RECEIVED)
    (claimed,) = await side.claim(id_)
    assert await side.note(claimed, "pending") == ["nothing was taken for too long"]
    assert list(await side.claim(id_)) == []
    assert (await side.webhooks.backlog()).count == 0
    await side.webhooks.change(id_, EndpointChanges(active=True))
    assert len(await side.claim(id_)) == 1
    assert (await side.webhooks.backlog()).count == 2


async def test_an_endpoint_that_is_gone_is_disabled_at_once(side: Side) -> None:
    id_ = await side.endpoint()
    await side.tell(await side.customer(), RECEIVED)
    (claimed,) = await side.claim(id_)
    assert await side.note(claimed, "failed", gone=True, status_code=410) == ["the endpoint answered 410: it is gone"]
    assert await side.statuses(id_) == ["failed"]
    shown = await side.webhooks.endpoint(id_)
    assert shown is not None
    assert not shown.active
    assert shown.disabled_at is not None


async def test_what_is_cancelled_is_no_failure_of_the_endpoint(side: Side) -> None:
    id_ = await side.endpoint()
    await side.tell(await side.customer(), RECEIVED)
    (claimed,) = await side.claim(id_)
    await side.note(claimed, "cancelled", tried=False, status_code=0, error="erased")
    (row,) = await side.webhooks.deliveries(id_, status="cancelled", after=None, limit=10)
    assert (row.attempts, row.last_status_code, row.error) == (0, None, "erased")
    assert await side.webhooks.redeliver(row.id) is None
    shown = await side.webhooks.endpoint(id_)
    assert shown is not None
    assert shown.failing_since is None


# --- looking back and telling again ----------------------------------------------------------------------------------


async def test_deliveries_are_listed_page_by_page_and_by_status(side: Side) -> None:
    id_, other = await side.endpoint(), await side.endpoint()
    events = [event for _ in range(3) for event in await side.tell(await side.customer(), RECEIVED)]
    for one in await side.claim(id_, room=1):
        await side.note(one, "delivered")
    first = await side.webhooks.deliveries(id_, status=None, after=None, limit=2)
    rest = await side.webhooks.deliveries(id_, status=None, after=first[-1].id, limit=2)
    assert [row.event_id for row in [*first, *rest]] == events[::-1]
    pending = await side.webhooks.deliveries(id_, status="pending", after=None, limit=10)
    assert [row.event_id for row in pending] == events[:0:-1]
    assert await side.statuses(other) == ["pending"] * 3


async def test_a_delivery_begins_anew_on_request(side: Side) -> None:
    id_ = await side.endpoint()
    (event,) = await side.tell(await side.customer(), RECEIVED)
    (claimed,) = await side.claim(id_)
    under_way = await side.webhooks.redeliver(claimed.id)
    assert under_way is not None
    assert list(await side.claim(id_)) == [], "one under way is left to itself"
    await side.note(claimed, "pending", delay=5000.0)
    again = await side.webhooks.redeliver(claimed.id)
    assert again is not None
    assert (again.status, again.attempts, again.finished_at) == ("pending", 0, None)
    (claimed,) = await side.claim(id_)
    assert claimed.event_id == event
    await side.note(claimed, "delivered")
    assert await side.webhooks.redeliver(claimed.id) is not None
    assert [one.event_id for one in await side.claim(id_)] == [event]
    assert await side.webhooks.redeliver(10**9) is None


async def test_all_that_was_given_up_since_a_moment_begins_anew(side: Side) -> None:
    id_ = await side.endpoint()
    for _ in range(4):
        await side.tell(await side.customer(), RECEIVED)
    claimed = await side.claim(id_)
    for one, status in zip(claimed, ("failed", "failed", "failed", "delivered"), strict=True):
        await side.note(one, status)
    begin = datetime.fromtimestamp(AT, UTC)
    assert await side.webhooks.redeliver_since(id_, begin + timedelta(1), status="failed", limit=10) == 0
    assert await side.webhooks.redeliver_since(id_, begin, status="failed", limit=2) == 2
    assert await side.statuses(id_) == ["delivered", "failed", "pending", "pending"]
    assert await side.webhooks.redeliver_since(id_, begin, status="delivered", limit=10) == 1
    assert await side.webhooks.redeliver_since(NOBODY, begin, status="failed", limit=10) == 0


async def test_old_deliveries_are_forgotten_in_batches(side: Side) -> None:
    id_ = await side.endpoint()
    for _ in range(3):
        await side.tell(await side.customer(), RECEIVED)
    assert await side.webhooks.forget(AT, 10) == 0
    assert await side.webhooks.forget(AT + 1, 2) == 2
    assert await side.webhooks.forget(AT + 1, 2) == 1
    assert await side.statuses(id_) == []


async def test_what_waits_is_counted_up_to_a_bound(pool: asyncpg.Pool, database: Database) -> None:
    webhooks = PostgresWebhooks(database)
    new = NewEndpoint(id=EndpointId(new_uuid()), url="https://x.com/", events=(RECEIVED,), description="", secret=b"")
    assert await webhooks.make(new, most=1)
    await pool.execute(
        "insert into webhook_deliveries (endpoint_id, event_id, type, sealed, next_try_at, created_at)"
        " select $1, gen_random_uuid(), 'ping', '', now(), now() from generate_series(1, $2)",
        new.id,
        COUNTED_MOST + 5,
    )
    assert (await webhooks.backlog()).count == COUNTED_MOST
