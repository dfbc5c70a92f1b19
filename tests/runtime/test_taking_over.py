"""Who may send what when replicas were silent, slow or gone: nobody overtakes, and doubles are counted (P3, P5)."""

from bot.ports.failures import Unavailable
from tests.runtime.books import echo_book
from tests.runtime.conftest import Starting
from tests.runtime.replica import Replica, World
from tests.runtime.simulated_clock import SimulatedClock

LAPSED = 6.5
"""Seconds after which a heartbeat of the usual lease does not hold any more."""


async def test_what_was_committed_around_a_silence_is_sent_by_whoever_took_it_over(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    world.book = echo_book()
    first, second = await starting("r1", sweeping=False), await starting("r2", sweeping=False)
    hold = first.database.hold("store.commit", when="after")
    await first.say("say a")
    await clock.advance(LAPSED)
    await second.sweep.round()
    await first.sweep.round()
    hold.release()
    await clock.advance(1)
    await first.sweep.round()
    await clock.advance(1)
    assert world.channel.texts == ["1 say a"]


async def test_what_a_call_claimed_whose_answer_was_lost_goes_out_before_what_comes_later(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    world.book = echo_book()
    first, second = await starting("r1", sweeping=False), await starting("r2", sweeping=False)
    first.delivery.gate.pause(100.0)
    await first.say("twice a")
    await first.die()
    await clock.advance(LAPSED)
    second.database.fail("outbox.orphans", when="after")
    await second.sweep.round()
    await second.say("say b")
    await second.sweep.round()
    await second.sweep.round()
    await clock.advance(1)
    assert world.channel.texts == ["1 twice a", "2 twice a", "1 say b"]


async def test_a_heartbeat_that_took_longer_than_it_holds_is_followed_by_the_question_what_is_still_ours(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    world.book = echo_book()
    replica = await starting("r1", sweeping=False)
    replica.delivery.gate.pause(100.0)
    await replica.say("say a")
    asked = replica.database.count("outbox.still_mine")
    hold = replica.database.hold("replicas.beat")
    replica.tasks.spawn(replica.sweep.round(), "round")
    await clock.advance(LAPSED)
    hold.release()
    await clock.settled()
    assert replica.database.count("outbox.still_mine") == asked + 1


async def test_nothing_is_ours_before_the_first_sign_of_life_was_heard(world: World, clock: SimulatedClock) -> None:
    replica = Replica(world, "r1")
    replica.database.fail("replicas.beat", when="after", error=Unavailable("no answer"))
    await replica.begin(sweeping=False)
    assert replica.delivery.gate.lapsed
    await replica.sweep.round()
    assert not replica.delivery.gate.lapsed
    await replica.end()


async def test_what_is_claimed_again_is_not_taken_in_twice(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    world.book = echo_book()
    replica = await starting("r1", sweeping=False)
    replica.delivery.gate.pause(5.0)
    await replica.say("twice a")
    for message in world.tables.outbound():
        message.claimed_by = "gone"
    await replica.sweep.round()
    await clock.advance(6)
    assert world.channel.texts == ["1 twice a", "2 twice a"]
    assert len(replica.delivery) == 0
