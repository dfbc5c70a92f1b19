"""Conversations that are parked: after a bounded number of tries, at the first event that fails, and until an operator
decides, who loses nothing by it that was not given up.
"""

from collections.abc import Sequence

import pytest

from bot import metrics
from bot.core.ids import CustomerId, JournalSeq
from bot.core.messages import Media
from bot.ports.parking import KEY, STATE
from bot.runtime import setbacks as setbacks_module
from bot.runtime.actor import Actor
from bot.runtime.setbacks import REMEMBERED_SECONDS, TRIES, Setbacks
from bot.runtime.tasks import Tasks
from tests.runtime.conftest import Starting
from tests.runtime.memory.journal import MemoryParking
from tests.runtime.memory.link import Link
from tests.runtime.memory.tables import Parked
from tests.runtime.replica import PHONE, Replica, World, book_of
from tests.runtime.simulated_clock import SimulatedClock

UNREADABLE = Media(kind="image", url="https://example.com/1.jpg")
"""Without texts in the rules a step that hears this raises."""


def heard(world: World, phone: str = PHONE) -> list[str]:
    """What the customer said and a step applied, in the order of the transcript."""
    rows = [row for row in world.tables.messages.values() if row.customer == world.customer(phone)]
    said = [row for row in sorted(rows, key=lambda row: row.seq) if row.row.direction == "inbound"]
    return [row.row.provider_id.rpartition(".")[2] for row in said]


async def unreadable(
    world: World, starting: Starting, clock: SimulatedClock, **broken: bytes
) -> tuple[Replica, Parked]:
    """A customer whose row was damaged while no replica had it open, and who writes again."""
    replica = await starting()
    await replica.say("STOP")
    await clock.advance(1)
    await replica.registry.retire(0.0)
    world.places.clear()
    for field, value in broken.items():
        setattr(world.tables.users[world.customer()], field, value)
    await replica.hear("two")
    await clock.advance(10)
    (parked,) = world.tables.parked.values()
    assert len(world.tables.unread(world.customer())) == 1
    return replica, parked


async def test_a_key_that_cannot_be_opened_parks_its_customer_and_is_never_given_up(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica, parked = await unreadable(world, starting, clock, data_key=b"")
    assert (parked.error, parked.seq) == ("the customer's key cannot be opened", KEY)
    kept = world.tables.users[world.customer()].state
    assert await replica.desk.discard_parked(parked.id)
    await clock.advance(10)
    assert world.tables.parked[world.customer()].seq == KEY
    assert world.tables.users[world.customer()].state == kept
    assert len(world.tables.unread(world.customer())) == 1


async def test_a_state_that_cannot_be_opened_parks_its_customer_until_it_is_given_up(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica, parked = await unreadable(world, starting, clock, state=b"scribble")
    assert (parked.error, parked.seq) == ("the state cannot be opened", STATE)
    tries = metrics.sealed_bad_total.labels("state")._value.get()
    await replica.hear("three")
    await clock.advance(10)
    assert metrics.sealed_bad_total.labels("state")._value.get() == tries
    assert await replica.desk.discard_parked(parked.id)
    await clock.advance(3)
    assert world.tables.parked == {}
    assert heard(world) == ["1", "2", "3"]
    assert world.conversation().customer.opted_out
    assert len(world.channel.sent) == 1, "who opted out was written to"


async def test_messages_of_a_parked_customer_are_not_tried_on_their_own(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    world.book = book_of(texts={})
    first, second = await starting("r1"), await starting("r2")
    await first.hear(UNREADABLE)
    await clock.advance(10)
    (parked,) = world.tables.parked.values()
    steps = [metrics.step_failures_total._value.get()]
    await second.hear(UNREADABLE)
    await second.hear("after")
    await clock.advance(30)
    steps.append(metrics.step_failures_total._value.get())
    assert steps[1] - steps[0] <= 1
    assert list(world.tables.parked.values()) == [parked]
    world.book = book_of()
    for replica in (first, second):
        assert await replica.desk.reload_flows() == ()
    assert await second.desk.retry_parked(parked.id)
    await clock.advance(15)
    assert heard(world) == ["1", "2", "3"]


async def test_tries_are_bounded_also_while_the_seat_goes_to_and_fro(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    world.book = book_of(texts={})
    replicas = [await starting(me, sweeping=False) for me in ("r1", "r2")]
    before = metrics.step_failures_total._value.get()
    await replicas[0].hear(UNREADABLE)
    for turn in range(20):
        world.places.clear()
        for replica in replicas:
            replica.registry._actors.clear()
        replicas[turn % 2].registry.wake(world.customer())
        await clock.settled()
    await clock.advance(3)
    assert len(world.tables.parked) == 1
    assert metrics.step_failures_total._value.get() - before <= 2 * TRIES


def nothing(_: Actor) -> None:
    """Nobody goes on here."""


async def leave(_: Sequence[CustomerId]) -> None:
    """Seats are not what this is about."""


async def test_a_failed_try_counts_for_its_event_for_a_while_whichever_actor_met_it(
    world: World, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    parking = MemoryParking(world.tables, Link())
    setbacks = Setbacks(
        parking=parking, clock=clock, tasks=Tasks(), go_on=nothing, drop=nothing, leave=leave, lease_seconds=10.0
    )  # fmt: skip

    def failures(customer: int, seq: int) -> int:
        actor = Actor(CustomerId(customer))
        setbacks.failed(actor, JournalSeq(seq), "no")
        return actor.failures

    assert [failures(1, 5), failures(1, 5), failures(1, 6), failures(1, 6)] == [1, 2, 1, 2]
    await clock.advance(REMEMBERED_SECONDS + 1)
    assert failures(1, 6) == 1
    monkeypatch.setattr(setbacks_module, "REMEMBERED_MOST", 1)
    assert [failures(2, 7), failures(1, 6)] == [1, 1]
