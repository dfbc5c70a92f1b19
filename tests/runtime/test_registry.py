"""Actors: in order, one step at a time, whatever the stores do meanwhile."""

import pytest

from bot.core.events import AgentAssigned, ConversationResolved, Envelope, ReturnedToBot, Sender, encode_envelope
from bot.core.ids import CustomerId
from bot.core.messages import Media
from bot.ports.journal import Entry
from bot.ports.store import Loaded
from bot.runtime import reading
from bot.runtime.letters import event_key
from tests.runtime.conftest import Starting
from tests.runtime.memory.seats import Place
from tests.runtime.replica import PHONE, Replica, World
from tests.runtime.simulated_clock import SimulatedClock

UNREADABLE = Media(kind="image", url="https://example.com/1.jpg")
"""Without texts in the rules a step that hears this raises."""


def heard(world: World, phone: str = PHONE) -> list[str]:
    """What the customer said, as the transcript has it."""
    customer = world.customer(phone)
    rows = [
        row for row in world.tables.messages.values() if row.customer == customer and row.row.direction == "inbound"
    ]
    return [row.row.provider_id.rpartition(".")[2] for row in sorted(rows, key=lambda row: row.seq)]


def unread(world: World) -> int:
    return sum(row.consumed_at is None for row in world.tables.journal.values())


async def journalled(world: World, replica: Replica, *texts: str, phone: str = PHONE) -> None:
    """Messages that are in the journal and of which no actor was told."""
    customer = await replica.intake.resolve(Sender(phone=phone))
    for text in texts:
        event = world.message(text, phone)
        key = event_key(event.provider_id)
        envelope = Envelope(event=event, at=world.clock.now(), seed=world.clock.seed())
        sealed = world.vault.seal(encode_envelope(envelope), key)
        entry = Entry(dedup=key, customer=customer, kind="message_received", sealed=sealed, at=envelope.at)
        await replica.journalling._journal.append([entry])


async def test_messages_are_applied_in_the_order_in_which_they_were_accepted(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    for number in range(100):
        await replica.hear(f"message {number}")
    await clock.settled()
    assert heard(world) == [str(number) for number in range(1, 101)]
    assert unread(world) == 0


async def test_what_a_full_mailbox_does_not_take_is_read_from_the_journal(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False, mailbox=2)
    hold = replica.database.hold("store.commit")
    for number in range(20):
        await replica.hear(f"message {number}")
    await clock.settled()
    assert replica.registry.letters == 2
    hold.release()
    await clock.settled()
    assert heard(world) == [str(number) for number in range(1, 21)]
    assert replica.registry.letters == 0


async def test_a_mailbox_that_overflows_while_the_journal_is_read_loses_nothing(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False, mailbox=2)
    await journalled(world, replica, "first")
    hold = replica.database.hold("journal.unread", when="after")
    replica.registry.wake(world.customer())
    await clock.settled()
    assert hold.reached == 1
    for number in range(6):
        await replica.hear(f"message {number}")
    hold.release()
    await clock.settled()
    assert heard(world) == [str(number) for number in range(1, 8)]


async def test_a_long_journal_is_read_in_pieces(
    world: World, starting: Starting, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "READ_AT_ONCE", 3)
    replica = await starting(sweeping=False)
    await journalled(world, replica, *(f"message {number}" for number in range(10)))
    replica.registry.wake(world.customer())
    await replica.say("the last")
    assert heard(world) == [str(number) for number in range(1, 12)]


async def test_a_letter_that_comes_late_is_applied_in_its_place(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False)
    await journalled(world, replica, "first", "second")
    customer = world.customer()
    first, second = (replica.registry._reading.opened(row) for row in await _rows(replica, customer))
    replica.registry.tell(customer, second)
    replica.registry.tell(customer, first)
    await clock.settled()
    assert heard(world) == ["1", "2"]


async def _rows(replica: Replica, customer: CustomerId):  # type: ignore[no-untyped-def]
    return (await replica.registry._reading._journal.unread([customer], 10))[customer]


async def test_waking_somebody_with_nothing_to_do_costs_one_look(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False)
    await replica.say("hello")
    before = replica.database.count("journal.unread")
    replica.registry.wake(world.customer())
    replica.registry.wake(world.customer())
    await clock.settled()
    assert replica.database.count("journal.unread") == before + 1


# --- two replicas ----------------------------------------------------------------------------------------------------


async def test_of_two_replicas_that_both_step_one_starts_again(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1"), await starting("r2")
    first.redis.down = second.redis.down = True
    await first.say("one")
    await second.say("two")
    await first.say("three")
    await second.say("four")
    assert heard(world) == ["1", "2", "3", "4"]
    assert world.channel.texts == [f"Answer to: {word}" for word in ("one", "two", "three", "four")]


async def test_a_snapshot_that_is_older_than_the_store_is_not_trusted_twice(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await starting("r1")
    await first.say("one")
    await clock.advance(1)
    first.redis.down = True
    await first.say("two")
    await first.registry.leave()
    await first.die()
    await clock.advance(20)
    second = await starting("r2")
    await second.say("three")
    assert heard(world) == ["1", "2", "3"]
    assert second.database.count("store.load") == 1


async def test_a_snapshot_that_cannot_be_opened_is_as_good_as_none(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await replica.say("one")
    await clock.advance(100)
    customer = world.customer()
    world.places[customer] = Place(snapshot=Loaded(version=9, state=b"scribble", data_key=b"scribble"))
    await replica.say("two")
    await clock.advance(5)
    assert heard(world) == ["1", "2"]
    assert world.tables.parked == {}


async def test_a_snapshot_spares_the_next_replica_the_store(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1"), await starting("r2")
    await first.say("one")
    await clock.advance(1)
    await first.registry.leave()
    await second.say("two")
    assert second.database.count("store.load") == 0
    assert heard(world) == ["1", "2"]


async def test_what_is_accepted_for_a_seat_of_another_is_done_there(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1"), await starting("r2")
    await first.say("one")
    await second.say("two")
    assert heard(world) == ["1", "2"]
    assert len(second.registry) == 0
    assert second.database.count("store.commit") == 0


async def test_the_conversations_of_a_dead_replica_go_on_when_its_lease_is_over(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await starting("r1")
    await first.say("one")
    await first.die()
    second = await starting("r2")
    await second.say("two")
    assert heard(world) == ["1"]
    await clock.advance(13)
    assert heard(world) == ["1", "2"]


async def test_a_lease_that_ran_out_is_taken_anew_without_the_store(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(idle=1000.0)
    await replica.say("one")
    await clock.advance(30)
    await replica.say("two")
    assert replica.redis.count("seats.take") == 2
    assert replica.database.count("store.load") == 1


async def test_a_newer_snapshot_replaces_what_is_remembered(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1", idle=1000.0), await starting("r2", idle=1000.0)
    await first.say("one")
    await clock.advance(30)
    await second.say("two")
    await clock.advance(30)
    await first.say("three")
    assert heard(world) == ["1", "2", "3"]
    assert first.database.count("store.load") == 1


# --- conversations in a row ------------------------------------------------------------------------------------------


async def test_every_conversation_of_a_row_of_events_has_its_row(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await replica.hear("one", phone=PHONE)
    customer = world.customer()
    hold = replica.database.hold("store.load")
    for number in range(3):
        replica.intake.post(customer, ConversationResolved(by="zoe"), key=event_key("resolve", str(number)))
        await clock.settled()
        await replica.hear("again")
    hold.release()
    await clock.settled()
    assert heard(world) == ["1", "2", "3", "4"]
    spoken_in = {message.row.conversation for message in world.tables.messages.values()}
    assert spoken_in == set(world.tables.conversations)
    statuses = [row.status for row in world.tables.conversations.values()]
    assert sorted(statuses) == ["closed", "closed", "closed", "model"]


async def test_letters_of_an_absorbed_customer_reach_the_one_who_absorbed_them(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1"), await starting("r2")
    await second.intake.accept([_from(world, "by name", Sender(user_id="IN.1"))])
    await clock.settled()
    await first.say("by number")
    await first.intake.accept([_from(world, "both", Sender(phone=PHONE, user_id="IN.1"))])
    await clock.settled()
    await second.intake.accept([_from(world, "by name again", Sender(user_id="IN.1"))])
    await clock.advance(5)
    assert heard(world) == ["2", "3", "4"]
    assert world.conversation().customer.user_id == "IN.1"
    assert second.database.count("store.commit") < 10
    assert [row.action for _, row in world.tables.audit].count("customers_merged") == 1


def _from(world: World, text: str, sender: Sender):  # type: ignore[no-untyped-def]
    from bot.wire.msg91.deliveries import Received

    return Received(event=world.message(text, sender=sender))


# --- coming and going ------------------------------------------------------------------------------------------------


async def test_an_idle_actor_is_let_go_and_its_seat_is_free(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(idle=5.0)
    await replica.say("one")
    await clock.advance(3)
    await replica.say("two", phone="919000000009")
    assert len(replica.registry) == 2
    await clock.advance(3)
    assert len(replica.registry) == 1
    assert world.places[world.customer()].owner == ""
    await clock.advance(5)
    assert len(replica.registry) == 0


async def test_a_busy_actor_is_not_let_go(world: World, starting: Starting, clock: SimulatedClock) -> None:
    replica = await starting(sweeping=False)
    hold = replica.database.hold("store.commit")
    await replica.hear("one")
    await clock.advance(10)
    await replica.registry.retire(1.0)
    assert len(replica.registry) == 1
    hold.release()
    await clock.settled()
    assert heard(world) == ["1"]


async def test_leaving_without_redis_is_no_failure(world: World, starting: Starting, clock: SimulatedClock) -> None:
    replica = await starting()
    await replica.say("one")
    replica.redis.fail("seats.leave")
    await replica.registry.leave()
    assert replica.registry._seating.away
    assert len(replica.registry) == 0


async def test_drained_waits_for_everything_on_its_way(world: World, starting: Starting, clock: SimulatedClock) -> None:
    import asyncio

    replica = await starting(sweeping=False)
    hold = replica.database.hold("store.commit")
    await replica.hear("one")
    await clock.settled()
    drained = asyncio.ensure_future(replica.registry.drained())
    await clock.advance(1)
    assert not drained.done()
    hold.release()
    await clock.advance(1)
    assert drained.done()
    await replica.intake.drained()


async def test_a_deed_reaches_the_conversation_in_between(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await replica.say("one")
    customer = world.customer()
    replica.intake.post(customer, AgentAssigned(agent="zoe"), key=event_key("a"))
    replica.intake.post(customer, ReturnedToBot(by="zoe"), key=event_key("b"))
    replica.intake.post(customer, ReturnedToBot(by="zoe"), key=event_key("b"))
    await clock.settled()
    assert [row.action for _, row in world.tables.audit] == ["assigned", "returned_to_bot"]
