"""The sweep finds what was forgotten, by this replica or by one that is gone; each part fails alone."""

import asyncio

import pytest

from bot import metrics
from bot.core.ids import MessageId
from bot.runtime.lease import FORGOTTEN_MOST
from tests.runtime.books import echo_book
from tests.runtime.conftest import Starting
from tests.runtime.memory.outside import BUSY
from tests.runtime.memory.tables import Kept
from tests.runtime.replica import PHONE, World, book_of
from tests.runtime.simulated_clock import SimulatedClock


@pytest.fixture
def world() -> World:
    return World(echo_book())


def failures(part: str) -> float:
    return float(metrics.sweep_failures_total.labels(part)._value.get())


PARTS = {
    "heartbeat": "replicas.beat",
    "timers": "timers.due",
    "journal": "journal.forgotten",
    "outbox": "outbox.orphans",
    "reports": "outbox.settle",
    "effects": "effects.orphans",
    "watch": "effects.spent_since",
}


@pytest.mark.parametrize("error", [None, RuntimeError("a bug")], ids=["away", "bug"])
@pytest.mark.parametrize("part", PARTS)
async def test_a_part_that_fails_is_counted_and_the_others_go_on(
    world: World, starting: Starting, clock: SimulatedClock, part: str, error: Exception | None
) -> None:
    replica = await starting(sweeping=False)
    await clock.advance(6)
    before = {name: (failures(name), replica.database.count(call)) for name, call in PARTS.items()}
    replica.database.fail(PARTS[part], error=error)
    await replica.sweep.round()
    for name, call in PARTS.items():
        failed, calls = before[name]
        assert failures(name) == failed + (name == part)
        assert replica.database.count(call) == calls + 1


async def test_watches_look_less_often(world: World, starting: Starting, clock: SimulatedClock) -> None:
    replica = await starting()
    await clock.advance(20)
    assert replica.database.count("effects.spent_since") == 5
    assert replica.database.count("replicas.beat") >= 20


async def test_gauges_show_what_is_held(world: World, starting: Starting, clock: SimulatedClock) -> None:
    replica = await starting()
    world.channel.gate = asyncio.Event()
    await replica.say("say a")
    await clock.advance(1)
    assert metrics.outbox_waiting._value.get() == 1
    assert metrics.live_conversations._value.get() == 1
    world.channel.gate.set()


async def test_each_round_tells_how_late_the_event_loop_is(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    await starting()
    before = metrics.loop_lag_seconds._sum.get()
    await clock.advance(5)
    assert metrics.loop_lag_seconds._sum.get() - before < 0.001
    clock.later(0.1, lambda: clock.block(3))
    await clock.advance(5)
    assert 2 < metrics.loop_lag_seconds._sum.get() - before <= 3


async def test_what_a_step_counted_and_who_was_handed_over_is_counted(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    troubles = metrics.flow_troubles_total.labels("over_budget")
    before = (troubles._value.get(), metrics.escalations_total._value.get())
    await replica.say("circle")
    await replica.say("person please")
    assert (troubles._value.get(), metrics.escalations_total._value.get()) == (before[0] + 1, before[1] + 1)


async def test_a_letter_nobody_was_told_of_is_found(world: World, starting: Starting, clock: SimulatedClock) -> None:
    first, second = await starting("r1"), await starting("r2")
    first.redis.down = True
    hold = first.database.hold("journal.append", when="after")
    lost = asyncio.ensure_future(first.hear("say a"))
    await clock.settled()
    await first.die()
    await clock.advance(FORGOTTEN_MOST + 1.5)
    assert world.channel.texts == ["1 say a"]
    hold.release()
    await asyncio.gather(lost, return_exceptions=True)
    assert len(second.registry) == 1


async def test_a_timer_of_a_dead_replica_fires(world: World, starting: Starting, clock: SimulatedClock) -> None:
    world.book = echo_book(quiet_moment=3.0)
    first = await starting("r1")
    await first.say("anything")
    await first.die()
    await starting("r2")
    await clock.advance(20)
    assert world.channel.texts == ["Answer to: anything"]


async def test_a_far_timer_fires_within_a_second_or_two(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    world.book = echo_book(session_timeout=60.0, conversation_timeout=120.0)
    replica = await starting()
    await replica.say("say a")
    await clock.advance(62)
    assert world.conversation().timers.keys() == {"conversation"}
    await clock.advance(60)
    assert world.conversation().mode == "closed"
    assert world.tables.timers == {}
    assert replica.database.count("store.commit") == 3


async def test_a_question_of_a_dead_replica_is_asked_again_and_answered_once(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await starting("r1")
    world.model.gate = asyncio.Event()
    await first.say("anything")
    assert len(world.model.asked) == 1
    await first.die()
    world.model.gate = None
    await starting("r2")
    await clock.advance(15)
    assert len(world.model.asked) == 2
    assert world.channel.texts == ["Answer to: anything"]
    assert all(effect.done for effect in world.tables.effects.values())


async def test_a_question_under_way_here_is_not_asked_again_by_the_sweep(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    world.model.gate = asyncio.Event()
    await replica.say("anything")
    await clock.advance(30)
    assert len(world.model.asked) == 1
    world.model.gate.set()
    await clock.settled()
    assert world.channel.texts == ["Answer to: anything"]


async def test_two_performances_of_a_question_have_one_result(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1", sweeping=False), await starting("r2")
    world.model.gate = asyncio.Event()
    await first.say("anything")
    await clock.advance(15)
    assert len(world.model.asked) == 2
    world.model.gate.set()
    await clock.advance(15)
    assert world.channel.texts == ["Answer to: anything"]
    assert len(second.registry) + len(first.registry) >= 1


async def test_what_cannot_be_opened_is_counted_and_left(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await starting("r1")
    world.model.gate = asyncio.Event()
    world.channel.outcomes.append(BUSY)
    await first.say("say a")
    await first.say("anything")
    await first.die()
    world.tables.users[world.customer()].data_key = b"destroyed"
    unreadable = metrics.sealed_bad_total
    before = [unreadable.labels(what)._value.get() for what in ("message", "effect")]
    second = await starting("r2")
    await clock.advance(15)
    after = [unreadable.labels(what)._value.get() for what in ("message", "effect")]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1]
    assert len(second.delivery) == 0


# --- claims whose answer was lost ------------------------------------------------------------------------------------


async def test_messages_that_were_claimed_while_the_answer_was_lost_go_out_at_the_next_round(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1"), await starting("r2", sweeping=False)
    world.channel.outcomes.append(BUSY)
    await first.say("twice a")
    await first.die()
    await clock.advance(12)
    second.database.fail("outbox.orphans", when="after")
    await second.sweep.round()
    await clock.settled()
    assert {message.claimed_by for message in world.tables.outbound()} == {"r2"}
    assert world.channel.texts == ["1 twice a"]
    await second.sweep.round()
    await clock.settled()
    assert world.channel.texts == ["1 twice a", "1 twice a", "2 twice a"]


async def test_questions_that_were_claimed_while_the_answer_was_lost_are_asked_at_the_next_round(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1"), await starting("r2", sweeping=False)
    world.model.gate = asyncio.Event()
    await first.say("anything")
    await first.die()
    world.model.gate = None
    await clock.advance(12)
    second.database.fail("effects.orphans", when="after")
    await second.sweep.round()
    await clock.settled()
    assert len(world.model.asked) == 1
    await second.sweep.round()
    await clock.settled()
    assert len(world.model.asked) == 2
    assert world.channel.texts == ["Answer to: anything"]


async def test_what_is_claimed_beside_a_commit_of_its_customer_goes_out_after_the_messages_of_that_commit(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first, second = await starting("r1", sweeping=False), await starting("r2", sweeping=False)
    hold = first.database.hold("store.commit", when="after")
    await first.say("say a")
    for _ in range(2):
        await clock.advance(6)
        await first.sweep.round()
        await second.sweep.round()
    await second.say("say b")
    assert [message.claimed_by for message in world.tables.outbound()] == ["r1", "-"]
    await first.sweep.round()
    await clock.settled()
    assert [message.claimed_by for message in world.tables.outbound()] == ["r1", "r1"]
    assert world.channel.texts == []
    hold.release()
    await clock.settled()
    await first.sweep.round()
    await clock.advance(1)
    assert world.channel.texts == ["1 say a", "1 say b"]


# --- the rest ---------------------------------------------------------------------------------------------------------


async def test_a_report_written_beside_the_note_it_waited_for_is_applied(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    from bot.wire.msg91.identity import report_key
    from bot.wire.msg91.reports import DeliveryReport

    replica = await starting()
    await replica.say("say a")
    report = DeliveryReport(status="failed", provider_id="wamid.1", reason="gone")
    world.tables.reports[report_key(report)] = Kept(report=report)
    await clock.advance(1.5)
    assert world.tables.outbound()[0].status == "failed"
    assert world.conversation().mode == "queue"
    assert MessageId(world.tables.outbound()[0].row.id) in set(world.tables.messages)


async def test_a_graceful_leave_hands_over_at_once(world: World, starting: Starting, clock: SimulatedClock) -> None:
    first = await starting("r1")
    world.channel.outcomes.append(BUSY)
    await first.say("twice a")
    await first.registry.leave()
    await first.replicas.leave("r1")
    await first.die()
    await starting("r2")
    await clock.advance(5)
    assert world.channel.texts == ["1 twice a", "1 twice a", "2 twice a"]


async def test_parked_customers_wait_with_their_timers(world: World, starting: Starting, clock: SimulatedClock) -> None:
    from bot.core.messages import Media

    world.book = book_of(texts={}, session_timeout=20.0)
    replica = await starting()
    await replica.say("hello")
    await replica.hear(Media(kind="image", url="https://example.com/1.jpg"), phone=PHONE)
    await clock.advance(40)
    assert len(world.tables.parked) == 1
    assert len(world.tables.timers) == 1
