"""Lanes and the store: more than fits, other replicas, the end."""

import asyncio

import pytest

from bot.core.ids import MessageId
from bot.core.messages import Text
from bot.runtime.outbox import Delivery
from bot.runtime.parcels import Parcel
from bot.runtime.proofs import UNCERTAIN_WAIT
from bot.wire.msg91.deliveries import Reported
from bot.wire.msg91.outcomes import Deferred, SendOutcome
from bot.wire.msg91.reports import DeliveryReport, ReportStatus
from tests.runtime.books import echo_book
from tests.runtime.conftest import Starting
from tests.runtime.memory.outside import BUSY, LOST, REFUSED
from tests.runtime.replica import NUMBER, PHONE, Replica, World
from tests.runtime.simulated_clock import SimulatedClock

OTHER = "919000000009"


@pytest.fixture
def world() -> World:
    return World(echo_book())


def statuses(world: World, phone: str = PHONE) -> list[str]:
    return [message.status for message in world.tables.outbound(world.customer(phone))]


def claims(world: World, phone: str = PHONE) -> list[str]:
    return [message.claimed_by for message in world.tables.outbound(world.customer(phone))]


def message_ids(world: World) -> list[MessageId]:
    return [message.row.id for message in world.tables.outbound(world.customer())]


async def report(replica: Replica, message: MessageId, status: ReportStatus = "sent") -> None:
    await replica.intake.accept([Reported(report=DeliveryReport(status=status, message_id=message, reason="gone"))])
    await replica.clock.settled()


# --- more than fits --------------------------------------------------------------------------------------------------


async def test_what_does_not_fit_into_memory_waits_in_the_store_in_order(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(parcels=2)
    world.channel.gate = asyncio.Event()
    await replica.say("thrice a")
    await replica.say("say b")
    await replica.say("say c")
    assert claims(world) == ["r1", "r1", "r1", "-", "-"]
    world.channel.gate.set()
    await clock.settled()
    await replica.say("say d")
    assert world.channel.texts == ["1 thrice a", "2 thrice a", "3 thrice a"]
    await clock.advance(3)
    assert world.channel.texts[3:] == ["1 say b", "1 say c", "1 say d"]
    assert replica.delivery.room(world.customer())
    await replica.say("say e")
    assert world.channel.texts[6:] == ["1 say e"]


async def test_a_sweep_that_runs_beside_a_commit_does_not_let_later_messages_overtake(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(parcels=1, sweeping=False)
    world.channel.gate = asyncio.Event()
    await replica.say("say a")
    hold = replica.database.hold("store.commit")
    await replica.hear("say b")
    await clock.settled()
    world.channel.gate.set()
    await clock.advance(0.5)
    await replica.sweep.round()
    hold.release()
    await clock.settled()
    assert claims(world)[1] == "-"
    await replica.say("say c")
    assert world.channel.texts == ["1 say a"]
    await clock.advance(0.5)
    await replica.sweep.round()
    await clock.settled()
    assert world.channel.texts == ["1 say a", "1 say b", "1 say c"]


async def test_the_sweep_takes_nothing_while_memory_is_full(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(parcels=1)
    world.channel.gate = asyncio.Event()
    await replica.say("say a")
    await replica.say("say b")
    before = replica.database.count("outbox.orphans")
    await clock.advance(3)
    assert replica.database.count("outbox.orphans") == before


# --- other replicas --------------------------------------------------------------------------------------------------


async def test_messages_of_a_dead_replica_go_out_in_order(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await starting("r1")
    world.channel.outcomes.extend([BUSY])
    await first.say("thrice a")
    await first.die()
    second = await starting("r2")
    await clock.advance(12)
    assert world.channel.texts == ["1 thrice a", "1 thrice a", "2 thrice a", "3 thrice a"]
    assert len(second.delivery) == 0


async def test_a_replica_that_was_silent_too_long_sends_nothing_before_it_asked(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await starting("r1", sweeping=False)
    world.channel.outcomes.extend([Deferred(reason="", code=0, retry_after=15.0, scope="message", uncertain=False)])
    await first.say("twice a")
    await clock.advance(11)
    second = await starting("r2")
    await clock.advance(1)
    assert claims(world) == ["r2", "r2"]
    assert first.delivery.gate.lapsed
    await clock.advance(30)
    assert world.channel.texts == ["1 twice a", "1 twice a", "2 twice a"]
    assert len(first.delivery) == 2
    await first.sweep.round()
    assert not first.delivery.gate.lapsed
    assert len(first.delivery) == 0
    await clock.advance(30)
    assert len(world.channel.sent) == 3
    await second.end()


async def test_what_is_still_ours_goes_out_after_a_silence(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting("r1", sweeping=False)
    world.channel.outcomes.append(BUSY)
    await replica.hear("twice a")
    await clock.advance(9)
    assert len(world.channel.sent) == 3
    replica.delivery.gate.ours_until(clock.monotonic())
    await replica.say("say b", OTHER)
    assert "1 say b" not in world.channel.texts
    await replica.sweep.round()
    await clock.advance(1)
    assert "1 say b" in world.channel.texts


async def test_what_is_committed_while_claims_are_confirmed_is_not_dropped(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting("r1", sweeping=False)
    replica.delivery.gate.ours_until(clock.monotonic())
    await replica.say("say a")
    hold = replica.database.hold("outbox.still_mine", when="after")
    sweeping = asyncio.ensure_future(replica.sweep.round())
    await clock.settled()
    assert hold.reached == 1
    await replica.say("say b")
    await replica.say("say c", OTHER)
    hold.release()
    await sweeping
    await replica.sweep.round()  # what was not asked for the first time is asked for now
    await clock.advance(1)
    assert sorted(world.channel.texts) == ["1 say a", "1 say b", "1 say c"]


@pytest.mark.parametrize("outcome", [None, REFUSED, BUSY, LOST], ids=["accepted", "refused", "busy", "lost"])
async def test_a_send_that_ends_after_another_took_the_message_over_pulls_nothing_with_it(
    world: World, starting: Starting, clock: SimulatedClock, outcome: SendOutcome | None
) -> None:
    replica = await starting("r1", sweeping=False)
    world.channel.gate = asyncio.Event()
    if outcome is not None:
        world.channel.outcomes.append(outcome)
    await replica.say("say a")
    (first,) = world.tables.outbound()
    await replica.replicas.beat("r2", 1000.0)
    first.claimed_by = "r2"
    replica.delivery.gate.ours_until(clock.monotonic())
    await replica.say("say b")
    await replica.sweep.round()
    assert len(replica.delivery) == 0
    world.channel.gate.set()
    await clock.advance(UNCERTAIN_WAIT + 20)
    assert world.channel.texts == ["1 say a"]
    assert [message.claimed_by for message in world.tables.outbound()][1:] == ["-"]
    assert first.status == ("sent" if outcome is None else "failed" if outcome == REFUSED else "sending")


async def test_behind_a_message_that_was_taken_over_the_next_waits_until_that_one_is_out(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting("r1", sweeping=False)
    world.channel.outcomes.append(Deferred(reason="slow", code=0, retry_after=3.0, scope="number", uncertain=False))
    await replica.say("say x", OTHER)
    await replica.say("say a")
    (first,) = world.tables.outbound(world.customer())
    await replica.replicas.beat("r2", 1000.0)
    first.claimed_by = "r2"
    replica.delivery.gate.ours_until(clock.monotonic())
    await replica.say("say b")
    assert statuses(world) == ["pending", "pending"]
    await replica.sweep.round()
    await clock.advance(4)
    assert "1 say b" not in world.channel.texts
    first.status, first.claimed_by = "sent", ""
    await replica.sweep.round()
    await clock.advance(1)
    assert "1 say b" in world.channel.texts
    assert "1 say a" not in world.channel.texts


async def test_the_next_replica_lines_up_behind_what_the_last_has_still_to_send(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1"), await starting("r2")
    slow = Deferred(reason="", code=0, retry_after=30.0, scope="message", uncertain=False)
    world.channel.outcomes.append(slow)
    await first.say("say a")
    await clock.advance(1)
    await first.registry.leave()
    await second.say("say b")
    await clock.advance(10)
    assert world.channel.texts == ["1 say a"]
    await clock.advance(30)
    assert world.channel.texts == ["1 say a", "1 say a", "1 say b"]
    assert claims(world) == ["", ""]


# --- stopping --------------------------------------------------------------------------------------------------------


async def test_stopping_lets_go_out_what_can(world: World, starting: Starting, clock: SimulatedClock) -> None:
    replica = await starting(sweeping=False)
    await replica.hear("thrice a")
    await clock.settled()
    stopping = asyncio.ensure_future(replica.delivery.stop(5.0))
    await clock.advance(1)
    assert stopping.done()
    assert statuses(world) == ["sent"] * 3


async def test_stopping_ends_although_a_send_hangs(world: World, starting: Starting, clock: SimulatedClock) -> None:
    replica = await starting(delivery_workers=1)
    world.channel.gate = asyncio.Event()
    await replica.say("say a")
    await replica.say("say b", OTHER)
    stopping = asyncio.ensure_future(replica.delivery.stop(5.0))
    await clock.advance(4)
    assert not stopping.done()
    await clock.advance(8)
    assert stopping.done()
    assert statuses(world) == ["sending"]
    assert [message.status for message in world.tables.outbound(world.customer(OTHER))] == ["pending"]
    assert len(world.channel.sent) == 1
    assert replica.breaker.admit()


async def test_what_ends_while_stopping_takes_no_new_turn(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False, delivery_workers=2)
    world.channel.gate = asyncio.Event()
    await replica.say("twice a")
    stopping = asyncio.ensure_future(replica.delivery.stop(1.0))
    await clock.advance(1.5)
    world.channel.gate.set()
    await clock.advance(10)
    assert stopping.done()
    assert world.channel.texts == ["1 twice a"]
    assert statuses(world) == ["sent", "pending"]


async def test_a_message_without_a_number_of_ours_goes_out_from_the_default_one(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False)
    await replica.say("say a")
    customer = world.customer()
    _put(
        replica.delivery,
        Parcel(
            id=MessageId("00000000-0000-7000-8000-000000000001"),
            customer=customer,
            recipient=OTHER,
            content=Text(text="hello"),
            number="",
            kind="agent",
            caused_at=clock.now(),
            created_at=clock.now(),
            marked=True,
        ),
    )
    await clock.settled()
    assert world.channel.sent[-1].number == NUMBER


def _put(delivery: Delivery, parcel: Parcel) -> None:
    delivery.put(parcel)
