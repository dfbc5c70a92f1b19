"""A replica that stood still, or could not reach the store, longer than its claims hold, does no harm (P3, P5)."""

import asyncio

import pytest

from bot import metrics
from bot.runtime.lease import held_seconds
from tests.runtime.books import echo_book
from tests.runtime.conftest import Starting
from tests.runtime.memory.outside import BUSY
from tests.runtime.replica import PHONE, Replica, World
from tests.runtime.simulated_clock import SimulatedClock

LEASE = 10.0
OTHER = "919000000009"


@pytest.fixture
def world() -> World:
    return World(echo_book())


def stale() -> float:
    return float(metrics.stale_total._value.get())


def uncertain() -> float:
    return float(metrics.uncertain_sends_total._value.get())


def statuses(world: World) -> list[tuple[str, str]]:
    return [(message.status, message.claimed_by) for message in world.tables.outbound()]


class Queue:
    """Stands before the provider as our number's limit does, and lets nobody through until it is told to."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def acquire(self) -> None:
        await self.open.wait()


async def frozen(starting: Starting) -> Replica:
    """Without its sweep it gives no sign of life; what it is at goes on when a test lets it."""
    return await starting("r1", sweeping=False)


async def test_a_commit_that_comes_three_leases_late_is_refused(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await frozen(starting)
    await first.say("say a")
    hold = first.database.hold("store.commit", when="before")
    await first.hear("say b")
    await clock.settled()
    second = await starting("r2")
    await second.hear("say c")
    await clock.advance(3 * LEASE)
    assert world.channel.texts == ["1 say a", "1 say b", "1 say c"]
    before = stale()
    hold.release()
    await clock.settled()
    await first.sweep.round()
    await first.say("say d")
    await clock.advance(3)
    assert stale() == before + 1
    assert world.channel.texts == ["1 say a", "1 say b", "1 say c", "1 say d"]


async def test_a_send_that_waited_for_its_turn_meanwhile_does_not_go_out(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await frozen(starting)
    queue = Queue()
    first.delivery._limiter = queue  # type: ignore[assignment]
    await first.say("twice a")
    before = uncertain()
    second = await starting("r2")
    await clock.advance(3 * LEASE)
    assert world.channel.texts == ["1 twice a", "2 twice a"]
    assert uncertain() == before + 1
    queue.open.set()
    await clock.settled()
    await first.sweep.round()
    await clock.advance(3)
    assert world.channel.texts == ["1 twice a", "2 twice a"]
    assert len(first.delivery) == len(second.delivery) == 0


async def test_a_send_whose_message_was_given_up_while_it_waited_for_its_turn_does_not_go_out(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await frozen(starting)
    queue = Queue()
    first.delivery._limiter = queue  # type: ignore[assignment]
    await first.say("twice a")
    await starting("r2")
    await clock.advance(3 * LEASE)
    await first.sweep.round()
    assert len(first.delivery) == 0
    queue.open.set()
    await first.say("say b", OTHER)
    await clock.advance(3)
    assert world.channel.texts == ["1 twice a", "2 twice a", "1 say b"]


async def test_what_is_ours_still_goes_out_once_after_it_waited_for_its_turn(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await frozen(starting)
    queue = Queue()
    first.delivery._limiter = queue  # type: ignore[assignment]
    await first.say("twice a")
    await clock.advance(3 * LEASE)
    queue.open.set()
    await clock.settled()
    assert world.channel.texts == []
    await first.sweep.round()
    await clock.advance(3)
    assert world.channel.texts == ["1 twice a", "2 twice a"]


async def test_a_failed_send_that_is_noted_late_does_not_say_that_nobody_sends(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await frozen(starting)
    world.channel.gate = ours = asyncio.Event()
    world.channel.outcomes.append(BUSY)
    await first.say("say a")
    world.channel.gate = theirs = asyncio.Event()
    await starting("r2")
    await clock.advance(held_seconds(LEASE) + 1.5)
    assert len(world.channel.sent) == 2
    ours.set()
    await clock.settled()
    assert first.database.count("outbox.note") == 1
    assert statuses(world) == [("sending", "r2")]
    theirs.set()
    await clock.advance(30)
    assert world.channel.texts == ["1 say a", "1 say a"]
    assert statuses(world) == [("sent", "")]


async def test_the_next_message_of_a_lane_is_not_marked_while_claims_have_lapsed(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await frozen(starting)
    world.channel.gate = asyncio.Event()
    await first.say("twice a")
    await clock.advance(held_seconds(LEASE))
    world.channel.gate.set()
    await clock.settled()
    assert statuses(world) == [("sent", ""), ("pending", "r1")]
    await first.sweep.round()
    await clock.advance(1)
    assert world.channel.texts == ["1 twice a", "2 twice a"]


async def test_when_the_store_was_away_for_all_nobody_takes_over_from_the_living(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1"), await starting("r2")
    world.channel.gate = asyncio.Event()
    world.model.gate = asyncio.Event()
    await first.say("say a")
    await first.say("anything", OTHER)
    first.database.down = second.database.down = True
    world.channel.gate.set()
    await clock.advance(3 * LEASE)
    second.database.down = False
    await clock.advance(2)
    first.database.down = False
    await clock.advance(3)
    world.model.gate.set()
    await clock.advance(3 * LEASE)
    assert world.channel.texts == ["1 say a", "Answer to: anything"]
    assert len(world.model.asked) == 1


async def test_what_the_dead_left_is_taken_over_also_after_the_store_was_away(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1"), await starting("r2")
    world.channel.outcomes.append(BUSY)
    await first.say("say a", PHONE)
    await first.die()
    second.database.down = True
    await clock.advance(3 * LEASE)
    second.database.down = False
    await clock.advance(LEASE)
    assert world.channel.texts == ["1 say a", "1 say a"]
