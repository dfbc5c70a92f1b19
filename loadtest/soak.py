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
from loadtest.people import crowd_options, in_folder, talk
from loadtest.people_run.open_loop import fire, planned
from loadtest.people_run.report import write
from loadtest.people_run.trend import Trend, settled, trend
from loadtest.people_run.vitals import GAUGES, Look, Table, look, tables
from loadtest.people_run.world import World, started

PARTS: Final = ("memory", "descriptors", "threads", "connections")
"""Of a look; memory in KB."""
LOOK_SECONDS: Final = 10.0
BOUND_KB: Final = 64.0
"""KB a minute by which the memory may seem to grow: 4 MB in an hour."""
SECONDS_FOR_A_MESSAGE: Final = 18.0
"""Between two messages of one customer who thinks 15 s, all pauses, waits and bursts included; measured."""
USUAL_THINK: Final = 15.0
LEAVING: Final = 0.3
"""Share of turns without a topic in which a customer leaves: five times as many as usual."""
FILL: Final = 12_000
"""Customers who write once before anything is measured: more than the service remembers keys of."""
FILL_RATE: Final = 200.0
"""Messages a second of them."""


class Soak(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen. `before`, `after`: the tables."""

    looks: Sequence[Look]
    before: Sequence[Table]
    after: Sequence[Table]

    @property
    def memory(self) -> Trend:
        return trend(settled([(one.at, float(one.memory)) for one in self.looks]))


async def run(arguments: argparse.Namespace, folder: Path) -> int:
    """The whole soak; 1 when a promise was broken, or memory grows."""
    arguments.customers = round(arguments.rate * SECONDS_FOR_A_MESSAGE * arguments.think / USUAL_THINK)
    async with started(folder) as world:
        await fill(world, arguments.fill)
        looks: list[Look] = []
        before = await tables(world)
        watching = asyncio.create_task(watch(world, looks, arguments.minutes * 60))
        code = await talk(world, arguments, arguments.minutes * 60)
        await watching
        soak = Soak(looks=looks, before=before, after=await tables(world))
    print(text(soak, arguments.bound))
    write(arguments.vitals, document(soak))
    return 1 if code or soak.memory.grows(arguments.bound) else 0


async def fill(world: World, count: int) -> None:
    """Let so many customers write once."""
    if count:
        shots = planned(phones(count), FILL_RATE, count / FILL_RATE, "fill", world.service.port)
        await fire(shots, world.service.port)


async def watch(world: World, looks: list[Look], seconds: float) -> None:
    """Look every so often while the crowd talks."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        looks.append(await look(world))
        await asyncio.sleep(LOOK_SECONDS)


def text(soak: Soak, bound: float) -> str:
    """For a reader."""
    found = soak.memory
    rows = [(name, [one.gauges.get(name, 0.0) for one in soak.looks]) for name in GAUGES]
    rows = [(name, [float(getattr(one, name)) for one in soak.looks]) for name in PARTS] + rows
    sizes = {table.name: table for table in soak.before}
    return "\n".join(
        [
            f"{len(soak.looks)} looks; the line goes through the last two thirds",
            f"memory {found.slope:+.1f} KB a minute, error {found.error:.1f}, bound {bound:g}: "
            f"{'GROWS' if found.grows(bound) else 'flat'}",
            "",
            f"{'':28}{'first':>12}{'least':>12}{'most':>12}{'last':>12}",
            *(_row(name, values) for name, values in rows if values),
            "",
            f"{'table':28}{'KB before':>12}{'KB after':>12}{'rows':>12}{'dead rows':>12}",
            *(_table(sizes.get(one.name, Table(one.name, 0, 0, 0)), one) for one in soak.after if one.live or one.dead),
        ]
    )


def document(soak: Soak) -> dict[str, Any]:
    """Every look, for a drawing."""
    return {**msgspec.to_builtins(soak), "trend": msgspec.to_builtins(soak.memory)}


def _row(name: str, values: Sequence[float]) -> str:
    cells = "".join(f"{value:12.0f}" for value in (values[0], min(values), max(values), values[-1]))
    return f"{name:28}{cells}"


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
