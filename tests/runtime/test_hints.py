"""Hints between replicas: with them nobody waits for the sweep, and without them nothing is lost (P3, P6)."""

import asyncio

import msgspec
import pytest

from bot import metrics
from bot.core.events import ReturnedToBot
from bot.core.ids import CustomerId, JournalSeq
from bot.ports.hints import Hint
from bot.runtime import desk as desk_module
from bot.runtime import watching as watching_module
from bot.runtime.hints import AWAY_SECONDS, Applied, Wake
from bot.runtime.lease import held_seconds
from bot.runtime.watching import Outcome
from tests.runtime.books import echo_book
from tests.runtime.conftest import Starting
from tests.runtime.memory.link import Hold
from tests.runtime.pairs import echoes, journalled_elsewhere, pair, reply
from tests.runtime.replica import Replica, World
from tests.runtime.simulated_clock import SimulatedClock

LEASE = 10.0
OTHER = "919000000009"


@pytest.fixture
def world() -> World:
    return World(echo_book())


def count(what: str) -> float:
    return float(metrics.hints_total.labels(what)._value.get())


def stale() -> float:
    return float(metrics.stale_total._value.get())


# --- as it should be -------------------------------------------------------------------------------------------------


async def test_messages_that_alternate_between_replicas_are_answered_at_once_in_order(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replicas = await pair(starting, sweeping=False)
    words = [str(number) for number in range(20)]
    for number, word in enumerate(words):
        await replicas[number % 2].say(f"say {word}")
    assert world.channel.texts == echoes(*words)
    assert replicas[1].database.count("store.commit") == 0


async def test_messages_that_alternate_in_a_hurry_are_answered_at_once_in_order(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replicas = await pair(starting, sweeping=False)
    words = [str(number) for number in range(40)]
    for number, word in enumerate(words):
        await replicas[number % 2].hear(f"say {word}")
    await clock.settled()
    assert world.channel.texts == echoes(*words)


async def test_a_deed_at_the_replica_without_the_seat_has_its_result_at_once(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await pair(starting, sweeping=False)
    await first.say("say a")
    result = await second.desk.act(world.conversation().id, reply("hello"), key="k")
    assert result.status == "done"
    assert [world.channel_text(message) for message in result.messages] == ["hello"]
    refused = await second.desk.act(world.conversation().id, ReturnedToBot(by="zoe"), key="r")
    again = await second.desk.act(world.conversation().id, ReturnedToBot(by="zoe"), key="s")
    assert (refused.status, again.status) == ("done", "refused")
    assert again.reason


async def test_a_deed_that_was_applied_before_the_hint_came_has_its_result_too(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await pair(starting, sweeping=False)
    await first.say("say a")
    world.boxes["r1"].shut = True
    acting = asyncio.ensure_future(second.desk.act(world.conversation().id, reply("hello"), key="k"))
    await clock.settled()
    first.registry.wake(world.customer())
    await clock.settled()
    assert world.channel.texts[-1] == "hello"
    assert not acting.done()
    world.boxes["r1"].open()
    assert (await acting).status == "done"


async def test_at_rest_there_are_no_hints(world: World, starting: Starting, clock: SimulatedClock) -> None:
    first, second = await pair(starting)
    for number in range(5):
        await first.say(f"say {number}")
        await second.say(f"say {number}", OTHER)
    await clock.advance(30)
    assert first.redis.count("hints.send") == second.redis.count("hints.send") == 0


async def test_many_words_for_one_replica_are_one_hint(world: World, starting: Starting, clock: SimulatedClock) -> None:
    first, second = await pair(starting, sweeping=False)
    phones = [f"9190000001{number:02}" for number in range(20)]
    for phone in phones:
        await first.say("say a", phone)
    hold = second.redis.hold("seats.take")
    for phone in phones:
        await second.hear("say b", phone)
    hold.release()
    await clock.settled()
    assert len(world.channel.sent) == 40
    assert second.redis.count("hints.send") < 6


# --- hints that fail -------------------------------------------------------------------------------------------------


async def test_when_a_hint_is_lost_the_sweep_finds_the_letter(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await pair(starting)
    await first.say("say a")
    second.redis.fail("hints.send")
    before = count("unsent")
    await second.say("say b")
    assert count("unsent") == before + 1
    assert world.channel.texts == echoes("a")
    await clock.advance(3.1)
    assert world.channel.texts == echoes("a", "b")


async def test_when_the_answer_to_a_deed_is_lost_it_is_pending_and_done(
    world: World, starting: Starting, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "WAIT_SECONDS", 0.05)
    first, second = await pair(starting, sweeping=False)
    await first.say("say a")
    first.redis.fail("hints.send")
    result = await second.desk.act(world.conversation().id, reply("hello"), key="k")
    assert result.status == "pending"
    assert world.channel.texts[-1] == "hello"
    assert second.registry.watching.keys(world.customer()) == ()


async def test_a_late_hint_costs_one_look(world: World, starting: Starting, clock: SimulatedClock) -> None:
    first, second = await pair(starting)
    await first.say("say a")
    world.boxes["r1"].shut = True
    await second.say("say b")
    await clock.advance(3.1)
    assert world.channel.texts == echoes("a", "b")
    looks = first.database.count("journal.unread")
    world.boxes["r1"].open()
    await clock.settled()
    assert first.database.count("journal.unread") == looks + 1
    assert world.channel.texts == echoes("a", "b")


async def test_hints_that_come_twice_and_the_wrong_way_round_have_the_same_effect(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await pair(starting, sweeping=False)
    await first.say("say a")
    box = world.boxes["r1"]
    box.shut = True
    for word in "bcd":
        await second.say(f"say {word}")
    acting = asyncio.ensure_future(second.desk.act(world.conversation().id, reply("hello"), key="k"))
    await clock.settled()
    assert len(box.words) == 4
    box.words = [*reversed(box.words), *box.words]
    box.open()
    assert (await acting).status == "done"
    await clock.settled()
    assert world.channel.texts == [*echoes("a", "b", "c", "d"), "hello"]


async def test_words_of_another_release_are_passed_over(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await pair(starting, sweeping=False)
    await first.say("say a")
    before = count("unknown")
    await second._ports.hints.send([Hint(to="r1", words=words) for words in (b"\xc1", b"\x91\x81\xa4type\xa4sing")])
    await second.say("say b")
    assert count("unknown") == before + 2
    assert world.channel.texts == echoes("a", "b")


async def test_whoever_cannot_hear_hints_tries_again(world: World, starting: Starting, clock: SimulatedClock) -> None:
    first, second = await pair(starting, sweeping=False)
    await first.say("say a")
    first.redis.fail("hints.receive")
    await second.say("say b")
    assert world.channel.texts == echoes("a")
    await clock.advance(AWAY_SECONDS)
    assert world.channel.texts == echoes("a", "b")


async def test_an_answer_nobody_waits_for_is_nothing(world: World, starting: Starting, clock: SimulatedClock) -> None:
    first, second = await pair(starting, sweeping=False)
    applied = Applied(key=b"unknown", refusal="", messages=())
    await second._ports.hints.send([Hint(to="r1", words=msgspec.msgpack.encode((applied,)))])
    await first.say("say a")
    assert world.channel.texts == echoes("a")


async def test_a_letter_that_is_never_applied_is_not_watched_for_ever(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await starting("r1", sweeping=False)
    await first.say("say a")
    wake = Wake(customer=world.customer(), first=JournalSeq(0), watched=(b"never",), reply_to="r2")
    first.hinting._wake(wake)
    assert first.registry.watching.keys(world.customer()) == (b"never",)
    await clock.advance(6)
    assert first.registry.watching.keys(world.customer()) == ()


# --- the owner in the midst of something -----------------------------------------------------------------------------


def busy(replica: Replica, phase: str) -> Hold:
    call = {"seating": "seats.take", "reading": "journal.unread", "committing": "store.commit"}[phase]
    return (replica.redis if phase == "seating" else replica.database).hold(call, when="after")


@pytest.mark.parametrize("phase", ["seating", "reading", "committing"])
async def test_a_letter_that_is_hinted_while_the_owner_is_busy_is_read_afterwards(
    world: World, starting: Starting, clock: SimulatedClock, phase: str
) -> None:
    replica = await starting(sweeping=False)
    await replica.say("say a")
    await clock.advance(held_seconds(LEASE))
    await replica.sweep.round()
    hold = busy(replica, phase)
    await journalled_elsewhere(world, "say b")
    replica.registry.wake(world.customer())
    await clock.settled()
    assert hold.reached == 1
    first = await journalled_elsewhere(world, "say c")
    replica.registry.wake(world.customer(), first)
    await clock.settled()
    hold.release()
    await clock.settled()
    assert world.channel.texts == echoes("a", "b", "c")


async def test_a_letter_that_is_hinted_while_the_owner_rests_is_read_afterwards(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False)
    await replica.say("say a")
    replica.database.fail("store.commit", error=RuntimeError("a bug"))
    await replica.say("say b")
    first = await journalled_elsewhere(world, "say c")
    replica.registry.wake(world.customer(), first)
    await clock.advance(2)
    assert world.channel.texts == echoes("a", "b", "c")


async def test_a_letter_of_ours_behind_one_that_was_hinted_costs_no_commit_in_vain(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False)
    await replica.say("say a")
    before = stale()
    hold = busy(replica, "committing")
    await replica.hear("say b")
    await clock.settled()
    first = await journalled_elsewhere(world, "say c")
    await replica.hear("say d")
    replica.registry.wake(world.customer(), first)
    hold.release()
    await clock.settled()
    assert world.channel.texts == echoes("a", "b", "c", "d")
    assert stale() == before


async def test_a_letter_before_the_one_that_is_committed_is_not_overlooked(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False)
    await replica.say("say a")
    hold = replica.database.hold("store.commit", when="before")
    first = await journalled_elsewhere(world, "say b")
    await replica.hear("say c")
    await clock.settled()
    assert hold.reached == 1
    replica.registry.wake(world.customer(), first)
    hold.release()
    await clock.settled()
    assert world.channel.texts == echoes("a", "b", "c")


async def test_both_replicas_busy_with_many_customers_answer_everything_in_order(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replicas = await pair(starting, sweeping=False, mailbox=2)
    phones = [f"9190000002{number:02}" for number in range(10)]
    holds = [replica.database.hold("store.commit", when="after") for replica in replicas]
    words = [str(number) for number in range(12)]
    for number, word in enumerate(words):
        for place, phone in enumerate(phones):
            await replicas[(number + place) % 2].hear(f"say {word}", phone)
        await clock.settled()
    for hold in holds:
        hold.release()
    await clock.settled()
    for phone in phones:
        assert [sent.text for sent in world.channel.sent if sent.recipient == phone] == echoes(*words)


# --- who waits for what ----------------------------------------------------------------------------------------------


async def test_only_the_last_outcomes_are_remembered(
    world: World, starting: Starting, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching_module, "REMEMBERED", 2)
    first = await starting("r1", sweeping=False)
    await first.say("say a")
    customer = world.customer()
    for key in (b"1", b"2", b"3"):
        await first.intake.tell(customer, reply("hello"), key=key)
    await clock.settled()
    assert [first.registry.watching.recent(key) is not None for key in (b"1", b"2", b"3")] == [False, True, True]


def test_one_who_stops_waiting_does_not_take_the_others_along() -> None:
    watching = watching_module.Watching()
    heard: list[Outcome] = []
    others: list[str] = []

    def other(outcome: Outcome) -> None:
        others.append(outcome.refusal)

    watching.watch(CustomerId(1), b"key", heard.append)
    watching.watch(CustomerId(1), b"key", other)
    watching.unwatch(b"key", other)
    outcome = Outcome(refusal="", messages=())
    watching.settle(b"key", outcome)
    watching.unwatch(b"key", heard.append)
    assert (heard, others) == ([outcome], [])
