"""The crowd for an hour, and whether the service stays as it is: memory, descriptors, connections, tables.

`python -m loadtest.soak --minutes 60 --rate 50`. Customers come and go all the time, and who is idle leaves memory; so
a flat line says something. It ends with 1 when a promise was broken or the memory's trend is over `--bound`.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # started as a file

from loadtest.driver import phones
from loadtest.people import crowd_options, in_folder, ramp, talk
from loadtest.people_run.open_loop import fire, planned
from loadtest.people_run.report import write
from loadtest.people_run.trend import LEAST_POINTS, Trend, settled, trend
from loadtest.people_run.vitals import GAUGES, Look, Table, look, tables
from loadtest.people_run.world import World, started

LOOK_SECONDS: Final = 10.0
FLAT: Final = "Nothing grows."
BOUND_KB: Final = 64.0
"""KB a minute by which the memory may seem to grow beside what newcomers take: 4 MB in an hour."""
KNOWN_BYTES: Final = 256
"""For each customer the service remembers by design which number is whose, until it knows 200,000 and begins anew."""
BOUNDS: Final = {"memory": BOUND_KB, "descriptors": 1.0, "threads": 0.1, "connections": 0.25}
"""By which each may seem to grow in a minute. A connection or two more to a store are no leak; one every minute is."""
SECONDS_FOR_A_MESSAGE: Final = 18.0
"""Between two messages of one customer who thinks 15 s, all pauses, waits and bursts included; measured."""
USUAL_THINK: Final = 15.0
LEAVING: Final = 0.3
"""Share of turns without a topic in which a customer leaves: five times as many as usual."""
FILL: Final = 12_000
"""Customers who write once before anything is measured: more than the service remembers keys of."""
FILL_RATE: Final = 50.0
"""Messages a second of them. With `IDLE_SECONDS` no more conversations are live then than later, when the crowd talks:
else what these free afterwards would take in whatever leaks, and the line would be flat for that.
"""
IDLE_SECONDS: Final = 10.0
"""`ACTOR_IDLE` of the service: shorter than the time people think, so that conversations leave memory all the time."""
CUSTOMERS: Final = "select count(*) from users"


class Soak(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen, memory in KB. `before`, `after`: the tables. `newcomers`: customers who were new, a minute."""

    looks: Sequence[Look]
    newcomers: float
    before: Sequence[Table]
    after: Sequence[Table]

    def values(self, part: str) -> list[float]:
        """Of each look: one of `BOUNDS`, or a gauge."""
        return [float(one.gauges.get(part, 0.0) if part in GAUGES else getattr(one, part)) for one in self.looks]

    def trend(self, part: str) -> Trend:
        return trend(settled([(one.at, value) for one, value in zip(self.looks, self.values(part), strict=True)]))

    def bounds(self, memory: float) -> dict[str, float]:
        """What may seem to grow by how much a minute; to the memory's comes what newcomers take by design."""
        return {**BOUNDS, "memory": memory + self.newcomers * KNOWN_BYTES / 1024}

    def problems(self, bounds: dict[str, float]) -> list[str]:
        """A sentence for each part that grows, or of which nothing is known."""
        found = {part: self.trend(part) for part in bounds}
        if any(one.points < LEAST_POINTS for one in found.values()):
            return ["BROKEN: too few looks to say whether anything grows"]
        return [
            f"BROKEN: {part} grows by {one.slope:.1f} a minute, error {one.error:.1f}, bound {bounds[part]:.2f}"
            for part, one in found.items()
            if one.grows(bounds[part])
        ]


async def run(arguments: argparse.Namespace, folder: Path) -> int:
    """The whole soak; 1 when a promise was broken, or memory grows."""
    arguments.customers = round(arguments.rate * SECONDS_FOR_A_MESSAGE * arguments.think / USUAL_THINK)
    async with started(folder, ACTOR_IDLE=f"{IDLE_SECONDS:g}") as world:
        await fill(world, arguments.fill)
        looks: list[Look] = []
        before, known = await tables(world), await world.postgres.value(CUSTOMERS)
        seconds = arguments.minutes * 60
        watching = asyncio.create_task(watch(world, looks, ramp(arguments) + seconds))
        code = await talk(world, arguments, seconds)
        await watching
        newcomers = (await world.postgres.value(CUSTOMERS) - known) / arguments.minutes
        soak = Soak(looks=looks, newcomers=newcomers, before=before, after=await tables(world))
        bounds = soak.bounds(arguments.bound)
        problems = soak.problems(bounds)
        if not world.service.process.lives:
            problems.append(f"BROKEN: the service ended by itself, with code {world.service.process.code}")
    print(text(soak, bounds, problems))
    write(arguments.vitals, document(soak))
    return 1 if code or problems else 0


async def fill(world: World, count: int) -> None:
    """Let so many customers write once."""
    if count:
        shots = planned(phones(count), FILL_RATE, count / FILL_RATE, "fill", world.service.port)
        await fire(shots, world.service.port)


async def watch(world: World, looks: list[Look], seconds: float) -> None:
    """Look every so often while the crowd talks and the service lives."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and world.service.process.lives:
        looks.append(await look(world))
        await asyncio.sleep(LOOK_SECONDS)


def text(soak: Soak, bounds: dict[str, float], problems: Sequence[str]) -> str:
    """For a reader."""
    sizes = {table.name: table for table in soak.before}
    return "\n".join(
        [
            f"{len(soak.looks)} looks; memory in KB; the trend is a line through the last two thirds",
            f"{soak.newcomers:.0f} newcomers a minute, for whom the memory may grow by {KNOWN_BYTES} bytes each",
            "",
            f"{'':22}{'first':>10}{'least':>10}{'most':>10}{'last':>10}{'a minute':>12}{'error':>8}{'bound':>8}",
            *(_row(part, soak, bounds.get(part)) for part in (*BOUNDS, *GAUGES) if soak.looks),
            "",
            f"{'table':28}{'KB before':>12}{'KB after':>12}{'rows':>12}{'dead rows':>12}",
            *(_table(sizes.get(one.name, Table(one.name, 0, 0, 0)), one) for one in soak.after if one.live or one.dead),
            "",
            *(problems or [FLAT]),
        ]
    )


def document(soak: Soak) -> dict[str, Any]:
    """Every look, for a drawing."""
    trends = {part: msgspec.to_builtins(soak.trend(part)) for part in (*BOUNDS, *GAUGES)}
    return {**msgspec.to_builtins(soak), "trends": trends}


def _row(part: str, soak: Soak, bound: float | None) -> str:
    values, line = soak.values(part), soak.trend(part)
    cells = "".join(f"{value:10.0f}" for value in (values[0], min(values), max(values), values[-1]))
    return f"{part:22}{cells}{line.slope:+12.2f}{line.error:8.2f}{'' if bound is None else f'{bound:8.2f}'}"


def _table(before: Table, after: Table) -> str:
    return f"{after.name:28}{before.bytes / 1024:12.0f}{after.bytes / 1024:12.0f}{after.live:12}{after.dead:12}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=50.0, help="messages a second of all customers together, about")
    parser.add_argument("--bound", type=float, default=BOUND_KB, help="KB a minute by which memory may grow")
    parser.add_argument("--fill", type=int, default=FILL, help="customers who write once before anything is measured")
    parser.add_argument("--vitals", help="a file for every look, as JSON")
    crowd_options(parser)
    parser.set_defaults(leaving=LEAVING)
    return in_folder(run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
