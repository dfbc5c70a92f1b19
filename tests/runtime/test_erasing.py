"""Erasure against living actors: nothing of before takes effect after it, whoever dies where, and nothing is sent."""

import asyncio

import msgspec
import pytest

from bot.core.events import AgentReplied, Sender
from bot.core.messages import Text
from bot.ports.erasures import ErasureReport
from bot.ports.failures import Unavailable
from bot.ports.journal import Entry
from bot.runtime.erasing import SILENT_SECONDS, SPOOL_SECONDS, WAIT_SECONDS
from tests.runtime.books import echo_book
from tests.runtime.conftest import Starting
from tests.runtime.memory.journal import append
from tests.runtime.memory.link import When
from tests.runtime.replica import PHONE, Replica, World
from tests.runtime.simulated_clock import SimulatedClock

BEGUN = ["begin", "work_off", "report", "unheard", "hear", "finish"]
"""The calls of an erasure, in order; `seats.forget` goes to Redis."""


@pytest.fixture(autouse=True)
def book(world: World) -> None:
    world.book = echo_book()


async def erased(replica: Replica, key: str = "k") -> ErasureReport | None:
    """Erase the customer, letting time pass until there is an answer."""
    task = asyncio.ensure_future(replica.erasing.erase(PHONE, by="admin", key=key))
    for _ in range(100):
        await replica.clock.advance(0.2)
        if task.done():
            break
    return await task


def left(world: World, *words: str) -> list[str]:
    """Where any of these words still stands in what replicas share."""
    places = {
        "users": world.tables.users,
        "identities": world.tables.identities,
        "journal": world.tables.journal,
        "messages": world.tables.messages,
        "effects": world.tables.effects,
        "seats": world.places,
        "queue": world.queue.entries,
    }
    return [name for name, what in places.items() for word in words if word in repr(what)]


async def test_nothing_of_an_erased_customer_is_left_and_their_numbers_stay(world: World, starting: Starting) -> None:
    replica = await starting()
    await replica.say("say marmalade")
    assert left(world, "marmalade") != []
    report = await erased(replica)
    assert report == ErasureReport(status="done", conversations=1, messages=2, events=1, cancelled=0, quarantined=0)
    assert left(world, "marmalade", PHONE) == []
    assert {message.status for message in world.tables.messages.values()} == {"received", "sent"}
    assert [row.status for row in world.tables.conversations.values()] == ["closed"]
    assert world.tables.timers == {}
    assert "customer_erased" in [row.action for _, row in world.tables.audit]
    assert len(replica.registry) == 0


async def test_who_writes_again_is_a_new_customer_and_greeted_as_one(world: World, starting: Starting) -> None:
    replica = await starting()
    await replica.say("say one")
    before = world.customer()
    await erased(replica)
    await replica.say("say two")
    assert world.customer() != before
    assert world.channel.texts == ["1 say one", "1 say two"]
    assert world.conversation().customer.phone == PHONE


async def test_nobody_has_the_number_and_a_repeated_call_hears_of_the_same_erasure(
    world: World, starting: Starting
) -> None:
    replica = await starting()
    assert await erased(replica) is None
    await replica.say("say one")
    first = await erased(replica)
    await replica.say("say two")
    assert await erased(replica) == first
    assert not world.tables.users[world.customer()].erased
    await erased(replica, key="another")
    assert ("phone", PHONE) not in world.tables.identities


async def test_messages_that_wait_are_never_sent_on_any_replica(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1"), await starting("r2")
    first.delivery.gate.pause(8.0)
    await first.say("thrice a")
    report = await erased(second)
    assert report is not None
    assert (report.status, report.cancelled) == ("done", 3)
    await clock.advance(60)
    assert world.channel.texts == []
    assert len(first.delivery) == 0


async def test_a_commit_of_the_old_state_is_turned_away_and_what_it_heard_begins_a_new_customer(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    """The message came to the journal before the erasure and was read, so it goes with it; the next one is new."""
    first, second = await starting("r1"), await starting("r2")
    await first.say("say one")
    hold = first.database.hold("store.commit")
    await first.hear("say two")
    await clock.settled()
    task = asyncio.ensure_future(second.erasing.erase(PHONE, by="admin", key="k"))
    await clock.advance(1)
    await second.hear("say three")
    hold.release()
    await clock.advance(10)
    report = await task
    assert report is not None
    assert world.channel.texts == ["1 say one", "1 say three"]
    assert left(world, "say two", "say one") == []


async def test_a_lost_answer_of_a_commit_before_the_erasure_sends_nothing_after_it(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1"), await starting("r2")
    await first.say("say one")
    hold = first.database.hold("store.commit", when="after")
    await first.hear("say two")
    await clock.settled()
    task = asyncio.ensure_future(second.erasing.erase(PHONE, by="admin", key="k"))
    await clock.advance(1)
    second.delivery.gate.pause(0.1)
    first.delivery.gate.pause(3.0)
    hold.release()
    await clock.advance(20)
    assert (await task) is not None
    assert world.channel.texts == ["1 say one"]
    assert left(world, "say two") == []


async def test_a_model_answer_that_comes_too_late_is_heard_by_nobody(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    world.model.gate = asyncio.Event()
    await replica.say("ask albatross")
    report = await erased(replica)
    assert report is not None
    assert report.status == "done"
    world.model.gate.set()
    await clock.advance(10)
    assert world.channel.texts == []
    assert left(world, "albatross") == []


async def test_questions_that_wait_for_a_model_are_not_asked(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(model_workers=1)
    world.model.gate = asyncio.Event()
    await replica.say("ask first", phone="919876500001")
    await replica.say("ask albatross")
    await erased(replica)
    world.model.gate.set()
    await clock.advance(10)
    assert [question.turns[-1].text for question in world.model.asked] == ["ask first"]


async def test_a_message_journalled_under_the_old_id_goes_to_the_new_customer_in_order(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1"), await starting("r2")
    await first.say("say one")
    hold = first.database.hold("journal.append")
    waiting = asyncio.ensure_future(first.hear("say two"))
    await clock.settled()
    task = asyncio.ensure_future(second.erasing.erase(PHONE, by="admin", key="k"))
    await clock.advance(0.5)
    hold.release()
    await clock.advance(10)
    assert (await waiting).accepted == 1
    assert (await task) is not None
    assert world.channel.texts == ["1 say one", "1 say two"]
    assert world.tables.users[world.customer()].erased is False


async def test_a_deed_that_comes_too_late_is_refused(world: World, starting: Starting, clock: SimulatedClock) -> None:
    replica = await starting()
    await replica.say("say one")
    customer = world.customer()
    conversation = next(iter(world.tables.conversations))
    hold = replica.database.hold("journal.append")
    deed = AgentReplied(agent="Ann", content=Text(text="walrus"))
    acting = asyncio.ensure_future(replica.desk.act(conversation, deed, key="d"))
    await clock.settled()
    task = asyncio.ensure_future(replica.erasing.erase(PHONE, by="admin", key="k"))
    await clock.advance(0.5)
    hold.release()
    await clock.advance(8)
    assert (await acting).status == "refused"
    await task
    assert world.tables.unread(customer) == []
    assert left(world, "walrus") == []


async def test_an_opt_out_outlives_the_erasure_and_ends_with_the_customers_own_word(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await replica.say("STOP")
    await erased(replica)
    assert ("phone", PHONE) in world.tables.suppressed
    await replica.say("say one")
    assert world.conversation().customer.opted_out
    assert world.channel.texts[-1:] != ["1 say one"]
    await replica.say("START")
    await replica.say("say two")
    assert world.channel.texts[-1] == "1 say two"
    await erased(replica, key="again")
    assert world.tables.suppressed == set()


async def test_a_merged_customer_is_erased_with_whom_they_absorbed(world: World, starting: Starting) -> None:
    replica = await starting()
    await replica.say("say marmalade", phone=PHONE)
    await replica.hear("say walrus", sender=Sender(user_id="IN.26"))
    await replica.clock.settled()
    await replica.hear("say both", sender=Sender(phone=PHONE, user_id="IN.26"))
    await replica.clock.advance(3)
    assert len(world.tables.users) == 2
    report = await erased(replica)
    assert report is not None
    assert report.conversations == 2
    assert left(world, "marmalade", "walrus", "both", PHONE, "IN.26") == []


async def test_it_waits_for_webhooks_in_the_spool_and_gives_up_when_they_stay(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False)
    await replica.say("say one")
    world.queue.entries[1] = b"sealed"
    task = asyncio.ensure_future(replica.erasing.erase(PHONE, by="admin", key="k"))
    await clock.advance(SPOOL_SECONDS + 1)
    with pytest.raises(Unavailable, match="try again"):
        await task
    assert not world.tables.users[world.customer()].erased


async def test_it_is_pending_while_redis_is_away_and_done_when_it_is_back(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await replica.say("say one")
    replica.redis.fail("seats.forget", times=12)
    report = await erased(replica)
    assert report is not None
    assert report.status == "pending"
    assert world.places != {}
    await clock.advance(15)
    again = await erased(replica)
    assert again is not None
    assert again.status == "done"
    assert world.places == {}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", BEGUN)
async def test_wherever_its_replica_dies_the_erasure_is_whole_or_was_never_begun(
    world: World, starting: Starting, clock: SimulatedClock, call: str, when: When
) -> None:
    first, second = await starting("r1"), await starting("r2")
    await first.say("twice marmalade")
    hold = first.database.hold(f"erasures.{call}", when=when)
    task = asyncio.ensure_future(first.erasing.erase(PHONE, by="admin", key="k"))
    for _ in range(20):
        await clock.advance(0.1)
        if hold.reached:
            break
    assert hold.reached
    await first.die()
    task.cancel()
    hold.release()
    await asyncio.gather(task, return_exceptions=True)
    await clock.advance(SILENT_SECONDS + WAIT_SECONDS)
    report = await erased(second)
    assert report is not None
    assert report.status == "done"
    assert left(world, "marmalade", PHONE) == []
    assert world.channel.texts == ["1 twice marmalade", "2 twice marmalade"]


async def test_a_replica_that_was_frozen_sends_nothing_when_it_goes_on(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1", sweeping=False), await starting("r2")
    first.delivery.gate.pause(30.0)
    second.delivery.gate.pause(30.0)
    await first.say("twice a")
    await clock.advance(12)
    report = await erased(second)
    assert report is not None
    assert report.status == "done"
    await clock.advance(30)
    await first.sweep.round()
    await clock.advance(10)
    assert world.channel.texts == []
    assert len(first.registry) == 0


async def test_what_the_store_did_not_take_is_taken_up_when_it_is_back(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await replica.say("say marmalade")
    replica.database.fail("erasures.work_off", times=2)
    report = await erased(replica)
    assert report is not None
    assert report.status == "pending"
    await clock.advance(3 * SILENT_SECONDS)
    again = await erased(replica)
    assert again is not None
    assert again.status == "done"
    assert left(world, "marmalade") == []


async def test_events_after_it_wait_for_the_store_and_for_a_release_that_knows_them(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await replica.say("say one")
    customer = world.customer()
    await erased(replica)
    bodies = (b"\xc1", msgspec.msgpack.encode({"event": {"type": "of tomorrow"}, "at": 1.0, "seed": 1}))
    for name, body in zip((b"odd", b"new"), bodies, strict=True):
        entry = Entry(dedup=name, customer=customer, kind="x", sealed=world.vault.seal(body, name), at=clock.now())
        append(world.tables, [entry])
        replica.database.fail("erasures.strays")
        replica.registry.wake(customer)
        await clock.advance(5)
    assert [row.dedup for row in world.tables.unread(customer)] == [b"new"]


async def test_a_snapshot_that_was_on_its_way_is_not_left_in_redis(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    """The last commit's snapshot is gathered for a moment: it must not come after the seat was deleted."""
    first, second = await starting("r1"), await starting("r2")
    await first.say("say marmalade")
    task = asyncio.ensure_future(second.erasing.erase(PHONE, by="admin", key="k"))
    await clock.advance(0.05)
    hold = first.redis.hold("seats.keep")
    await clock.advance(2)
    assert not task.done()
    hold.release()
    await clock.advance(5)
    report = await task
    assert report is not None
    assert report.status == "done"
    assert [place for place in world.places.values() if place.snapshot is not None] == []
