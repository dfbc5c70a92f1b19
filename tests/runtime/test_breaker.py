"""The breaker opens, rests, and lets exactly one probe through; time is a number that the test moves."""

import asyncio

import pytest

from bot.runtime.breaker import Breaker, BreakerState


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def changes() -> list[tuple[str, BreakerState]]:
    return []


@pytest.fixture
def breaker(clock: Clock, changes: list[tuple[str, BreakerState]]) -> Breaker:
    def note(name: str, state: BreakerState) -> None:
        changes.append((name, state))

    return Breaker("msg91", fail_max=3, reset_timeout=30.0, clock=clock, on_change=note)


def trip(breaker: Breaker) -> None:
    for _ in range(3):
        assert breaker.admit()
        breaker.failed()


def state_of(breaker: Breaker) -> BreakerState:
    """The state now; a function, so that a type checker does not carry it over what happened in between."""
    return breaker.state


def test_a_new_breaker_is_closed_and_admits_everybody(breaker: Breaker) -> None:
    assert state_of(breaker) == "closed"
    assert all(breaker.admit() for _ in range(100))
    assert breaker.seconds_until_probe() == 0.0


def test_it_opens_at_the_last_of_the_failures_in_a_row(
    breaker: Breaker, changes: list[tuple[str, BreakerState]]
) -> None:
    breaker.failed()
    breaker.failed()
    assert state_of(breaker) == "closed"
    breaker.failed()
    assert state_of(breaker) == "open"
    assert not breaker.admit()
    assert breaker.seconds_until_probe() == 30.0
    assert changes == [("msg91", "open")]


def test_a_success_between_failures_starts_the_count_again(breaker: Breaker) -> None:
    breaker.failed()
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    breaker.failed()
    assert state_of(breaker) == "closed"


def test_it_becomes_half_open_by_its_own_clock(breaker: Breaker, clock: Clock) -> None:
    trip(breaker)
    clock.now += 29.9
    assert state_of(breaker) == "open"
    assert not breaker.admit()
    clock.now += 0.1
    assert state_of(breaker) == "half_open"
    assert breaker.seconds_until_probe() == 0.0


def test_half_open_admits_one_probe_and_closes_when_it_succeeds(
    breaker: Breaker, clock: Clock, changes: list[tuple[str, BreakerState]]
) -> None:
    trip(breaker)
    clock.now += 30
    assert breaker.admit()
    assert not breaker.admit()
    breaker.succeeded()
    assert state_of(breaker) == "closed"
    assert breaker.admit()
    assert [state for _, state in changes] == ["open", "half_open", "closed"]


def test_a_failed_probe_opens_it_for_another_rest(breaker: Breaker, clock: Clock) -> None:
    trip(breaker)
    clock.now += 30
    assert breaker.admit()
    breaker.failed()
    assert state_of(breaker) == "open"
    assert breaker.seconds_until_probe() == 30.0


def test_an_abandoned_probe_leaves_its_place_to_the_next(breaker: Breaker, clock: Clock) -> None:
    trip(breaker)
    clock.now += 30
    assert breaker.admit()
    breaker.abandoned()
    assert state_of(breaker) == "half_open"
    assert breaker.admit()
    assert not breaker.admit()


async def test_of_many_who_ask_at_once_one_probes_and_the_rest_are_told_no(breaker: Breaker, clock: Clock) -> None:
    trip(breaker)
    clock.now += 30
    released = asyncio.Event()
    calls = 0

    async def call() -> bool:
        nonlocal calls
        if not breaker.admit():
            return False
        calls += 1
        await released.wait()
        breaker.succeeded()
        return True

    callers = [asyncio.create_task(call()) for _ in range(50)]
    await asyncio.sleep(0)
    released.set()
    admitted = await asyncio.gather(*callers)
    assert calls == 1
    assert sum(admitted) == 1
    assert state_of(breaker) == "closed"


async def test_a_probe_that_is_cancelled_and_abandoned_does_not_shut_the_circuit_for_ever(
    breaker: Breaker, clock: Clock
) -> None:
    trip(breaker)
    clock.now += 30

    async def call() -> None:
        assert breaker.admit()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            breaker.abandoned()
            raise

    probe = asyncio.create_task(call())
    await asyncio.sleep(0)
    assert not breaker.admit()
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    assert breaker.admit()


def test_a_retry_after_opens_at_once_for_just_that_long(breaker: Breaker, clock: Clock) -> None:
    breaker.failed(open_for=7.0)
    assert breaker.seconds_until_probe() == 7.0
    clock.now += 7
    assert breaker.admit()
    breaker.failed()
    assert breaker.seconds_until_probe() == 30.0


def test_a_second_retry_after_lengthens_the_rest_and_never_shortens_it(breaker: Breaker) -> None:
    breaker.failed(open_for=10.0)
    breaker.failed(open_for=5.0)
    assert breaker.seconds_until_probe() == 10.0
    breaker.failed(open_for=20.0)
    assert breaker.seconds_until_probe() == 20.0


def test_outcomes_of_calls_that_began_before_it_opened_change_nothing(
    breaker: Breaker, changes: list[tuple[str, BreakerState]]
) -> None:
    trip(breaker)
    breaker.succeeded()
    breaker.failed()
    assert state_of(breaker) == "open"
    assert breaker.seconds_until_probe() == 30.0
    assert len(changes) == 1


def test_the_callback_sees_the_new_state_and_its_probe_time(clock: Clock) -> None:
    seen: list[tuple[BreakerState, float]] = []

    def look(_name: str, _state: BreakerState) -> None:
        seen.append((watched.state, watched.seconds_until_probe()))

    watched = Breaker("m", fail_max=1, reset_timeout=9.0, clock=clock, on_change=look)
    watched.failed(open_for=3.0)
    clock.now += 3
    assert watched.admit()
    watched.failed()
    assert seen == [("open", 3.0), ("half_open", 0.0), ("open", 9.0)]


def test_nobody_has_to_watch_it(clock: Clock) -> None:
    breaker = Breaker("m", fail_max=1, reset_timeout=9.0, clock=clock)
    breaker.failed()
    assert state_of(breaker) == "open"
