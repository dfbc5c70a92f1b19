"""Everything on this machine in one command: a crowd that talks like people, or an open loop of quick messages.

`python -m loadtest.people --customers 1000 --minutes 5` starts stores, sandbox, service and locust without a page.
`python -m loadtest.people --rate 200 --seconds 60` sends 200 messages a second at exponentially distributed times,
whatever the answers do, and holds latencies against their targets. Both end with 1 when a promise was broken; the open
loop also when a target was missed, unless `--no-targets`. How to read them: `loadtest/README.md`.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Final

import uvloop

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # started as a file

from loadtest.chaos_run.process import ROOT
from loadtest.people_run import open_loop
from loadtest.people_run.talk import LEAVING
from loadtest.people_run.world import SECRET, SESSION_SECONDS, TOKEN, NotStarted, World, started

SPAWNS: Final = (1.0, 100.0)
"""Customers who come in a second, at least and at most."""

Run = Callable[[argparse.Namespace, Path], Coroutine[object, object, int]]
"""What a command does in its folder; the exit code."""


async def talk(world: World, arguments: argparse.Namespace, seconds: float) -> int:
    """The crowd, as a process of locust, for `seconds` from when all are there; its exit code."""
    command = [sys.executable, "-m", "locust", *options(world, arguments, seconds)]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def ramp(arguments: argparse.Namespace) -> float:
    """Seconds until all customers are there: what was asked for, as far as customers can come so fast or slowly."""
    least, most = SPAWNS
    return float(arguments.customers / min(most, max(least, arguments.customers / arguments.ramp)))


def options(world: World, arguments: argparse.Namespace, seconds: float) -> list[str]:
    """Of locust."""
    coming = ramp(arguments)
    given = {
        "--locustfile": ROOT / "loadtest" / "locustfile.py",
        "--host": world.service.url,
        "--users": arguments.customers,
        "--spawn-rate": arguments.customers / coming,
        "--run-time": f"{coming + seconds:.0f}s",
        "--loglevel": "WARNING",
        "--sandbox": world.sandbox_url,
        "--webhook-secret": SECRET,
        "--admin-token": TOKEN,
        "--session-timeout": SESSION_SECONDS,
        "--think": arguments.think,
        "--leaving": arguments.leaving,
        "--transcripts": arguments.transcripts,
        "--seed": arguments.seed,
        "--report": arguments.json or "",
    }
    return ["--headless", "--only-summary", *(str(word) for pair in given.items() for word in pair)]


async def run(arguments: argparse.Namespace, folder: Path) -> int:
    if arguments.rate is None:
        async with started(folder) as world:
            return await talk(world, arguments, arguments.minutes * 60)
    async with started(folder, flows=ROOT / "loadtest" / "flows", SESSION_TIMEOUT="3600") as world:
        return await open_loop.run(world, arguments)


def crowd_options(parser: argparse.ArgumentParser) -> None:
    """What every run of the crowd can be told."""
    parser.add_argument("--think", type=float, default=15.0, help="median seconds between two turns of a customer")
    parser.add_argument("--leaving", type=float, default=LEAVING, help="share of turns in which a customer leaves")
    parser.add_argument("--ramp", type=float, default=20.0, help="seconds until all are there; they come on top")
    parser.add_argument("--transcripts", type=int, default=1000, help="customers compared over REST")
    parser.add_argument("--seed", type=int, default=7, help="of what is said and when")
    parser.add_argument("--json", help="a file for the figures")
    parser.add_argument("--folder", type=Path, help="for logs and stores; it is kept")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1000, help="at the same time; who leaves is replaced")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--rate", type=float, help="messages a second: the open loop")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the open loop")
    parser.add_argument("--phones", type=int, default=1000, help="of the open loop")
    parser.add_argument("--warm-up", type=float, default=5.0, help="seconds of the open loop that are not counted")
    parser.add_argument("--no-targets", action="store_true", help="report latencies without judging them")
    crowd_options(parser)
    arguments = parser.parse_args()
    return in_folder(run, arguments)


def in_folder(run: Run, arguments: argparse.Namespace) -> int:
    """Run it; the folder is removed when it was not asked for and all went well."""
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="people-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        code = uvloop.run(run(arguments, folder))
    except NotStarted as problem:
        print(problem)
        code = 1
    if arguments.folder is None and code == 0:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"logs and stores are kept: {folder}")
    return code


if __name__ == "__main__":
    sys.exit(main())
