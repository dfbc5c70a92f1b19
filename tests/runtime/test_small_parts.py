"""The parts that are a page each: pacing, timers, tasks, letters, the actor's mailbox, and time itself."""

import asyncio
import logging
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.events import Envelope, TimerFired, TimerKind
from bot.core.ids import CustomerId, JournalSeq, TimerId
from bot.ports.timers import DueTimer
from bot.runtime import pacing as pacing_module
from bot.runtime import timers as timers_module
from bot.runtime.actor import Actor
from bot.runtime.clock import SystemClock
from bot.runtime.letters import DEDUP_BYTES, Letter, event_key
from bot.runtime.pacing import Pacing
from bot.runtime.tasks import Tasks
from bot.runtime.timers import NEAR_SECONDS, TimerWheel
from tests.runtime.simulated_clock import EPOCH, SimulatedClock

ANNA = CustomerId(1)


def letter(seq: int) -> Letter:
    event = TimerFired(timer_id=TimerId("t"), kind="quiet")
    return Letter(seq=JournalSeq(seq), dedup=b"%d" % seq, envelope=Envelope(event=event, at=0.0, seed=0))


def waiting(actor: Actor) -> list[int]:
    return [letter.seq for letter in actor.mailbox]


# --- mailbox ---------------------------------------------------------------------------------------------------------


def test_a_new_actor_is_not_busy() -> None:
    actor = Actor(ANNA)
    assert not actor.busy
    actor.put(letter(1), 10)
    assert actor.busy


def test_a_full_mailbox_leaves_the_rest_in_the_journal() -> None:
    actor = Actor(ANNA)
    for seq in (1, 2, 3, 4):
        actor.put(letter(seq), 2)
    assert waiting(actor) == [1, 2]
    assert actor.read_again


def test_a_letter_out_of_order_sends_the_actor_to_the_journal() -> None:
    actor = Actor(ANNA)
    actor.put(letter(2), 10)
    actor.put(letter(1), 10)
    assert waiting(actor) == []
    assert actor.read_again


def test_letters_told_while_the_journal_is_read_follow_those_found_there() -> None:
    actor = Actor(ANNA)
    for seq in (2, 3):
        actor.put(letter(seq), 10)
    actor.refill([letter(1), letter(2)], complete=True)
    assert waiting(actor) == [1, 2, 3]
    assert not actor.read_again


def test_when_the_journal_has_more_what_was_told_is_read_from_there() -> None:
    actor = Actor(ANNA)
    actor.put(letter(9), 10)
    actor.refill([letter(1), letter(2)], complete=False)
    assert waiting(actor) == [1, 2]
    assert actor.read_again


def test_a_letter_that_became_visible_late_is_looked_for_again() -> None:
    actor = Actor(ANNA)
    actor.put(letter(1), 10)
    actor.refill([letter(2)], complete=True)
    assert waiting(actor) == [2]
    assert actor.read_again


def test_an_empty_journal_leaves_what_was_told() -> None:
    actor = Actor(ANNA)
    actor.put(letter(1), 10)
    actor.refill([], complete=True)
    assert waiting(actor) == [1]


# --- pacing ----------------------------------------------------------------------------------------------------------


def test_a_burst_goes_at_once_and_then_one_per_interval() -> None:
    pacing = Pacing(burst=3, interval=6.0)
    for _ in range(3):
        assert pacing.wait("anna", 100.0) == 0.0
        pacing.used("anna", 100.0)
    assert pacing.wait("anna", 100.0) == pytest.approx(6.0)
    assert pacing.wait("boris", 100.0) == 0.0
    assert pacing.wait("anna", 106.0) == 0.0


@given(st.lists(st.floats(0, 10), min_size=1, max_size=60), st.integers(1, 5))
def test_no_stretch_of_time_has_more_than_a_burst_and_one_per_interval(gaps: list[float], burst: int) -> None:
    pacing, now, times = Pacing(burst=burst, interval=6.0), 0.0, []
    for gap in gaps:
        now += gap
        now += pacing.wait("anna", now)
        assert pacing.wait("anna", now) == pytest.approx(0.0, abs=1e-6)
        pacing.used("anna", now)
        times.append(now)
    for first, start in enumerate(times):
        for last in range(first, len(times)):
            assert last - first + 1 <= burst + (times[last] - start) / 6.0 + 1e-6


def test_recipients_with_a_full_bucket_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing_module, "PRUNE_AT", 10)
    pacing = Pacing(burst=1, interval=6.0)
    for number in range(10):
        pacing.used(f"{number}", 0.0)
    pacing.used("busy", 5.0)
    pacing.used("last", 7.0)
    assert pacing.wait("busy", 7.0) > 0


# --- timers ----------------------------------------------------------------------------------------------------------


class Wheel:
    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.fired: list[tuple[str, TimerKind]] = []
        self.keys: set[bytes] = set()
        self.under_way: list[Callable[[bool | Exception], None]] = []
        self.wheel = TimerWheel(clock=self.clock, fire=self._fire)

    def start(self, name: str, wait: float) -> None:
        self.wheel.start(ANNA, TimerId(name), "quiet", self.clock.now() + wait)

    def swept(self, name: str) -> None:
        self.wheel.swept(DueTimer(id=TimerId(name), customer=ANNA, kind="quiet"), "quiet")

    def _fire(
        self, customer: CustomerId, event: TimerFired, *, key: bytes, done: Callable[[bool | Exception], None]
    ) -> None:
        self.fired.append((event.timer_id, event.kind))
        self.keys.add(key)
        self.under_way.append(done)


async def test_a_near_timer_fires_on_time() -> None:
    wheel = Wheel()
    wheel.start("t", 1.0)
    await wheel.clock.advance(0.9)
    assert wheel.fired == []
    await wheel.clock.advance(0.2)
    assert wheel.fired == [("t", "quiet")]
    assert len(wheel.wheel) == 0


async def test_a_timer_that_is_due_already_fires_at_once() -> None:
    wheel = Wheel()
    wheel.start("t", -5.0)
    await wheel.clock.settled()
    assert wheel.fired == [("t", "quiet")]


async def test_a_far_timer_is_left_to_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = Wheel()
    wheel.start("t", NEAR_SECONDS + 1)
    assert len(wheel.wheel) == 0
    monkeypatch.setattr(timers_module, "NEAR_MOST", 1)
    wheel.start("a", 1.0)
    wheel.start("b", 1.0)
    assert len(wheel.wheel) == 1


async def test_a_stopped_timer_does_not_fire() -> None:
    wheel = Wheel()
    wheel.start("t", 1.0)
    wheel.wheel.stop(TimerId("t"))
    wheel.wheel.stop(TimerId("unknown"))
    await wheel.clock.advance(5)
    assert wheel.fired == []


async def test_the_sweep_leaves_alone_what_will_fire_here_and_both_have_one_key() -> None:
    wheel = Wheel()
    wheel.start("t", 1.0)
    wheel.swept("t")
    assert wheel.fired == []
    await wheel.clock.advance(2)
    wheel.under_way.pop()(True)
    wheel.swept("t")
    assert wheel.fired == [("t", "quiet")] * 2
    assert len(wheel.keys) == 1


async def test_a_timer_whose_event_is_on_its_way_into_the_journal_is_not_posted_again() -> None:
    wheel = Wheel()
    wheel.swept("t")
    wheel.swept("t")
    assert wheel.fired == [("t", "quiet")]
    wheel.under_way.pop()(RuntimeError("refused"))
    wheel.swept("t")
    assert wheel.fired == [("t", "quiet")] * 2


async def test_a_closed_wheel_fires_nothing() -> None:
    wheel = Wheel()
    wheel.start("t", 1.0)
    wheel.wheel.close()
    await wheel.clock.advance(5)
    assert wheel.fired == []


# --- tasks, letters, clocks ------------------------------------------------------------------------------------------


async def test_background_work_is_held_and_its_failure_is_told(caplog: pytest.LogCaptureFixture) -> None:
    tasks, done = Tasks(), asyncio.Event()

    async def fail() -> None:
        await done.wait()
        raise RuntimeError("broken")

    tasks.spawn(fail(), "failing")
    assert len(tasks) == 1
    done.set()
    with caplog.at_level(logging.ERROR):
        await SimulatedClock().settled()
    assert len(tasks) == 0
    assert "background work failed" in caplog.text


async def test_what_still_runs_at_the_end_is_stopped() -> None:
    tasks, ended = Tasks(), []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    tasks.spawn(forever(), "forever")
    await asyncio.sleep(0)
    await tasks.cancel()
    assert ended == [True]
    assert len(tasks) == 0


def test_the_key_of_an_event_depends_on_its_parts_and_where_they_end() -> None:
    assert event_key("a", "b") == event_key("a", "b")
    assert len({event_key("a", "b"), event_key("ab"), event_key("b", "a"), event_key("\ud800")}) == 4
    assert len(event_key("x")) == DEDUP_BYTES


async def test_the_machines_clock_tells_time_and_calls_back() -> None:
    clock, called = SystemClock(), asyncio.Event()
    assert clock.now() > EPOCH - 3e7
    before = clock.monotonic()
    clock.later(0.0, called.set)
    await called.wait()
    await clock.sleep(0)
    assert clock.monotonic() >= before
    assert len({clock.seed() for _ in range(10)}) == 10
    assert all(0 <= clock.seed() < 2**64 for _ in range(10))


async def test_simulated_time_stands_still_until_it_is_moved() -> None:
    clock, calls = SimulatedClock(), []
    clock.later(2.0, lambda: calls.append("late"))
    clock.later(1.0, lambda: calls.append("early"))
    clock.later(1.5, lambda: calls.append("never")).cancel()
    assert clock.waiting == 2
    await clock.advance(0.5)
    assert calls == []
    await clock.advance(2.0)
    assert calls == ["early", "late"]
    assert clock.now() == EPOCH + 2.5
    assert SimulatedClock(7).seed() == SimulatedClock(7).seed()


async def test_simulated_time_says_when_something_runs_in_circles() -> None:
    clock, running = SimulatedClock(), True

    def again() -> None:
        if running:
            clock.later(0.0, again)

    again()
    with pytest.raises(AssertionError, match="in circles"):
        await clock.settled()
    running = False
    await clock.settled()
