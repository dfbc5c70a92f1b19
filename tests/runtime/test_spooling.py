"""The spool: what the journal cannot take is accepted all the same, and worked off in order (P8)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec
import pytest

from bot import metrics
from bot.core.events import MessageReceived, Sender
from bot.ports.failures import Unacceptable, Unavailable
from bot.runtime import draining, spooling
from bot.runtime.intake import QUARANTINE_CONTEXT, Overloaded
from bot.runtime.spooled import CONTEXT, SpooledReport, seal, unseal
from bot.runtime.waiter import Tally
from bot.wire.msg91.deliveries import Item, Quarantined, Received, Reported
from bot.wire.msg91.reports import DeliveryReport
from tests.runtime.books import echo_book
from tests.runtime.conftest import Starting
from tests.runtime.memory.link import Link, When
from tests.runtime.memory.vault import MemoryVault
from tests.runtime.replica import PHONE, Replica, World
from tests.runtime.simulated_clock import SimulatedClock

T = TypeVar("T")
DROPPED = Quarantined(reason="no sender", body=b"{}")


@pytest.fixture
def world() -> World:
    return World(echo_book())


async def in_time(world: World, work: Awaitable[T], seconds: float = 3.0) -> T:
    """What `work` comes to, and it comes within so many seconds."""
    task = asyncio.ensure_future(work)
    await world.clock.settled()
    end = world.clock.monotonic() + seconds
    while not task.done():
        assert world.clock.monotonic() < end, "it takes too long"
        await world.clock.advance(0.01)
    return await task


async def taken(replica: Replica, *items: Item) -> Tally:
    return await in_time(replica.world, replica.intake.accept(items))


async def said(replica: Replica, *texts: str, phone: str = PHONE) -> None:
    """Messages one after the other, each acknowledged before the next."""
    for text in texts:
        tally = await taken(replica, Received(event=replica.world.message(text, phone)))
        assert tally.accepted == 1


def away(*replicas: Replica, database: bool) -> None:
    for replica in replicas:
        replica.database.down = database


def waiting(world: World) -> int:
    return len(world.queue.entries)


def answers(world: World, phone: str = PHONE) -> list[str]:
    return [sent.text for sent in world.channel.sent if sent.recipient == phone]


def echoes(*texts: str) -> list[str]:
    return [f"1 {text}" for text in texts]


def value(metric: Any) -> float:
    return float(metric._value.get())


# --- order -----------------------------------------------------------------------------------------------------------


async def test_without_the_database_messages_are_taken_and_answered_in_order_when_it_is_back(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await said(replica, "say 0")
    away(replica, database=True)
    await said(replica, "say 1", "say 2", "say 3")
    assert waiting(world) == 3
    away(replica, database=False)
    await clock.advance(3)
    await said(replica, "say 4")
    await clock.advance(3)
    assert answers(world) == echoes("say 0", "say 1", "say 2", "say 3", "say 4")
    assert waiting(world) == 0


async def test_a_customer_whom_nobody_knew_is_made_when_the_spool_is_worked_off(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    away(replica, database=True)
    at = clock.now()
    await said(replica, "say 1")
    assert world.tables.identities == {}
    await clock.advance(100)
    away(replica, database=False)
    await clock.advance(5)
    assert answers(world) == echoes("say 1")
    (row,) = world.tables.journal.values()
    assert row.at == pytest.approx(at, abs=1)


async def test_what_comes_after_the_return_lines_up_behind_what_waits_on_every_replica(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1", sweeping=False), await starting("r2", sweeping=False)
    away(first, database=True)
    await said(first, "say 1")
    await said(second, "say 2")  # this one reaches the journal well enough
    assert (waiting(world), second.database.count("journal.append")) == (2, 0)
    await second.draining.round()
    await said(second, "say 3")
    await clock.settled()
    assert (waiting(world), answers(world)) == (0, echoes("say 1", "say 2", "say 3"))


async def test_an_empty_spool_is_asked_once_in_a_moment_and_whoever_pushes_waits_for_longer_than_that(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1", sweeping=False), await starting("r2", sweeping=False)
    asked = second.redis.count("spool.waiting")
    await said(second, "say 1", "say 2")
    assert second.redis.count("spool.waiting") == asked + 1
    away(first, database=True)
    began = clock.monotonic()
    await said(first, "say 3")
    assert clock.monotonic() - began > spooling.FRESH_SECONDS
    await said(second, "say 4")
    assert waiting(world) == 2
    away(first, database=False)
    await first.draining.round()
    await clock.settled()
    assert answers(world) == echoes("say 1", "say 2", "say 3", "say 4")


async def test_two_that_work_it_off_at_once_do_no_harm_to_the_order(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    texts = [f"say {number}" for number in range(9)]
    first = await starting("r1", sweeping=False, batch=4)
    second = await starting("r2", batch=4)
    away(first, second, database=True)
    await said(first, *texts)
    late = first.database.hold("journal.append")
    away(first, second, database=False)
    working_off = asyncio.ensure_future(first.draining.round())
    await clock.advance(draining.CLAIM_SECONDS + 3)
    assert late.reached
    assert answers(world) == echoes(*texts)
    late.release()
    assert await working_off
    await clock.settled()
    assert answers(world) == echoes(*texts)
    assert [row.consumed_at is None for row in world.tables.journal.values()] == [False] * len(texts)


async def test_under_load_a_spool_that_is_worked_off_becomes_empty(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replicas = [await starting("r1"), await starting("r2")]
    for replica in replicas:
        _take_time(replica.database, clock, 0.02)
    away(*replicas, database=True)
    await said(replicas[0], "say 0")
    away(*replicas, database=False)
    hearing = []
    spooled = []
    for number in range(600):
        work = replicas[number % 2].hear(f"say {number}", phone=f"91900000{number:04}")
        hearing.append(asyncio.ensure_future(work))
        await clock.advance(0.005)
        spooled.append(world.queue.pushed)
    await clock.advance(5)
    await asyncio.gather(*hearing)
    assert waiting(world) == 0
    assert spooled[-1] == spooled[len(spooled) // 2]


def _take_time(link: Link, clock: SimulatedClock, seconds: float) -> None:
    """Let every call of this link take so long."""
    call = link.call

    async def later(name: str, work: Callable[[], Any]) -> Any:
        await clock.sleep(seconds)
        return await call(name, work)

    link.call = later  # type: ignore[method-assign]


# --- slow is like away -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["directory.resolve", "journal.append"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_journal_that_is_silent_has_a_second_and_no_message_is_lost_or_doubled(
    world: World, starting: Starting, clock: SimulatedClock, call: str, when: When
) -> None:
    replica = await starting()
    hold = replica.database.hold(call, when=when)
    began = clock.monotonic()
    await said(replica, "say 1", "say 2")
    assert clock.monotonic() - began < 2
    assert waiting(world) == 2
    hold.release()
    await clock.advance(5)
    assert answers(world) == echoes("say 1", "say 2")


async def test_a_slow_database_may_take_long_to_work_off_the_spool(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    away(replica, database=True)
    await said(replica, "say 1")
    away(replica, database=False)
    hold = replica.database.hold("journal.append")
    await clock.advance(8)
    hold.release()
    await clock.settled()
    assert answers(world) == echoes("say 1")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "call", ["directory.resolve", "journal.append", "spool.claim", "spool.first", "spool.remove", "spool.waiting"]
)
async def test_whatever_answer_is_lost_while_it_is_worked_off_every_message_has_one_effect(
    world: World, starting: Starting, clock: SimulatedClock, call: str, when: When
) -> None:
    replica = await starting()
    away(replica, database=True)
    await said(replica, "say 1", "say 2")
    away(replica, database=False)
    for link in (replica.database, replica.redis):
        link.fail(call, when=when)
    await clock.advance(10)
    assert (waiting(world), answers(world)) == (0, echoes("say 1", "say 2"))


class SaltedVault(MemoryVault):
    """Seals the same in another way each time, as real ciphers do."""

    def seal(self, plain: bytes, context: bytes = b"") -> bytes:
        return super().seal(b"%08d" % next(self._numbers) + plain, context)

    def open(self, sealed: bytes, context: bytes = b"") -> bytes:
        return super().open(sealed, context)[8:]


async def test_an_append_that_took_effect_unheard_is_known_again_and_told_at_once(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    world.vault = SaltedVault()
    replica = await starting(sweeping=False)
    replica.database.fail("journal.append", when="after")
    await said(replica, "say 1")
    assert (waiting(world), len(world.tables.journal)) == (1, 1)
    before = value(metrics.duplicates_total)
    await replica.draining.round()
    await clock.settled()
    assert answers(world) == echoes("say 1")
    assert value(metrics.duplicates_total) == before


async def test_a_repetition_of_a_spooled_message_is_a_duplicate(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    away(replica, database=True)
    item = Received(event=world.message("say 1"))
    await taken(replica, item)
    await taken(replica, item)
    away(replica, database=False)
    await clock.advance(5)
    assert (await taken(replica, item)).duplicates == 1
    await clock.advance(5)
    assert answers(world) == echoes("say 1")


# --- Redis away ------------------------------------------------------------------------------------------------------


async def test_redis_away_costs_one_failed_question_a_second_and_no_webhook(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False)
    replica.redis.down = True
    await said(replica, "say 1", "say 2", "say 3")
    assert replica.redis.count("spool.waiting") == 1
    await clock.advance(spooling.AWAY_SECONDS)
    replica.redis.down = False
    await said(replica, "say 4")
    assert replica.redis.count("spool.waiting") == 2
    await clock.settled()
    assert answers(world) == echoes("say 1", "say 2", "say 3", "say 4")


async def test_with_both_away_webhooks_are_refused_and_what_was_acknowledged_is_answered(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    away(replica, database=True)
    await said(replica, "say 1")
    replica.redis.down = True
    refused = world.message("say 2")
    for item in (Received(event=refused), Reported(report=DeliveryReport(status="sent", message_id="x")), DROPPED):
        with pytest.raises(Unavailable):
            await taken(replica, item)
    replica.redis.down = False
    away(replica, database=False)
    await clock.advance(5)
    assert (await taken(replica, Received(event=refused))).accepted == 1
    await clock.advance(5)
    assert answers(world) == echoes("say 1", "say 2")
    assert world.tables.quarantine == []


async def test_while_deliveries_wait_in_a_redis_that_is_silent_none_overtakes_them(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1"), await starting("r2")
    away(first, second, database=True)
    await said(first, "say 1")
    await clock.advance(2)
    first.redis.down = second.redis.down = True
    away(first, second, database=False)
    for replica in (first, second):
        with pytest.raises(Unavailable):
            await said(replica, "say 2")
    first.redis.down = second.redis.down = False
    await clock.advance(5)
    await said(second, "say 2")
    await clock.advance(5)
    assert answers(world) == echoes("say 1", "say 2")


async def test_a_redis_that_stays_away_with_deliveries_is_given_up(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    away(replica, database=True)
    await said(replica, "say 1")
    replica.redis.down = True
    away(replica, database=False)
    await clock.advance(spooling.HOLD_SECONDS + 1)
    await said(replica, "say 2", "say 3")
    replica.redis.down = False
    await clock.advance(5)
    assert sorted(answers(world)) == sorted(echoes("say 1", "say 2", "say 3"))


async def test_a_push_whose_answer_is_lost_is_refused_and_its_repetition_has_one_effect(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    away(replica, database=True)
    replica.redis.fail("spool.push", when="after")
    item = Received(event=world.message("say 1"))
    with pytest.raises(Unavailable):
        await taken(replica, item)
    away(replica, database=False)
    await clock.advance(5)
    assert (await taken(replica, item)).duplicates == 1
    assert answers(world) == echoes("say 1")


# --- bounds ----------------------------------------------------------------------------------------------------------


async def test_a_full_spool_refuses_at_the_door(world: World, starting: Starting, clock: SimulatedClock) -> None:
    replica = await starting(spool=2)
    away(replica, database=True)
    await said(replica, "say 1", "say 2")
    with pytest.raises(Overloaded):
        await taken(replica, Received(event=world.message("say 3")))
    with pytest.raises(spooling.SpoolFull):
        await in_time(world, replica.spooling.push([]))
    assert replica.intake.full
    away(replica, database=False)
    await clock.advance(5)
    await said(replica, "say 3")
    await clock.advance(5)
    assert answers(world) == echoes("say 1", "say 2", "say 3")


async def test_what_waits_and_what_went_through_is_counted(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    before = value(metrics.spooled_total), value(metrics.spool_drained_total), value(metrics.accepted_total)
    away(replica, database=True)
    await said(replica, "say 1", "say 2")
    assert value(metrics.spool_waiting) == 2
    away(replica, database=False)
    await clock.advance(5)
    assert value(metrics.spool_waiting) == 0
    after = value(metrics.spooled_total), value(metrics.spool_drained_total), value(metrics.accepted_total)
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 2, 2]


async def test_a_replica_that_fails_lets_another_work_it_off(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1"), await starting("r2")
    away(first, second, database=True)
    await said(first, "say 1")
    away(second, database=False)
    await clock.advance(3 * draining.CLAIM_SECONDS)
    assert answers(world) == echoes("say 1")


async def test_who_stops_takes_no_more_batches(world: World, starting: Starting, clock: SimulatedClock) -> None:
    replica = await starting(sweeping=False)
    away(replica, database=True)
    await said(replica, "say 1")
    away(replica, database=False)
    replica.draining.stop()
    await replica.draining.run()
    await replica.draining.round()
    assert waiting(world) == 1


# --- reports and unusable bodies -------------------------------------------------------------------------------------


async def test_reports_and_unusable_bodies_are_spooled_and_worked_off(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await said(replica, "say 1")
    await clock.advance(2)
    (sent,) = world.tables.outbound()
    away(replica, database=True)
    report = DeliveryReport(status="delivered", message_id=sent.row.id)
    tally = await taken(replica, Reported(report=report), DROPPED)
    assert (tally.accepted, tally.quarantined, waiting(world)) == (1, 1, 2)
    assert sent.status == "sent"
    away(replica, database=False)
    await clock.advance(5)
    assert (sent.status, waiting(world)) == ("delivered", 0)
    (kept,) = world.tables.quarantine
    assert (kept.reason, world.vault.open(kept.sealed, QUARANTINE_CONTEXT)) == ("no sender", b"{}")


async def test_while_the_spool_is_in_use_nobody_waits_for_the_database_with_a_report(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False)
    hold = replica.database.hold("journal.append")
    await said(replica, "say 1")
    await taken(replica, Reported(report=DeliveryReport(status="sent", message_id="x")))
    assert (replica.database.count("outbox.report"), waiting(world)) == (0, 2)
    hold.release()


async def test_a_failure_that_cannot_be_journalled_in_time_is_spooled_and_heard_of_later(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await said(replica, "say 1")
    await clock.advance(2)
    (sent,) = world.tables.outbound()
    hold = replica.database.hold("journal.append")
    report = DeliveryReport(status="failed", message_id=sent.row.id, reason="no such number", code=131026)
    await taken(replica, Reported(report=report))
    assert (sent.status, waiting(world)) == ("failed", 1)
    hold.release()
    await clock.advance(10)
    assert waiting(world) == 0
    assert world.conversation().mode == "queue"


# --- entries that cannot be worked off -------------------------------------------------------------------------------


def _sealed_elsewhere(_: World) -> bytes:
    return b"sealed under a key that is gone"


def _garbage(world: World) -> bytes:
    return world.vault.seal(b"\xc1", CONTEXT)


@pytest.mark.parametrize("made", [_sealed_elsewhere, _garbage])
async def test_an_entry_that_cannot_be_opened_is_quarantined_and_blocks_nobody(
    world: World, starting: Starting, clock: SimulatedClock, made: Callable[[World], bytes]
) -> None:
    replica = await starting()
    bad = made(world)
    away(replica, database=True)
    await said(replica, "say 1")
    world.queue.entries[0] = bad
    await said(replica, "say 2")
    away(replica, database=False)
    await clock.advance(5)
    assert (waiting(world), answers(world)) == (0, echoes("say 1", "say 2"))
    (kept,) = world.tables.quarantine
    assert world.vault.open(kept.sealed, QUARANTINE_CONTEXT) == bad


async def test_an_event_that_is_no_message_is_not_taken_from_the_spool(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await said(replica, "say 1")
    await clock.advance(1)
    away(replica, database=True)
    await said(replica, "say 2")
    ((place, entry),) = world.queue.entries.items()
    message = unseal(world.vault, entry)
    timer = b"\x83\xa5event\x83\xa4type\xabtimer_fired\xa8timer_id\xa1x\xa4kind\xa5quiet\xa2at\x00\xa4seed\x00"
    forged = msgspec.structs.replace(message, sealed=world.vault.seal(timer, message.dedup))  # type: ignore[union-attr]
    world.queue.entries[place] = seal(world.vault, forged)
    away(replica, database=False)
    await clock.advance(5)
    assert (waiting(world), len(world.tables.quarantine), answers(world)) == (0, 1, echoes("say 1"))


@pytest.mark.parametrize("problem", [Unacceptable("no"), KeyError("a mistake of ours")])
async def test_an_entry_that_the_journal_refuses_is_quarantined_alone(
    world: World, starting: Starting, clock: SimulatedClock, problem: Exception
) -> None:
    replica = await starting()
    away(replica, database=True)
    nobody = Received(event=world.message("who is it", sender=Sender(name="nobody")))
    await said(replica, "say 1")
    await taken(replica, nobody)
    await said(replica, "say 2")
    await taken(replica, *(Reported(report=DeliveryReport(status="sent", message_id=id_)) for id_ in "xy"))
    replica.database.fail("outbox.report", error=problem, times=2)
    away(replica, database=False)
    await clock.advance(5)
    assert (waiting(world), answers(world)) == (0, echoes("say 1", "say 2"))
    bodies = [world.vault.open(kept.sealed, QUARANTINE_CONTEXT) for kept in world.tables.quarantine]
    assert [b"nobody" in body for body in bodies] == [True, False]
    assert b'"message_id":"x"' in bodies[1]
    assert len(world.tables.reports) == 1


async def test_a_fault_of_the_drain_itself_is_tried_again(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    away(replica, database=True)
    await said(replica, "say 1")
    away(replica, database=False)
    replica.redis.fail("spool.first", error=KeyError("a mistake of ours"))
    await clock.advance(5)
    assert answers(world) == echoes("say 1")


class _Later(msgspec.Struct, frozen=True, kw_only=True, tag="later"):
    """What a newer release might spool."""


class _LaterForm(msgspec.Struct, frozen=True, kw_only=True):
    what: _Later = _Later()
    version: int = 2


async def test_what_a_newer_release_spooled_is_left_to_it_for_a_while(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    away(replica, database=True)
    world.queue.entries[0] = world.vault.seal(msgspec.msgpack.encode(_LaterForm()), CONTEXT)
    await said(replica, "say 1")
    away(replica, database=False)
    await clock.advance(draining.NEWER_SECONDS / 2 + 0.4)
    assert (waiting(world), world.queue.claimed_until < clock.now()) == (2, True)
    await clock.advance(draining.NEWER_SECONDS)
    assert (waiting(world), len(world.tables.quarantine), answers(world)) == (0, 1, echoes("say 1"))


def test_a_report_comes_out_of_the_spool_as_it_went_in(world: World) -> None:
    whole = DeliveryReport(
        status="failed",
        message_id="m",
        provider_id="p",
        request_id="r",
        recipient=PHONE,
        reason="no",
        code=7,
        at=1.5,
    )
    entry = SpooledReport(report=whole)
    sealed = seal(world.vault, entry)
    assert unseal(world.vault, sealed) == entry
    with pytest.raises(ValueError, match="sealed"):
        unseal(world.vault, sealed[:-1])


# --- a long time without the database --------------------------------------------------------------------------------


async def test_minutes_without_the_database_cost_few_calls_and_no_try_of_anybody(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await said(replica, "say 1")
    away(replica, database=True)
    before = len(replica.database.calls)
    events: Sequence[MessageReceived] = [world.message(f"say {number}") for number in range(2, 12)]
    for event in events:
        await taken(replica, Received(event=event))
        await clock.advance(30)
    assert len(replica.database.calls) - before < 40 * 300
    assert world.tables.parked == {}
    assert answers(world) == echoes("say 1")
    away(replica, database=False)
    await clock.advance(30)
    assert answers(world) == echoes(*(f"say {number}" for number in range(1, 12)))
