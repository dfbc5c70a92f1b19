"""The event loop of the simulation: time, processes, and what it means to be killed or paused."""

import asyncio
import random
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from tests.simulation.loop import Process, SimulatedLoop, Stuck


@pytest.fixture
def loop() -> Iterator[SimulatedLoop]:
    loop = SimulatedLoop(random.Random(1))
    yield loop
    if not loop.is_closed():
        loop.dispose()
    assert loop.problems == []


def living(loop: SimulatedLoop, process: Process, work: Coroutine[Any, Any, Any], seconds: float) -> None:
    """Let `work` run inside `process` while so many simulated seconds pass outside."""
    loop.begin(process, work, "work")
    loop.run_until_complete(asyncio.sleep(seconds))


async def ticking(ticks: list[float]) -> None:
    while True:
        ticks.append(asyncio.get_running_loop().time())
        await asyncio.sleep(1.0)


def test_hours_pass_at_once(loop: SimulatedLoop) -> None:
    loop.run_until_complete(asyncio.sleep(7200.0))
    assert loop.time() == 7200.0


def test_nothing_of_a_killed_process_runs_any_more(loop: SimulatedLoop) -> None:
    process, ticks, ended = Process("p"), list[float](), list[str]()

    async def work() -> None:
        try:
            await ticking(ticks)
        finally:
            ended.append("its finally ran")

    loop.call_at(2.5, loop.kill, process, context=loop.outside.context)
    living(loop, process, work(), 10.0)
    assert (ticks, ended) == ([0.0, 1.0, 2.0], [])


def test_a_paused_process_goes_on_where_it_was_and_its_timers_are_late(loop: SimulatedLoop) -> None:
    process, ticks = Process("p"), list[float]()
    loop.call_at(1.5, loop.pause, process, context=loop.outside.context)
    loop.call_at(5.0, loop.resume, process, context=loop.outside.context)
    living(loop, process, ticking(ticks), 7.5)
    assert ticks == [0.0, 1.0, 5.0, 6.0, 7.0]


def test_a_process_dies_between_two_awaits_at_the_step_that_was_planned(loop: SimulatedLoop) -> None:
    process, steps = Process("p"), list[int]()

    async def work() -> None:
        for step in range(100):
            steps.append(step)
            await asyncio.sleep(0)

    process.doom = 7
    living(loop, process, work(), 1.0)
    assert steps == list(range(7))
    assert not process.alive


def test_one_process_keeps_its_order_and_two_are_mixed_by_the_seed() -> None:
    def order(seed: int) -> list[str]:
        loop, seen = SimulatedLoop(random.Random(seed)), list[str]()
        for name in ("a", "b"):
            process = Process(name)
            for number in range(10):
                process.context.run(loop.call_soon, seen.append, f"{name}{number}")
        loop.run_until_complete(asyncio.sleep(1.0))
        loop.dispose()
        return seen

    seen = order(3)
    assert [one for one in seen if one[0] == "a"] == [f"a{number}" for number in range(10)]
    assert seen == order(3) != order(4)


def test_what_runs_in_circles_is_found(loop: SimulatedLoop) -> None:
    async def circle() -> None:
        while True:  # noqa: ASYNC110 - this is the mistake
            await asyncio.sleep(0)

    with pytest.raises(Stuck, match="runs in circles"):
        loop.run_until_complete(circle())


def test_when_nothing_will_ever_happen_again_it_says_so(loop: SimulatedLoop) -> None:
    with pytest.raises(Stuck, match="nothing will ever happen"):
        loop.run_until_complete(loop.create_future())


def test_a_failure_that_nobody_looked_at_is_a_problem() -> None:
    loop = SimulatedLoop(random.Random(1))

    async def work() -> None:
        raise ValueError("unseen")

    living(loop, loop.outside, work(), 1.0)
    loop.dispose()
    assert loop.problems == ["the task work failed: ValueError('unseen')"]


def test_the_standard_library_runs_on_simulated_time(loop: SimulatedLoop) -> None:
    async def work() -> tuple[int, float]:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3.0):
                await asyncio.Event().wait()
        return await asyncio.to_thread(lambda: 5), loop.time()

    assert loop.run_until_complete(work()) == (5, 3.0)
