"""One run from beginning to end: traffic and faults, then healing, rest, and the count."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from loadtest.chaos_run.count import Arrived, Broken, Verdict, at_rest, judged
from loadtest.chaos_run.faults import Done, Faults
from loadtest.chaos_run.replicas import Life
from loadtest.chaos_run.schedule import Fault, planned
from loadtest.chaos_run.traffic import Asked, Crowd
from loadtest.chaos_run.world import Plan, World, first_port, started

ACKNOWLEDGED_SECONDS: Final = 60.0
"""How long, once everything is healed, the last webhooks may take to be acknowledged."""
REST_SECONDS: Final = 120.0
"""How long after that everything may take to come to rest; what is left then counts as lost."""
STILL_SECONDS: Final = 1.0
"""Rest is when nothing is left to do and nothing has reached the provider for so long."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What happened, for the report."""

    plan: Plan
    began: float
    rested: float
    """Seconds from the end of the traffic until everything was at rest."""
    asked: Sequence[Asked]
    arrived: Sequence[Arrived]
    done: list[Done]
    lives: Sequence[Life]
    attempts: dict[str, int]
    repeated: int
    verdict: Verdict
    broken: tuple[Broken, ...]
    """Everything that should not be: the verdict's, the database's, and processes that did not do as they should."""


async def play(
    plan: Plan,
    folder: Path,
    *,
    schedule: Sequence[Fault] | None = None,
    tell: Callable[[str], None] = lambda _: None,
    port: int | None = None,
) -> Run:
    """Run the plan, with the schedule of its seed unless one is given. Logs and stores are under `folder`."""
    if schedule is None:
        schedule = planned(
            seed=plan.seed, seconds=plan.seconds, replicas=plan.replicas, lease=plan.lease, only=plan.only
        )
    async with started(plan, folder, port or first_port()) as world:
        return await _played(world, schedule, tell)


async def _played(world: World, schedule: Sequence[Fault], tell: Callable[[str], None]) -> Run:
    plan = world.plan
    began = time.time()

    def told(line: str) -> None:
        tell(f"{time.time() - began:7.1f} s  {line}")

    crowd = Crowd(world.balancer, customers=plan.customers, rate=plan.rate, seed=plan.seed)
    faults = Faults(world, told)
    weather = asyncio.create_task(world.weather.run())
    background = [weather, *(asyncio.create_task(replica.watch(told)) for replica in world.replicas)]
    try:
        crowd.start()
        told("traffic begins")
        await asyncio.gather(faults.run(schedule), asyncio.sleep(plan.seconds))
        crowd.end()
        told("traffic ends; everything is healed")
        weather.cancel()
        await world.weather.storm(begins=False)
        await world.stand()
        await crowd.ended(ACKNOWLEDGED_SECONDS)
        ended = time.time()
        state = await _rest(world)
        rested = time.time() - ended
        told(f"at rest {rested:.1f} s later" if rested < REST_SECONDS else f"not at rest: {state}")
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
    await asyncio.gather(*(replica.scrape(5.0) for replica in world.replicas))
    lives = [msgspec.structs.replace(life) for replica in world.replicas for life in replica.lives]
    arrived = await world.arrived()
    verdict = judged(crowd.asked, arrived, lives)
    state["unknown"] = max(0, verdict.acknowledged - state.pop("heard"))
    return Run(
        plan=plan,
        began=began,
        rested=rested,
        asked=crowd.asked,
        arrived=arrived,
        done=faults.done,
        lives=lives,
        attempts={str(outcome): count for outcome, count in world.balancer.outcomes.items()},
        repeated=crowd.repeated,
        verdict=verdict,
        broken=(*verdict.broken, *at_rest(state), *_troubles(faults.troubles, world.balancer.odd, lives)),
    )


async def _rest(world: World) -> dict[str, int]:
    """Wait until nothing is left and the provider hears nothing new; what is left after all."""
    end, still, heard = time.time() + REST_SECONDS, time.time(), -1
    while True:
        state, now = await world.state(), (await world.counters()).get("accepted", 0)
        left = sum(state[name] for name in ("unread", "unsent", "undone", "spooled"))
        if left or now != heard:
            still, heard = time.time(), now
        if time.time() - still >= STILL_SECONDS or time.time() > end:
            return state
        await asyncio.sleep(0.2)


def _troubles(troubles: Sequence[str], odd: Sequence[str], lives: Sequence[Life]) -> list[Broken]:
    crashed = [f"replica {life.replica}: {life.how}" for life in lives if life.how.startswith("died")]
    kinds = {
        "replicas that did not stop as they should": troubles,
        "webhooks answered neither 200 nor 503": odd,
        "replicas that died by themselves": crashed,
    }
    return [Broken(what, len(cases), tuple(cases[:20])) for what, cases in kinds.items() if cases]
