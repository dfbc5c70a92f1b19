"""Timers of very many conversations that are due at once, as after a night in which nothing ran: each fires once, soon,
and nobody who writes meanwhile waits behind them.
"""

import pytest

from bot.core.book import Book, NoAgent
from bot.core.flow import Ask, Reminder
from bot.core.ids import CustomerId, TimerId
from bot.ports.store import TimerRow
from bot.runtime.sweep import AT_ONCE
from tests.runtime.books import flow
from tests.runtime.conftest import Starting
from tests.runtime.memory.tables import Timer
from tests.runtime.replica import PHONE, Replica, World, book_of
from tests.runtime.simulated_clock import SimulatedClock

MANY = 1500


def asking_book() -> Book:
    ask = Ask(
        step_id="ask", text={"": "Which?"}, variable="which", validate=None, retry={}, attempts=3, otherwise=None,
        remind=Reminder(after=60.0, text={"": "Still there?"}),
    )  # fmt: skip
    return book_of(flow("ask", ask, pattern="^ask"), no_agent=NoAgent(after=60.0, text={"": "Nobody is free."}))


@pytest.fixture
def world() -> World:
    return World(asking_book())


def phone(number: int) -> str:
    return f"9198{number:08d}"


async def left_behind(world: World, starting: Starting, clock: SimulatedClock, count: int) -> None:
    """`count` customers were asked something; then all replicas died, and a minute and more went by."""
    first = await starting("r0", sweeping=False, intake=10_000, parcels=20_000, delivery_workers=50)
    for number in range(count):
        await first.hear("ask", phone=phone(number))
    await clock.settled()
    assert len(world.channel.sent) == count
    await first.die()
    await clock.advance(100)
    world.channel.sent.clear()


async def test_timers_of_very_many_conversations_fire_once_each_and_soon(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    await left_behind(world, starting, clock, MANY)
    second = await starting("r2", parcels=20_000, delivery_workers=50)
    await clock.advance(0.9)
    assert sorted(sent.text for sent in world.channel.sent) == ["Still there?"] * MANY
    fired = [row for row in world.tables.journal.values() if row.kind == "timer_fired"]
    assert len(fired) == MANY
    assert second.database.count("timers.due") <= 2 * MANY / AT_ONCE + 2


async def test_two_replicas_share_them_and_post_few_in_vain(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    await left_behind(world, starting, clock, MANY)
    second = await starting("r2", sweeping=False, parcels=20_000, delivery_workers=50)
    third = await starting("r3", sweeping=False, parcels=20_000, delivery_workers=50)
    posted: list[TimerId] = []
    for replica in (second, third):
        post = replica.intake.post

        def counted(customer, event, *, post=post, **more):  # type: ignore[no-untyped-def]
            posted.append(event.timer_id)
            post(customer, event, **more)

        replica.intake.post = counted  # type: ignore[method-assign]
    for replica in (second, third):
        replica.tasks.spawn(replica.sweep.run(), "sweep")
    await clock.advance(10)
    assert len(world.channel.sent) == MANY
    assert MANY - 2 * AT_ONCE <= len(posted) <= MANY + AT_ONCE * 2


async def test_while_the_journal_is_slow_no_timer_is_posted_twice(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    await left_behind(world, starting, clock, 20)
    second = Replica(world, "r2")
    hold = second.database.hold("journal.append")
    await second.begin(sweeping=False)
    for _ in range(5):
        await second.sweep.round()
        await clock.advance(1)
    assert len(second.intake) == 20
    hold.release()
    await clock.advance(1)
    assert len(world.channel.sent) == 20
    await second.end()


async def test_while_no_step_can_be_committed_no_timer_is_posted_twice_by_anybody(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    await left_behind(world, starting, clock, 20)
    second, third = Replica(world, "r2"), Replica(world, "r3")
    holds = [replica.database.hold("store.commit") for replica in (second, third)]
    for replica in (second, third):
        await replica.begin(sweeping=False)
        await clock.advance(1)
    for _ in range(5):
        for replica in (second, third):
            await replica.sweep.round()
        await clock.advance(1)
    assert [replica.database.count("journal.append") for replica in (second, third)] == [1, 0]
    for hold in holds:
        hold.release()
    await clock.advance(15)
    assert len(world.channel.sent) == 20
    for replica in (second, third):
        await replica.end()


async def test_who_writes_while_many_timers_are_worked_off_does_not_wait_behind_all_of_them(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    await left_behind(world, starting, clock, MANY)
    second = await starting("r2", sweeping=False, parcels=20_000, delivery_workers=50)
    await second.sweep.round()
    await second.hear("ask", phone=PHONE)
    await clock.settled()
    assert [sent.text for sent in world.channel.sent if sent.recipient == PHONE] == ["Which?"]
    assert len(world.channel.sent) <= 2 * AT_ONCE + 1


async def test_timers_of_one_customer_that_are_due_together_fire_one_after_the_other(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await starting("r0", sweeping=False)
    await first.say("ask")
    await first.die()
    await clock.advance(4000)
    await starting("r2")
    await clock.advance(3)
    kinds = [row.kind for row in world.tables.journal.values()]
    assert kinds.count("timer_fired") == 2
    assert world.conversation().flow is None
    assert world.conversation().timers.keys() == {"conversation"}


async def test_a_timer_that_the_conversation_does_not_know_goes_without_an_effect(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await replica.say("ask")
    stray = TimerId("01890000-0000-7000-8000-000000000001")
    customer: CustomerId = world.customer()
    row = TimerRow(id=stray, kind="reminder", due=clock.now() - 1)
    world.tables.timers[stray] = Timer(customer=customer, row=row)
    await clock.advance(3)
    assert stray not in world.tables.timers
    assert world.channel.texts == ["Which?"]


async def test_the_word_that_no_agent_came_is_said_by_whoever_lives(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await starting("r1")
    await first.say("agent")
    await first.die()
    await starting("r2")
    await clock.advance(62)
    assert world.channel.texts[1:] == ["Nobody is free."]
    assert [note.action for _, note in world.tables.audit] == ["escalated", "no_agent_in_time"]
