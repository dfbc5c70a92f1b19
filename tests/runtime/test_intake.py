"""The way in: durable before it is answered, once, and refused rather than dropped."""

import asyncio

import pytest

from bot.core.events import Sender, TimerFired
from bot.core.ids import TimerId
from bot.ports.failures import Unacceptable, Unavailable
from bot.runtime import journalling as journalling_module
from bot.runtime.intake import QUARANTINE_CONTEXT, Overloaded
from bot.runtime.letters import event_key
from bot.wire.msg91.deliveries import Ignored, Item, Quarantined, Received, Reported
from bot.wire.msg91.reports import DeliveryReport
from tests.runtime.conftest import Starting
from tests.runtime.replica import PHONE, World
from tests.runtime.simulated_clock import SimulatedClock


async def test_every_kind_of_event_of_a_webhook_is_taken(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    items: list[Item] = [
        Received(event=world.message("hello")),
        Reported(report=DeliveryReport(status="sent", message_id="nobody's")),
        Ignored(reason="echo"),
        Quarantined(reason="no sender", body=b"{}"),
    ]
    tally = await replica.intake.accept(items)
    assert (tally.accepted, tally.duplicates, tally.ignored, tally.quarantined) == (2, 0, 1, 1)
    (kept,) = world.tables.quarantine
    assert world.vault.open(kept.sealed, QUARANTINE_CONTEXT) == b"{}"


async def test_a_message_is_durable_when_accept_returns(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    hold = replica.database.hold("journal.append")
    accepting = asyncio.ensure_future(replica.hear("hello"))
    await clock.advance(0.9)
    assert not accepting.done()
    hold.release()
    await accepting
    assert len(world.tables.journal) == 1


async def test_the_same_message_again_is_a_duplicate_on_every_replica(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1"), await starting("r2")
    event = world.message("hello")
    tallies = [await replica.intake.accept([Received(event=event)]) for replica in (first, first, second)]
    await clock.advance(5)
    assert [(tally.accepted, tally.duplicates) for tally in tallies] == [(1, 0), (0, 1), (0, 1)]
    assert world.channel.texts == ["Answer to: hello"]


async def test_what_comes_together_is_journalled_together(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False)
    await asyncio.gather(*(replica.hear("hello", phone=f"9190000000{number:02}") for number in range(50)))
    assert replica.database.count("journal.append") == 1
    await clock.settled()
    assert len(world.channel.sent) == 50


async def test_without_both_stores_nothing_is_taken(world: World, starting: Starting, clock: SimulatedClock) -> None:
    replica = await starting()
    replica.database.down = replica.redis.down = True
    with pytest.raises(Unavailable):
        await replica.hear("hello")
    with pytest.raises(Unavailable):
        await replica.intake.accept([Reported(report=DeliveryReport(status="sent", message_id="x"))])
    with pytest.raises(Unavailable):
        await replica.intake.accept([Quarantined(reason="", body=b"")])
    assert world.tables.journal == {}


async def test_a_repetition_after_a_lost_answer_has_one_effect(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    replica.database.fail("journal.append", when="after")
    replica.redis.fail("spool.push")
    event = world.message("hello")
    with pytest.raises(Unavailable):
        await replica.intake.accept([Received(event=event)])
    tally = await replica.intake.accept([Received(event=event)])
    assert tally.duplicates == 1
    await clock.advance(5)
    assert world.channel.texts == ["Answer to: hello"]


async def test_over_the_bound_webhooks_are_refused_whole(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(intake=2)
    hold = replica.database.hold("journal.append")
    accepting = [asyncio.ensure_future(replica.hear(f"{number}")) for number in range(2)]
    await clock.settled()
    assert replica.intake.full
    assert len(replica.intake) == 2
    with pytest.raises(Overloaded):
        await replica.hear("too much")
    hold.release()
    await asyncio.gather(*accepting)
    assert not replica.intake.full


async def test_an_event_that_the_store_refuses_fails_alone(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    nobody = Received(event=world.message("who is it", sender=Sender(name="nobody")))
    good, bad = await asyncio.gather(replica.hear("hello"), replica.intake.accept([nobody]), return_exceptions=True)
    assert isinstance(bad, ValueError)
    assert not isinstance(good, BaseException)
    assert good.accepted == 1


async def test_a_caller_who_went_away_is_nobodys_failure(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    accepting = asyncio.ensure_future(replica.hear("hello"))
    report = Reported(report=DeliveryReport(status="sent", message_id="x"))
    reporting = asyncio.ensure_future(replica.intake.accept([report]))
    await asyncio.sleep(0)
    accepting.cancel()
    reporting.cancel()
    await clock.settled()
    assert world.channel.texts == ["Answer to: hello"]
    assert len(world.tables.reports) == 1


async def test_the_services_own_events_are_patient_and_have_one_effect(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False)
    await replica.say("hello")
    told: list[bool | Exception] = []
    replica.database.down = True
    for _ in range(2):
        event = TimerFired(timer_id=TimerId("x"), kind="quiet")
        replica.intake.post(world.customer(), event, key=event_key("x"), done=told.append)
    await clock.advance(30)
    assert told == []
    replica.database.down = False
    await clock.advance(5)
    assert told == [True, False]


async def test_an_event_of_our_own_that_is_refused_says_so(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False)
    await replica.say("hello")
    told: list[bool | Exception] = []
    replica.database.fail("journal.append", error=Unacceptable("no"))
    event = TimerFired(timer_id=TimerId("x"), kind="quiet")
    replica.intake.post(world.customer(), event, key=event_key("x"), done=told.append)
    await clock.settled()
    assert isinstance(told[0], Unacceptable)


async def test_who_wrote_is_remembered_up_to_a_bound(
    world: World, starting: Starting, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journalling_module, "IDENTITIES_REMEMBERED", 2)
    replica = await starting(sweeping=False)
    for phone in (PHONE, PHONE, "919000000002", "919000000003", PHONE):
        await replica.hear("hello", phone=phone)
    assert replica.database.count("directory.resolve") == 4
    replica.intake.forget()
    await replica.hear("hello", phone=PHONE)
    assert replica.database.count("directory.resolve") == 5


async def test_two_customers_who_turn_out_to_be_one_go_on_as_one(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await replica.intake.accept([Received(event=world.message("agent", sender=Sender(user_id="IN.1")))])
    await replica.say("hello")
    await replica.intake.accept([Received(event=world.message("me", sender=Sender(phone=PHONE, user_id="IN.1")))])
    await clock.advance(5)
    kept = world.customer()
    assert set(world.tables.identities.values()) == {kept}
    assert world.conversation().mode == "queue"
    assert [row.customer for row in world.tables.journal.values() if row.consumed_at is None] == []
    assert await replica.intake.resolve(Sender(user_id="IN.1")) == kept


async def test_the_reports_of_a_webhook_that_came_before_are_duplicates(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    report = Reported(report=DeliveryReport(status="sent", provider_id="wamid.x"))
    assert (await replica.intake.accept([report])).duplicates == 0
    assert (await replica.intake.accept([report])).duplicates == 1
    await replica.reports.drained()
    assert len(replica.reports) == 0
