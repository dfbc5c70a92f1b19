"""The promises of the ports, held against the stores in memory and the real ones: so that the former can stand in.

What is here is what simulations rest on. What only one side has (locks, lost answers, scripts) is tested beside it.
"""

import itertools
from collections.abc import AsyncIterator, Sequence

import asyncpg
import msgspec
import pytest

from bot.adapters.postgres.directory import PostgresDirectory
from bot.adapters.postgres.effects import PostgresEffects
from bot.adapters.postgres.journal import PostgresJournal
from bot.adapters.postgres.outbox import PostgresOutbox
from bot.adapters.postgres.parking import PostgresParking
from bot.adapters.postgres.pool import Database
from bot.adapters.postgres.replicas import PostgresReplicas
from bot.adapters.postgres.store import PostgresStore
from bot.adapters.postgres.timers import PostgresTimers
from bot.adapters.redis.connection import connect
from bot.adapters.redis.seats import RedisSeats
from bot.core.events import Sender
from bot.core.ids import ConversationId, CustomerId, JournalSeq, MessageId
from bot.ports.directory import Directory, Merge
from bot.ports.effects import Effects
from bot.ports.failures import Unacceptable
from bot.ports.journal import Entry, Journal
from bot.ports.outbox import Outbox
from bot.ports.parking import KEY, STATE, Parking
from bot.ports.replicas import Replicas
from bot.ports.seats import Keep, Seats
from bot.ports.store import CustomerFacts, Loaded, MessageRow, Store
from bot.ports.timers import Timers
from bot.runtime.letters import event_key
from bot.wire.msg91.reports import DeliveryReport, ReportStatus
from tests.adapters.rows import (
    AT,
    conversation_row,
    effect_row,
    entry,
    new_uuid,
    new_vault,
    note,
    outbound,
    timer_row,
    write,
)
from tests.runtime.memory.directory import MemoryDirectory
from tests.runtime.memory.journal import MemoryJournal, MemoryParking
from tests.runtime.memory.link import Link
from tests.runtime.memory.outbox import MemoryOutbox
from tests.runtime.memory.rest import MemoryEffects, MemoryReplicas, MemoryTimers
from tests.runtime.memory.seats import MemorySeats, Places
from tests.runtime.memory.store import MemoryStore
from tests.runtime.memory.tables import Tables
from tests.runtime.memory.vault import MemoryVault
from tests.runtime.simulated_clock import SimulatedClock

TURNS = itertools.count(1)
"""Each call that claims has a name of its own."""

ANNA, BORIS = Sender(phone="910000000001"), Sender(phone="910000000002")


class Stores(msgspec.Struct):
    """One side: all ports over the same data."""

    directory: Directory
    effects: Effects
    journal: Journal
    outbox: Outbox
    parking: Parking
    replicas: Replicas
    store: Store
    timers: Timers

    async def customer(self, sender: Sender) -> CustomerId:
        (customer,) = await self.directory.resolve([sender], announced)
        return customer

    async def journalled(self, *customers: CustomerId) -> list[JournalSeq]:
        numbers = await self.journal.append([entry(customer) for customer in customers])
        return [number for number in numbers if number is not None]

    async def sending(self, sender: Sender, *statuses: str, claimed_by: str = "me") -> list[MessageId]:
        """Messages of ours to a customer, committed with these statuses."""
        customer, id_ = await self.customer(sender), new_uuid()
        rows = tuple(outbound(id_, delivery_status=status, claimed_by=claimed_by) for status in statuses)
        version = (await self.store.load([customer]))[customer].version
        committed = write(customer, version=version, conversations=(conversation_row(id_),), messages=rows)
        assert await self.store.commit([committed]) == [True]
        return [row.id for row in rows]

    async def left_behind(self, me: str = "next") -> list[tuple[MessageId, bool]]:
        return [(orphan.id, orphan.uncertain) for orphan in await self.outbox.orphans(me, 100, turn=next(TURNS))]


def announced(merge: Merge) -> Entry:
    return entry(merge.kept)


@pytest.fixture(params=["memory", "postgres"])
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "memory":
        tables, link, clock = Tables(), Link(), SimulatedClock()
        return Stores(
            directory=MemoryDirectory(tables, link, MemoryVault()),
            effects=MemoryEffects(tables, link, clock),
            journal=MemoryJournal(tables, link, clock),
            outbox=MemoryOutbox(tables, link, clock),
            parking=MemoryParking(tables, link),
            replicas=MemoryReplicas(tables, link, clock),
            store=MemoryStore(tables, link),
            timers=MemoryTimers(tables, link),
        )
    database: Database = request.getfixturevalue("database")
    vault = new_vault()
    return Stores(
        directory=PostgresDirectory(database, vault),
        effects=PostgresEffects(database),
        journal=PostgresJournal(database),
        outbox=PostgresOutbox(database, vault),
        parking=PostgresParking(database),
        replicas=PostgresReplicas(database),
        store=PostgresStore(database),
        timers=PostgresTimers(database),
    )


# --- journal ---------------------------------------------------------------------------------------------------------


async def test_numbers_rise_and_the_same_event_is_appended_once(stores: Stores) -> None:
    anna = await stores.customer(ANNA)
    first, second = entry(anna), entry(anna)
    numbers = await stores.journal.append([first, second])
    assert numbers[0] is not None
    assert numbers[1] is not None
    assert numbers[0] < numbers[1]
    assert list(await stores.journal.append([entry(anna, dedup=first.dedup)])) == [None]
    assert list(await stores.journal.append([first, second])) == list(numbers)
    rows = (await stores.journal.unread([anna], 10))[anna]
    assert [row.seq for row in rows] == list(numbers)
    assert [row.sealed for row in rows] == [first.sealed, second.sealed]


async def test_of_an_event_twice_in_one_batch_the_first_counts(stores: Stores) -> None:
    anna = await stores.customer(ANNA)
    first = entry(anna)
    numbers = await stores.journal.append([first, first, entry(anna, dedup=first.dedup)])
    assert [number is None for number in numbers] == [False, True, True]


async def test_unread_rows_come_in_order_up_to_a_limit_and_none_of_a_parked_customer(stores: Stores) -> None:
    anna, boris = await stores.customer(ANNA), await stores.customer(BORIS)
    numbers = await stores.journalled(anna, boris, anna, anna)
    await stores.parking.park(boris, numbers[1], "no", 3, AT)
    unread = await stores.journal.unread([boris, anna], 2)
    assert [row.seq for row in unread[anna]] == [numbers[0], numbers[2]]
    assert list(unread[boris]) == []
    assert list(await stores.journal.forgotten(AT + 1, 10)) == [anna]
    assert list(await stores.journal.forgotten(AT, 10)) == []
    assert (await stores.journal.backlog()).count == 3


# --- commits ---------------------------------------------------------------------------------------------------------


async def test_a_commit_is_guarded_by_the_version_and_by_what_it_consumes(stores: Stores) -> None:
    anna, boris = await stores.customer(ANNA), await stores.customer(BORIS)
    hers, his = await stores.journalled(anna, boris)
    assert await stores.store.commit([write(anna, hers, version=1), write(boris, his)]) == [False, True]
    assert await stores.store.commit([write(boris, his, version=1)]) == [False]
    (later,) = await stores.journalled(anna)
    assert await stores.store.commit([write(anna, later)]) == [False]
    assert await stores.store.commit([write(anna, hers)]) == [True]
    loaded = await stores.store.load([anna, boris, CustomerId(10**9)])
    assert {customer: one.version for customer, one in loaded.items()} == {anna: 1, boris: 1}


async def test_a_repeated_write_recognises_itself(stores: Stores) -> None:
    anna = await stores.customer(ANNA)
    first, second = await stores.journalled(anna, anna)
    mine, plain = write(anna, first), write(anna, version=1)
    assert await stores.store.commit([mine]) == [True]
    assert await stores.store.commit([mine]) == [True]
    assert await stores.store.commit([plain]) == [True]
    assert await stores.store.commit([plain]) == [True]
    assert await stores.store.commit([write(anna, second, version=2)]) == [True]
    assert await stores.store.commit([mine, plain]) == [True, False]


async def test_of_two_writes_of_one_customer_in_a_batch_one_takes_effect(stores: Stores) -> None:
    anna = await stores.customer(ANNA)
    assert sum(await stores.store.commit([write(anna), write(anna, version=1)])) == 1


@pytest.mark.parametrize(
    "bad",
    [outbound(new_uuid(), claimed_by=""), outbound(new_uuid(), agent="a\0"), outbound("no uuid")],
    ids=["unclaimed", "nul", "uuid"],
)
async def test_a_batch_with_a_bad_row_is_refused_whole(stores: Stores, bad: MessageRow) -> None:
    anna, boris = await stores.customer(ANNA), await stores.customer(BORIS)
    with pytest.raises(Unacceptable):
        await stores.store.commit([write(anna), write(boris, messages=(bad,))])
    assert (await stores.store.load([anna]))[anna].version == 0


async def test_giving_an_event_up_raises_the_version(stores: Stores) -> None:
    anna = await stores.customer(ANNA)
    (seq,) = await stores.journalled(anna)
    await stores.parking.park(anna, seq, "no", 3, AT)
    parked = await parked_number(stores, anna)
    assert await stores.parking.release(parked, discard=True, at=AT) == anna
    assert await stores.parking.release(parked, discard=True, at=AT) is None
    assert await stores.store.commit([write(anna, seq)]) == [False]
    assert await stores.store.commit([write(anna, version=1)]) == [True]


async def test_a_customer_is_parked_at_the_first_event_that_fails(stores: Stores) -> None:
    anna = await stores.customer(ANNA)
    first, second = await stores.journalled(anna, anna)
    await stores.parking.park(anna, first, "no", 3, AT)
    await stores.parking.park(anna, second, "never", 3, AT)
    assert (await stores.store.load([anna]))[anna].parked
    assert await stores.parking.release(await _number(stores, anna), discard=True, at=AT) == anna
    assert [row.seq for row in (await stores.journal.unread([anna], 9))[anna]] == [second]
    assert not (await stores.store.load([anna]))[anna].parked


async def test_a_state_is_given_up_with_what_it_had_under_way_and_every_event_is_kept(stores: Stores) -> None:
    anna = await stores.customer(ANNA)
    facts = CustomerFacts(name=b"", language="hi", opted_out=True, search=())
    begun = write(anna, timers=(timer_row(due=AT),), conversations=(conversation_row(new_uuid()),), facts=facts)
    assert await stores.store.commit([begun]) == [True]
    (seq,) = await stores.journalled(anna)
    await stores.parking.park(anna, seq, "no", 3, AT)
    await stores.parking.park(anna, STATE, "worse", 3, AT)
    assert await stores.parking.release(await _number(stores, anna), discard=True, at=AT) == anna
    loaded = (await stores.store.load([anna]))[anna]
    assert (loaded.version, loaded.state, loaded.language, loaded.opted_out) == (2, None, "hi", True)
    assert list(await stores.timers.due(AT + 1, 9)) == []
    assert [row.seq for row in (await stores.journal.unread([anna], 9))[anna]] == [seq]


async def test_a_customer_whose_key_is_missing_keeps_the_state(stores: Stores) -> None:
    anna = await stores.customer(ANNA)
    assert await stores.store.commit([write(anna, timers=(timer_row(due=AT),))]) == [True]
    await stores.parking.park(anna, KEY, "no", 3, AT)
    assert await stores.parking.release(await _number(stores, anna), discard=True, at=AT) == anna
    assert (await stores.store.load([anna]))[anna].state == b"state"
    assert len(await stores.timers.due(AT + 1, 9)) == 1


async def _number(stores: Stores, customer: CustomerId) -> int:
    """The number under which a customer is parked."""
    if isinstance(stores.parking, MemoryParking):
        return stores.parking._tables.parked[customer].id
    assert isinstance(stores.parking, PostgresParking)
    listed = await stores.parking._database.fetch("records_parked", None, 9)
    return int(listed[0]["id"])


async def parked_number(stores: Stores, customer: CustomerId) -> int:
    """The number under which a customer is parked; both sides count from small numbers up."""
    for number in range(1, 50):
        if await stores.parking.release(number, discard=False, at=AT) == customer:
            (seq,) = [row.seq for row in (await stores.journal.unread([customer], 1))[customer]]
            await stores.parking.park(customer, seq, "no", 3, AT)
            return number + 1 if isinstance(stores.parking, PostgresParking) else await _next(stores, customer, number)
    raise AssertionError("not parked")


async def _next(stores: Stores, customer: CustomerId, after: int) -> int:
    assert isinstance(stores.parking, MemoryParking)
    return stores.parking._tables.parked[customer].id


# --- timers and effects ----------------------------------------------------------------------------------------------


async def test_timers_come_when_due_earliest_first_until_they_are_stopped(stores: Stores) -> None:
    anna = await stores.customer(ANNA)
    late, early, far = timer_row(due=AT + 20), timer_row(due=AT + 10), timer_row(due=AT + 99)
    assert await stores.store.commit([write(anna, timers=(late, early, far))]) == [True]
    assert [timer.id for timer in await stores.timers.due(AT + 30, 10)] == [early.id, late.id]
    assert [timer.id for timer in await stores.timers.due(AT + 30, 1)] == [early.id]
    assert await stores.store.commit([write(anna, version=1, stopped_timers=(early.id,))]) == [True]
    assert [timer.id for timer in await stores.timers.due(AT + 30, 10)] == [late.id]


@pytest.mark.parametrize("discard", [True, False])
async def test_a_timer_whose_event_is_in_the_journal_is_under_way_until_that_was_applied(
    stores: Stores, discard: bool
) -> None:
    anna, boris = await stores.customer(ANNA), await stores.customer(BORIS)
    own, other, his = timer_row(due=AT + 1), timer_row(due=AT + 2), timer_row(due=AT + 3)
    assert await stores.store.commit([write(anna, timers=(own, other)), write(boris, timers=(his,))]) == [True, True]
    fired = entry(anna, kind="timer_fired", dedup=event_key("timer", own.id))
    (seq,) = await stores.journal.append([fired])
    assert seq is not None
    assert [timer.id for timer in await stores.timers.due(AT + 9, 9)] == [his.id]
    if discard:
        await stores.parking.park(anna, seq, "no", 3, AT)
        await stores.parking.release(await _number(stores, anna), discard=True, at=AT)
    else:
        assert await stores.store.commit([write(anna, seq, version=1, stopped_timers=(own.id,))]) == [True]
    assert [timer.id for timer in await stores.timers.due(AT + 9, 9)] == [other.id, his.id]


async def test_effects_of_replicas_that_are_gone_are_claimed_once(stores: Stores) -> None:
    anna = await stores.customer(ANNA)
    gone, living, done = effect_row(claimed_by="gone"), effect_row(claimed_by="living"), effect_row(claimed_by="gone")
    for name in ("gone", "living", "next"):
        await stores.replicas.beat(name, 1000.0)
    assert await stores.store.commit([write(anna, effects=(gone, living, done))]) == [True]
    assert await stores.store.commit([write(anna, version=1, done_effects=(done.id,))]) == [True]
    assert list(await stores.effects.orphans("next", 10, turn=next(TURNS))) == []
    await stores.replicas.leave("gone")
    (orphan,) = await stores.effects.orphans("next", 10, turn=next(TURNS))
    assert (orphan.id, orphan.customer, orphan.sealed) == (gone.id, anna, b"question")
    assert list(await stores.effects.orphans("third", 10, turn=next(TURNS))) == []


# --- outbox ----------------------------------------------------------------------------------------------------------


async def status_of(stores: Stores, message: MessageId, pool: asyncpg.Pool | None) -> str:
    if isinstance(stores.outbox, MemoryOutbox):
        return stores.outbox._tables.messages[message].status
    assert pool is not None
    return str(await pool.fetchval("select delivery_status from messages where id = $1", message))


@pytest.fixture
def peek(stores: Stores, request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]
    pool = None if isinstance(stores.outbox, MemoryOutbox) else request.getfixturevalue("pool")

    async def look(message: MessageId) -> str:
        return await status_of(stores, message, pool)

    return look


def reported(message: MessageId, status: ReportStatus, reason: str = "") -> DeliveryReport:
    return DeliveryReport(status=status, message_id=message, reason=reason)


@pytest.mark.parametrize(
    ("notes", "reports", "then"),
    [
        (["sending", "sent"], [], "sent"),
        (["sending", "pending"], [], "pending"),
        (["sent", "pending"], [], "sent"),
        (["failed"], ["delivered"], "delivered"),
        ([], ["delivered", "failed"], "delivered"),
        ([], ["failed", "sent"], "failed"),
        ([], ["read", "delivered", "sent"], "read"),
        (["sent"], ["failed"], "failed"),
    ],
)
async def test_a_status_never_goes_backwards(  # type: ignore[no-untyped-def]
    stores: Stores, peek, notes: Sequence[str], reports: Sequence[ReportStatus], then: str
) -> None:
    (message,) = await stores.sending(ANNA, "pending")
    for status in notes:
        await stores.outbox.note([note(message, status)])
    for report in reports:
        await stores.outbox.report([reported(message, report)], AT)
    assert await peek(message) == then
    if reports:
        again = await stores.outbox.report([reported(message, reports[0])], AT)
        assert (sum(again.repeated), again.accepted_messages) == (1, ())
        assert [failure.message for failure in again.failed] == [message] * (then == reports[0] == "failed")
        assert await peek(message) == then


async def test_reports_tell_of_failures_and_of_proof(stores: Stores) -> None:
    lost, proven, done = await stores.sending(ANNA, "sending", "sending", "sending")
    await stores.outbox.note([note(done, "sent")])
    result = await stores.outbox.report(
        [reported(lost, "failed", reason="gone"), reported(proven, "sent"), reported(done, "delivered")], AT
    )
    assert [(failure.message, failure.reason) for failure in result.failed] == [(lost, "gone")]
    assert result.accepted_messages == (proven,)
    assert not any(result.repeated)


async def test_a_report_that_comes_before_the_note_waits_for_it(stores: Stores) -> None:
    (message,) = await stores.sending(ANNA, "sending")
    early = DeliveryReport(status="failed", provider_id="wamid.x", reason="gone")
    assert (await stores.outbox.report([early], AT)).repeated == (False,)
    assert (await stores.outbox.report([early], AT)).repeated == (True,)
    failed = await stores.outbox.note([note(message, "sent", provider_id="wamid.x")])
    assert [failure.message for failure in failed] == [message]
    assert list(await stores.outbox.settle()) == []


async def test_messages_of_replicas_that_are_gone_are_claimed_whole_and_in_order(stores: Stores) -> None:
    for name in ("gone", "living", "next"):
        await stores.replicas.beat(name, 1000.0)
    hers = await stores.sending(ANNA, "sending", "pending", "pending", claimed_by="gone")
    his = await stores.sending(BORIS, "pending", claimed_by="living")
    assert await stores.left_behind() == []
    await stores.replicas.leave("gone")
    await stores.outbox.note([note(hers[1], "sent")])
    assert await stores.left_behind() == [(hers[0], True), (hers[2], False)]
    assert await stores.left_behind("third") == []
    assert list(await stores.outbox.still_mine("next", [*hers, *his])) == [hers[0], hers[2]]
    assert list(await stores.outbox.still_mine("gone", hers)) == []
    await stores.replicas.leave("next")
    assert await stores.left_behind("third") == []


async def test_a_replica_never_takes_over_what_is_its_own_although_it_seems_to_be_gone(stores: Stores) -> None:
    await stores.sending(ANNA, "sending", claimed_by="me")
    assert await stores.left_behind("me") == []
    assert len(await stores.left_behind("next")) == 1


async def test_what_comes_behind_another_replicas_message_is_given_up_when_claims_are_confirmed(stores: Stores) -> None:
    for name in ("me", "next"):
        await stores.replicas.beat(name, 1000.0)
    first, second = await stores.sending(ANNA, "sending", "pending", claimed_by="gone")
    assert len(await stores.left_behind("next")) == 2
    (third,) = await stores.sending(ANNA, "pending", claimed_by="me")
    (other,) = await stores.sending(BORIS, "pending", claimed_by="me")
    assert list(await stores.outbox.still_mine("me", [first, second, third, other])) == [other]
    assert await stores.left_behind("me") == []
    assert await stores.left_behind("next") == [(third, False)]


async def test_what_a_call_without_an_answer_claimed_is_given_again_beside_what_came_since(stores: Stores) -> None:
    await stores.replicas.beat("me", 1000.0)
    early = await stores.sending(BORIS, "pending", claimed_by="me")
    claimed = await stores.sending(ANNA, "pending", claimed_by="gone")
    lost, again, later = (next(TURNS) for _ in range(3))
    assert [orphan.id for orphan in await stores.outbox.orphans("me", 1, turn=lost)] == claimed
    await stores.outbox.let_go("me", early)
    found = await stores.outbox.orphans("me", 1, turn=again, since=lost)
    assert sorted(orphan.id for orphan in found) == sorted([*claimed, *early])
    assert list(await stores.outbox.orphans("me", 1, turn=later)) == []


async def test_a_call_that_takes_effect_after_a_later_one_claims_nothing(stores: Stores) -> None:
    await stores.replicas.beat("me", 1000.0)
    late, later = next(TURNS), next(TURNS)
    assert list(await stores.outbox.orphans("me", 9, turn=later)) == []
    messages = await stores.sending(ANNA, "pending", claimed_by="gone")
    assert list(await stores.outbox.orphans("me", 9, turn=late)) == []
    await stores.replicas.beat("me", 1000.0)
    assert list(await stores.outbox.orphans("me", 9, turn=late)) == []
    assert list(await stores.effects.orphans("me", 9, turn=late)) == []
    assert [orphan.id for orphan in await stores.outbox.orphans("me", 9, turn=next(TURNS))] == messages


async def test_what_a_call_claims_counts_as_anothers_until_its_answer_is_there(stores: Stores) -> None:
    await stores.replicas.beat("me", 1000.0)
    await stores.sending(ANNA, "pending", claimed_by="gone")
    await stores.sending(BORIS, "pending", claimed_by="me")
    anna, boris = await stores.customer(ANNA), await stores.customer(BORIS)
    turn = next(TURNS)
    await stores.outbox.orphans("me", 100, turn=turn)
    assert list(await stores.outbox.behind("me", [anna, boris], claiming=turn)) == [anna]
    assert list(await stores.outbox.behind("me", [anna, boris], claiming=turn - 1)) == [anna]
    assert list(await stores.outbox.behind("me", [anna, boris], claiming=turn + 1)) == []
    assert list(await stores.outbox.behind("me", [anna, boris])) == []


async def test_what_is_let_go_is_anybodys_unless_somebody_else_has_it(stores: Stores) -> None:
    for name in ("me", "other", "next"):
        await stores.replicas.beat(name, 1000.0)
    mine = await stores.sending(ANNA, "sending", "pending", claimed_by="me")
    (theirs,) = await stores.sending(BORIS, "pending", claimed_by="other")
    await stores.outbox.let_go("me", [*mine, theirs])
    assert await stores.left_behind("next") == [(mine[0], True), (mine[1], False)]
    assert list(await stores.outbox.still_mine("other", [theirs])) == [theirs]


async def test_what_nobody_has_room_for_is_anybodys(stores: Stores) -> None:
    await stores.replicas.beat("next", 1000.0)
    messages = await stores.sending(ANNA, "pending", "pending", claimed_by="-")
    others = await stores.sending(BORIS, "pending", claimed_by="-")
    anna, boris = await stores.customer(ANNA), await stores.customer(BORIS)
    assert set(await stores.outbox.behind("next", [anna, boris])) == {anna, boris}
    first = [orphan.id for orphan in await stores.outbox.orphans("next", 1, turn=next(TURNS))]
    assert first == messages
    assert list(await stores.outbox.behind("next", [anna, boris])) == [boris]
    assert [orphan.id for orphan in await stores.outbox.orphans("next", 1, turn=next(TURNS))] == others


async def test_what_lines_up_behind_a_message_of_a_living_replica_waits_for_it(stores: Stores) -> None:
    for name in ("living", "next"):
        await stores.replicas.beat(name, 1000.0)
    (first,) = await stores.sending(ANNA, "pending", claimed_by="living")
    (second,) = await stores.sending(ANNA, "pending", claimed_by="-")
    assert await stores.left_behind() == []
    assert await stores.left_behind("living") == [(second, False)]
    await stores.outbox.note([note(first, "sent")])
    await stores.replicas.leave("living")
    assert await stores.left_behind() == [(second, False)]


# --- customers -------------------------------------------------------------------------------------------------------


async def test_a_customer_is_made_once_and_merged_when_a_sender_carries_two(stores: Stores) -> None:
    by_name = Sender(user_id="IN.1")
    other = await stores.customer(by_name)
    anna = await stores.customer(ANNA)
    assert await stores.customer(ANNA) == anna != other
    (seq,) = await stores.journalled(other)
    id_ = ConversationId(new_uuid())
    row = conversation_row(id_, status="queue", department="sales")
    assert await stores.store.commit([write(other, conversations=(row,))]) == [True]
    merges: list[Merge] = []

    def announce(merge: Merge) -> Entry:
        merges.append(merge)
        return entry(merge.kept)

    both = msgspec.structs.replace(ANNA, user_id="IN.1")
    assert list(await stores.directory.resolve([both], announce)) == [anna]
    assert merges == [Merge(kept=anna, absorbed=other, held_by_person=True, department="sales")]
    assert await stores.directory.known(by_name) == anna
    assert await stores.directory.holder(id_) == anna
    assert await stores.directory.holder(ConversationId(new_uuid())) is None
    unread = await stores.journal.unread([anna, other], 10)
    assert next(row.seq for row in unread[anna]) == seq
    assert (len(unread[anna]), len(unread[other])) == (2, 0)
    loaded = (await stores.store.load([other]))[other]
    assert (loaded.merged_into, loaded.state) == (anna, None)
    assert await stores.store.commit([write(other, version=1)]) == [False]
    late = await stores.journalled(other)
    assert [row.seq for row in (await stores.journal.unread([anna], 10))[anna]][-1:] == late
    await stores.directory.redirect(other, anna)
    assert [row.seq for row in (await stores.journal.unread([anna], 10))[anna]][-1:] == late


async def test_who_nobody_knows_is_not_found(stores: Stores) -> None:
    assert await stores.directory.known(ANNA) is None
    with pytest.raises(ValueError, match="a sender needs"):
        await stores.directory.resolve([Sender(name="nobody")], announced)


# --- seats -----------------------------------------------------------------------------------------------------------

ONE = CustomerId(1)


def state(version: int) -> Loaded:
    return Loaded(version=version, state=b"state", data_key=b"key")


@pytest.fixture(params=["memory", "redis"])
async def two(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Seats, Seats]]:
    """The seats of two replicas."""
    if request.param == "memory":
        places: Places = {}
        clock = SimulatedClock()
        yield (
            MemorySeats(places, Link(), clock, me="first", lease=60.0),
            MemorySeats(places, Link(), clock, me="second", lease=60.0),
        )
        return
    async with connect(request.getfixturevalue("redis_url")) as keyspace:
        yield (
            RedisSeats(keyspace, me="first", lease_s=60, session_s=60),
            RedisSeats(keyspace, me="second", lease_s=60, session_s=60),
        )


async def test_a_seat_is_one_replicas_until_it_leaves_and_the_snapshot_stays(two: tuple[Seats, Seats]) -> None:
    first, second = two
    (seat,) = await first.take([ONE])
    assert (seat.granted, seat.owner, seat.snapshot) == (True, "first", None)
    (refused, other) = await second.take([ONE, CustomerId(2)])
    assert (refused.granted, refused.owner, refused.snapshot, other.granted) == (False, "first", None, True)
    await first.keep([Keep(customer=ONE, loaded=state(3))])
    assert (await first.take([ONE]))[0].snapshot == state(3)
    await second.leave([ONE])
    assert not (await second.take([ONE]))[0].granted
    await first.leave([ONE])
    (taken,) = await second.take([ONE])
    assert (taken.granted, taken.snapshot) == (True, state(3))


async def test_only_who_is_further_takes_the_seat_of_another(two: tuple[Seats, Seats]) -> None:
    first, second = two
    await first.keep([Keep(customer=ONE, loaded=state(7))])
    await second.keep([Keep(customer=ONE, loaded=state(6))])
    assert (await first.take([ONE]))[0].snapshot == state(7)
    await second.keep([Keep(customer=ONE, loaded=state(8))])
    assert not (await first.take([ONE]))[0].granted
    assert (await second.take([ONE]))[0].snapshot == state(8)
