"""Owners of seats that retire, die or stop: their conversations go on elsewhere in time (P3, P6)."""

import asyncio

import msgspec
import pytest

from bot.core.events import Sender
from bot.ports.hints import Hint
from bot.runtime.hints import Wake, Word
from bot.runtime.lease import HELD_SHARE, held_seconds
from bot.runtime.watching import Outcome
from tests.runtime.books import echo_book
from tests.runtime.conftest import Starting
from tests.runtime.pairs import echoes, pair, reply
from tests.runtime.replica import PHONE, Replica, World
from tests.runtime.simulated_clock import SimulatedClock

LEASE = 10.0
OTHER = "919000000009"


@pytest.fixture
def world() -> World:
    return World(echo_book())


# --- owners that are gone --------------------------------------------------------------------------------------------


async def test_an_owner_that_has_given_the_seat_back_takes_it_again(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await pair(starting, sweeping=False)
    await first.say("say a")
    world.boxes["r1"].shut = True
    await second.say("say b")
    await clock.advance(1)
    await first.registry.retire(0.5)
    world.boxes["r1"].open()
    await clock.settled()
    assert world.channel.texts == echoes("a", "b")


async def test_a_hint_follows_the_seat(world: World, starting: Starting, clock: SimulatedClock) -> None:
    first, second = await pair(starting, sweeping=False)
    third = await starting("r3", sweeping=False)
    await first.say("say a")
    world.boxes["r1"].shut = True
    acting = asyncio.ensure_future(second.desk.act(world.conversation().id, reply("hello"), key="k"))
    await clock.settled()
    await clock.advance(1)
    await first.registry.retire(0.5)
    hold = third.database.hold("journal.unread", when="before")
    third.registry.wake(world.customer())
    await clock.settled()
    assert hold.reached == 1
    world.boxes["r1"].open()
    await clock.settled()
    hold.release()
    assert (await acting).status == "done"
    assert world.channel.texts == [*echoes("a"), "hello"]


async def test_a_hint_that_is_passed_on_names_the_letter(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await pair(starting, sweeping=False)
    await first.say("say a")
    third = await starting("r3", sweeping=False)
    world.boxes["r1"].shut = True
    await second.say("say b")
    (seq,) = [row.seq for row in world.tables.journal.values() if row.consumed_at is None]
    (words,) = world.boxes["r1"].words
    await third._ports.hints.send([Hint(to="r2", words=words)])
    await clock.settled()
    passed_on = [msgspec.msgpack.decode(words, type=tuple[Word, ...]) for words in world.boxes["r1"].words]
    assert passed_on == [(Wake(customer=world.customer(), first=seq),)] * 2


async def test_replicas_that_watch_a_letter_for_each_other_hear_of_it_and_fall_silent(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await pair(starting, sweeping=False)
    await first.say("say a")
    for here, there in ((first, "r2"), (second, "r1")):
        here.hinting._watch(world.customer(), b"key", there)
    first.registry.watching.settle(b"key", Outcome(refusal="", messages=()))
    await clock.settled()
    assert first.registry.watching.keys(world.customer()) == second.registry.watching.keys(world.customer()) == ()
    assert first.redis.count("hints.send") + second.redis.count("hints.send") == 2


@pytest.mark.parametrize("lease", [10.0, 2.0, 30.0])
@pytest.mark.parametrize("share", [0.0, 0.3, HELD_SHARE - 0.001])
async def test_after_a_death_what_comes_in_elsewhere_is_answered_within_the_lease(
    world: World, starting: Starting, clock: SimulatedClock, lease: float, share: float
) -> None:
    first, _ = await pair(starting, lease=lease)
    await clock.advance(0.37 * lease)
    await first.say("say a")
    await clock.advance(held_seconds(lease) * 0.1)
    await first.die()
    survivor = await starting("r3", lease=lease)
    await clock.advance(share * lease)
    await survivor.hear("say b")
    await clock.advance((1 - share) * lease - 0.01)
    assert world.channel.texts == echoes("a", "b")


@pytest.mark.parametrize("lease", [10.0, 2.0, 30.0])
async def test_after_a_death_what_it_had_accepted_or_not_sent_goes_on_within_the_lease(
    world: World, starting: Starting, clock: SimulatedClock, lease: float
) -> None:
    first, _ = await pair(starting, lease=lease)
    await first.say("say a")
    hold = first.database.hold("store.commit", when="before")
    await first.hear("say b")
    world.channel.gate = asyncio.Event()
    await first.hear("twice c", OTHER)
    await clock.settled()
    await first.sweep._beat()
    await first.die()
    hold.release()
    world.channel.gate.set()
    sent = len(world.channel.sent)
    await clock.advance(lease - 0.01)
    assert [sent.text for sent in world.channel.sent if sent.recipient == PHONE] == echoes("a", "b")
    assert len(world.channel.sent) > sent


async def test_after_a_death_its_questions_are_answered_within_the_lease(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, _ = await pair(starting)
    await first.hear("say a")
    await first.hear("anything")
    world.model.gate = asyncio.Event()
    await clock.settled()
    await first.sweep._beat()
    await first.die()
    world.model.gate.set()
    await clock.advance(LEASE - 0.01)
    assert world.channel.texts == [*echoes("a"), "Answer to: anything"]


# --- a stop ----------------------------------------------------------------------------------------------------------


async def stopped(replica: Replica, seconds: float = 5.0) -> None:
    stopping = asyncio.ensure_future(replica.stop(seconds))
    while not stopping.done():
        await replica.clock.advance(0.01)
    await stopping


async def test_after_a_stop_what_was_left_goes_on_elsewhere_at_once(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await pair(starting)
    await first.say("say a")
    world.boxes["r1"].shut = True
    await second.say("say b")
    assert world.channel.texts == echoes("a")
    began = clock.monotonic()
    await stopped(first)
    await clock.settled()
    assert clock.monotonic() - began < 0.1
    assert world.channel.texts == echoes("a", "b")
    await second.say("say c")
    assert world.channel.texts == echoes("a", "b", "c")


async def test_after_a_stop_messages_and_questions_go_on_elsewhere_at_once(
    world: World, starting: Starting, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await pair(starting, sweeping=False)
    world.model.gate = asyncio.Event()
    await first.say("anything")
    await first.say("person please", OTHER)
    stopping = asyncio.ensure_future(first.stop(5.0))
    await clock.advance(0.05)
    await stopping
    world.model.gate.set()
    await clock.settled()
    assert world.channel.texts[-1] == "Answer to: anything"
    assert second.database.count("effects.orphans") == 2


async def test_after_a_stop_a_message_whose_send_hung_goes_on_elsewhere_at_once(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, _ = await pair(starting, sweeping=False, interval=0.1)
    world.channel.gate = asyncio.Event()
    await first.say("say a")
    stopping = asyncio.ensure_future(first.stop(1.0))
    await clock.advance(2)
    world.channel.gate = None
    await stopping
    await clock.settled()
    assert world.channel.texts == echoes("a", "a")


async def test_an_actor_that_rests_at_a_stop_does_not_sit_down_again(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, _ = await pair(starting)
    await first.say("say a")
    first.database.fail("store.commit", error=RuntimeError("a bug"))
    await first.say("say b")
    await stopped(first)
    await clock.settled()
    assert world.channel.texts == echoes("a", "b")
    await clock.advance(3)
    assert world.places[world.customer()].owner == "r2"
    assert first.redis.count("seats.take") == 1


async def test_a_seat_that_is_granted_after_the_stop_is_given_back(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await starting("r1", sweeping=False)
    hold = first.redis.hold("seats.take", when="before")
    await first.hear("say a")
    await clock.settled()
    assert hold.reached == 1
    await first.registry.leave()
    hold.release()
    await clock.settled()
    assert world.places[world.customer()].owner == ""
    assert first.database.count("store.commit") == 0


async def test_a_commit_that_ends_after_the_stop_takes_no_seat(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await starting("r1", sweeping=False)
    hold = first.database.hold("store.commit", when="after")
    await first.hear("say a")
    await clock.settled()
    await first.registry.leave()
    hold.release()
    await clock.advance(5)
    assert world.places[world.customer()].owner == ""
    assert first.redis.count("seats.keep") == 0


async def test_a_seat_is_left_also_by_who_has_forgotten_the_state(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await starting("r1", sweeping=False)
    await first.say("say a")
    first.database.fail("store.commit", error=RuntimeError("a bug"))
    await first.say("say b")
    await first.registry.leave()
    assert world.places[world.customer()].owner == ""


async def test_snapshots_that_were_gathered_go_before_the_seats(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await starting("r1", sweeping=False)
    await first.say("say a")
    await first.registry.leave()
    place = world.places[world.customer()]
    assert place.owner == ""
    assert place.snapshot is not None
    assert place.snapshot.version == 1


async def test_an_actor_that_comes_back_while_its_seat_is_given_back_asks_for_it_again(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False)
    await replica.say("say a")
    await clock.advance(1)
    hold = replica.redis.hold("seats.leave", when="before")
    retiring = asyncio.ensure_future(replica.registry.retire(0.5))
    await clock.settled()
    await replica.say("say b")
    hold.release()
    await retiring
    assert world.places[world.customer()].owner == ""
    await replica.say("say c")
    assert world.places[world.customer()].owner == "r1"
    assert world.channel.texts == echoes("a", "b", "c")


# --- seats that move -------------------------------------------------------------------------------------------------


async def test_whoever_comes_back_to_a_seat_lines_up_behind_what_others_have_still_to_send(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await pair(starting, idle=1000.0)
    await first.say("say a")
    await clock.advance(held_seconds(LEASE) + 1)
    world.channel.gate = asyncio.Event()
    await second.say("twice b")
    await clock.advance(1)
    await second.registry.retire(0.5)
    assert second.database.count("store.commit") == 1
    await first.say("say c")
    world.channel.gate.set()
    await clock.advance(3)
    assert world.channel.texts == ["1 say a", "1 twice b", "2 twice b", "1 say c"]


async def test_a_merged_customer_whose_seat_is_elsewhere_is_hinted(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await pair(starting, sweeping=False)
    await second.hear("say x", sender=Sender(user_id="IN.1"))
    await clock.settled()
    await first.say("say a")
    await first.hear("say b", sender=Sender(phone=PHONE, user_id="IN.1"))
    await clock.settled()
    await second.hear("say y", sender=Sender(user_id="IN.1"))
    await clock.settled()
    assert all(row.consumed_at is not None for row in world.tables.journal.values())
    assert [turn.text for turn in world.conversation().turns if turn.role == "user"] == ["say a", "say b", "say y"]
