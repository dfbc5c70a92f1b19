"""Idle conversations: what a replica keeps of them, and that they go on from it as if nothing had been (P2, P3, P6)."""

import asyncio

import msgspec
import pytest

from bot.runtime import dormant, seating
from bot.runtime.lease import held_seconds
from bot.runtime.seating import LEASE_MARGIN
from tests.runtime.books import echo_book
from tests.runtime.conftest import Starting
from tests.runtime.pairs import echoes, pair
from tests.runtime.replica import PHONE, Replica, World
from tests.runtime.simulated_clock import SimulatedClock

LEASE = 10.0
HELD = held_seconds(LEASE)
RELIED_ON = HELD * (1 - LEASE_MARGIN)
LONG = 1000.0
"""`ACTOR_IDLE` of those who are to stay."""


@pytest.fixture
def world() -> World:
    return World(echo_book())


def awake(replica: Replica) -> int:
    return len(replica.registry._actors)


async def asleep(replica: Replica, clock: SimulatedClock, seconds: float = RELIED_ON) -> None:
    """Let the lease run out, and a round of the sweep look at it."""
    await clock.advance(seconds + 2)
    assert awake(replica) == 0


async def test_who_has_no_lease_any_more_sleeps_and_is_still_live(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(idle=LONG)
    await replica.say("say a")
    await clock.advance(RELIED_ON - 1)
    assert awake(replica) == 1
    await clock.advance(3)
    assert (awake(replica), len(replica.registry)) == (0, 1)


async def test_who_wakes_goes_on_without_asking_the_store(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(idle=LONG)
    await replica.say("say a")
    await asleep(replica, clock)
    loads = replica.database.count("store.load")
    world.places.clear()  # Redis has lost everything as well
    await replica.say("say b")
    assert world.channel.texts == echoes("a", "b")
    assert replica.database.count("store.load") == loads
    assert replica.database.count("store.commit") == 2


async def test_of_who_wakes_to_the_same_state_nobody_asks_what_others_have_still_to_send(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(idle=LONG)
    await replica.say("say a")
    await asleep(replica, clock)
    behind = replica.database.count("outbox.behind")
    await replica.say("say b")
    assert world.channel.texts == echoes("a", "b")
    assert replica.database.count("outbox.behind") == behind


async def test_who_wakes_while_redis_is_away_goes_on(world: World, starting: Starting, clock: SimulatedClock) -> None:
    replica = await starting(idle=LONG)
    await replica.say("say a")
    await asleep(replica, clock)
    replica.redis.down = True
    await replica.say("say b")
    assert world.channel.texts == echoes("a", "b")


async def test_what_another_replica_did_meanwhile_counts(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await pair(starting, idle=LONG)
    await first.say("say a")
    await asleep(first, clock)
    await second.say("say b")
    await asleep(second, clock)
    commits = first.database.count("store.commit")
    await first.say("say c")
    assert world.channel.texts == echoes("a", "b", "c")
    assert first.database.count("store.commit") == commits + 1  # none in vain


async def test_a_stale_state_that_slept_costs_one_step_and_nothing_else(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await pair(starting, idle=LONG)
    await first.say("say a")
    await asleep(first, clock)
    await second.say("say b")
    await asleep(second, clock)
    world.places.clear()
    await first.say("say c")
    assert world.channel.texts == echoes("a", "b", "c")


async def test_a_key_that_was_wrapped_anew_while_its_customer_slept_is_asked_for(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(idle=LONG)
    await replica.say("say a")
    await asleep(replica, clock)
    place = replica.registry._dormant._asleep
    customer = world.customer()
    old = msgspec.structs.replace(place[customer].loaded, data_key=b"wrapped by a key that was taken away")
    place[customer] = msgspec.structs.replace(place[customer], loaded=old)
    world.places.clear()
    await replica.say("say b")
    assert world.channel.texts == echoes("a", "b")


async def test_who_is_busy_or_has_failed_does_not_sleep(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False)
    hold = replica.database.hold("store.commit")
    await replica.hear("say a")
    await clock.advance(RELIED_ON + 5)
    await replica.registry.retire(LONG)
    assert awake(replica) == 1
    hold.release()
    await clock.settled()
    await replica.registry.retire(LONG)
    assert awake(replica) == 1  # the commit has made the lease anew
    replica.registry._actors[world.customer()].failures = 1
    await clock.advance(RELIED_ON + 5)
    await replica.registry.retire(LONG)
    assert awake(replica) == 1


async def test_of_an_erased_customer_nothing_is_kept_asleep(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(idle=LONG)
    await replica.say("say a")
    await asleep(replica, clock)
    assert await replica.registry.forget([world.customer()])
    assert len(replica.registry) == 0


# --- seats -----------------------------------------------------------------------------------------------------------


async def test_who_leaves_memory_asleep_has_no_seat_to_give_back(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(idle=60.0)
    await replica.say("say a")
    await clock.advance(62)
    assert len(replica.registry) == 0
    assert replica.redis.count("seats.leave") == 0


async def test_a_stop_gives_back_the_seats_that_may_be_ours_still(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(idle=LONG)
    await replica.say("say a", phone="919000000001")
    await clock.advance(HELD)
    await replica.say("say b", phone="919000000002")
    await asleep(replica, clock, RELIED_ON - 1)
    await replica.say("say c", phone="919000000003")
    owners = [place.owner for place in world.places.values()]
    await replica.registry.leave()
    assert owners == ["r1", "r1", "r1"]
    assert [place.owner for place in world.places.values()] == ["r1", "", ""]
    assert len(replica.registry) == 0


async def test_seats_are_given_back_by_portions(
    world: World, starting: Starting, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seating, "LEAVE_AT_ONCE", 2)
    replica = await starting(idle=LONG)
    for number in range(5):
        await replica.say("say a", phone=f"91900000001{number}")
    await replica.registry.leave()
    assert replica.redis.count("seats.leave") == 3
    assert {place.owner for place in world.places.values()} == {""}


async def test_who_comes_back_while_the_seat_is_given_back_asks_for_it_again(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False)
    await replica.say("say a")
    await clock.advance(RELIED_ON + 0.1)
    hold = replica.redis.hold("seats.leave", when="before")
    retiring = asyncio.ensure_future(replica.registry.retire(1.0))
    await clock.settled()
    await replica.say("say b")
    hold.release()
    await retiring
    assert replica.registry._actors[world.customer()].lease_until == 0.0
    await replica.say("say c")
    assert world.places[world.customer()].owner == "r1"
    assert world.channel.texts == echoes("a", "b", "c")


# --- very many -------------------------------------------------------------------------------------------------------


async def test_many_fall_asleep_and_leave_by_portions_between_which_others_have_their_turn(
    world: World, starting: Starting, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dormant, "AT_ONCE", 2)
    replica = await starting(sweeping=False)
    for number in range(5):
        await replica.say("say a", phone=f"91900000001{number}")
    await clock.advance(RELIED_ON + 0.1)
    assert {one[0] for one in await turns_of_others(replica, LONG)} >= {3, 1}
    assert (awake(replica), len(replica.registry)) == (0, 5)
    assert {one[1] for one in await turns_of_others(replica, 0.0)} >= {3, 1}
    assert len(replica.registry) == 0


async def turns_of_others(replica: Replica, idle: float) -> list[tuple[int, int]]:
    """How many are awake and how many are live whenever something else has its turn while all retire."""
    retiring = asyncio.ensure_future(replica.registry.retire(idle))
    seen = []
    while not retiring.done():
        await asyncio.sleep(0)
        seen.append((awake(replica), len(replica.registry)))
    return seen


async def test_those_who_never_fell_asleep_leave_by_portions_too_and_give_no_seat_back_that_is_over(
    world: World, starting: Starting, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dormant, "AT_ONCE", 1)
    replica = await starting(sweeping=False)
    for number in range(5):
        await replica.say("say a", phone=f"91900000001{number}")
    await clock.advance(100)  # as after a pause of the process
    assert {one[1] for one in await turns_of_others(replica, 30.0)} >= {3, 1}
    assert len(replica.registry) == 0
    assert replica.redis.count("seats.leave") == 0


async def test_one_customer_in_ten_wakes_and_all_are_served(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(idle=LONG)
    phones = [f"9190000001{number:02d}" for number in range(50)]
    for phone in phones:
        await replica.say("say a", phone=phone)
    await asleep(replica, clock)
    for phone in phones[::10]:
        await replica.say("twice b", phone=phone)
    assert awake(replica) == 5
    assert world.channel.texts == echoes("a") * 50 + ["1 twice b", "2 twice b"] * 5
    assert PHONE not in phones
