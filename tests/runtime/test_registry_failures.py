"""Stores that are away cost time alone; what cannot be stepped, written or opened is parked, alone."""

import pytest

from bot.core.events import AgentAssigned, Envelope, Sender, encode_envelope
from bot.core.messages import Media, Text
from bot.ports.failures import Unacceptable
from bot.ports.journal import Entry
from bot.runtime.letters import event_key
from bot.runtime.registry import Registry
from bot.runtime.setbacks import REST_SECONDS
from tests.runtime.conftest import Starting
from tests.runtime.replica import PHONE, Replica, World, book_of
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


# --- stores that are away --------------------------------------------------------------------------------------------


async def test_without_redis_everything_goes_on(world: World, starting: Starting, clock: SimulatedClock) -> None:
    replica = await starting()
    replica.redis.down = True
    for number in range(3):
        await replica.say(f"message {number}")
        await clock.advance(0.3)
    assert replica.registry._seating.away
    assert len(heard(world)) == 3
    await clock.advance(20)
    replica.redis.down = False
    await replica.say("back")
    assert not replica.registry._seating.away
    assert len(heard(world)) == 4


async def test_what_was_under_way_when_the_database_went_is_done_when_it_is_back(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await replica.hear("one")
    replica.database.down = True
    await clock.advance(30)
    replica.database.down = False
    await clock.advance(5)
    assert heard(world) == ["1"]
    assert world.channel.texts == ["Answer to: one"]


async def test_a_commit_whose_answer_was_lost_has_one_effect(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    replica.database.fail("store.commit", when="after", times=3)
    await replica.say("one")
    await clock.advance(5)
    assert heard(world) == ["1"]
    assert world.channel.texts == ["Answer to: one"]


@pytest.mark.parametrize("call", ["store.load", "journal.unread"])
async def test_an_actor_whose_store_fails_in_an_unknown_way_rests_and_tries_again(
    world: World, starting: Starting, clock: SimulatedClock, call: str
) -> None:
    replica = await starting(sweeping=False)
    await journalled(world, replica, "one")
    replica.database.fail(call, error=RuntimeError("a bug"))
    replica.registry.wake(world.customer())
    await clock.settled()
    assert heard(world) == []
    await clock.advance(REST_SECONDS)
    assert heard(world) == ["1"]


# --- what cannot be stepped ------------------------------------------------------------------------------------------


async def test_an_event_that_cannot_be_stepped_parks_its_conversation_alone(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    world.book = book_of(texts={})
    replica = await starting()
    await replica.hear("before")
    await replica.hear(UNREADABLE)
    await replica.hear("after")
    await replica.hear("somebody else", phone="919000000009")
    await clock.advance(10)
    assert heard(world) == ["1"]
    assert heard(world, "919000000009") == ["4"]
    (parked,) = world.tables.parked.values()
    assert (parked.attempts, parked.error) == (3, "KeyError in the step")
    assert len(world.tables.unread(world.customer())) == 3
    assert await replica.desk.discard_parked(parked.id)
    await clock.settled()
    assert heard(world) == ["1", "3"]


async def test_a_parked_event_can_be_tried_again(world: World, starting: Starting, clock: SimulatedClock) -> None:
    world.book = book_of(texts={})
    replica = await starting()
    await replica.hear(UNREADABLE)
    await clock.advance(10)
    (parked,) = world.tables.parked.values()
    world.book = book_of()
    assert await replica.desk.reload_flows() == ()
    assert await replica.desk.retry_parked(parked.id)
    await clock.settled()
    assert heard(world) == ["1"]
    assert not await replica.desk.retry_parked(parked.id)


async def test_parking_waits_for_the_store(world: World, starting: Starting, clock: SimulatedClock) -> None:
    world.book = book_of(texts={})
    replica = await starting(sweeping=False)
    replica.database.fail("parking.park", times=1)
    replica.database.fail("parking.park", times=1, error=Unacceptable("no"))
    await replica.hear(UNREADABLE)
    await clock.advance(10)
    assert len(world.tables.parked) == 1


async def test_a_write_that_cannot_be_made_is_a_failure_of_its_event(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await replica.say("fine")
    broken = Text(text="\ud800")
    replica.registry._steps = _saying(replica.registry, broken)  # type: ignore[method-assign]
    await replica.hear("bad")
    await replica.hear("other", phone="919000000009")
    await clock.advance(10)
    assert [parked.attempts for parked in world.tables.parked.values()] == [3, 3]


def _saying(registry: Registry, content: Text):  # type: ignore[no-untyped-def]
    """Steps whose conversation holds something that no encoder takes."""
    import msgspec

    plain = registry._steps

    def steps(*arguments):  # type: ignore[no-untyped-def]
        done = plain(*arguments)
        bad = msgspec.structs.replace(done[0].conversation, reason=content.text)
        return (msgspec.structs.replace(done[0], conversation=bad),)

    return steps


async def test_a_write_that_the_store_refuses_parks_the_right_event(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await replica.say("hello")
    hold = replica.database.hold("store.commit")
    await replica.hear("one")
    await clock.settled()
    await replica.hear("two")
    bad = AgentAssigned(agent="zero\0", by="zero")
    replica.intake.post(world.customer(), bad, key=event_key("bad"))
    await clock.settled()
    hold.release()
    await clock.advance(20)
    (parked,) = world.tables.parked.values()
    assert world.tables.journal[parked.seq].dedup == event_key("bad")
    assert heard(world) == ["1", "2", "3"]


async def test_a_journal_row_that_no_key_opens_parks_its_customer(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await journalled(world, replica, "one")
    for row in world.tables.journal.values():
        row.sealed = b"scribble"
    await clock.advance(10)
    (parked,) = world.tables.parked.values()
    assert parked.error == "the journal row cannot be opened"


async def test_events_of_a_customer_whom_the_store_does_not_know_are_dropped(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False)
    await replica.hear("one")
    del world.tables.users[world.customer()]
    await clock.settled()
    assert len(replica.registry) == 0
