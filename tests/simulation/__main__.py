"""`python -m tests.simulation`: runs seeds, tells what they were, and replays one exactly.

- `--seeds N [--from S] [--jobs J]`: any number of seeds; exit 1 when one breaks a promise
- `--seed S [--trace]`: one seed, with everything that happened
- `--mutation NAME [--seeds N]`: the same with a bug on purpose: which seeds catch it, and by which check
"""

import argparse
import contextlib
import sys
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing import get_context

from click import echo

from tests.simulation.mutations import BY_NAME
from tests.simulation.runs import Result, Total, run, run_all

CHUNK = 10
"""Seeds that one process runs before it tells of them."""


def main(arguments: list[str] | None = None) -> int:
    asked = _parsed(arguments)
    with BY_NAME[asked.mutation].applied() if asked.mutation else contextlib.nullcontext():
        if asked.seed is not None:
            return _one(asked.seed, printing=asked.trace)
        if asked.mutation:
            return _caught(range(asked.first, asked.first + asked.seeds))
        return _many(asked.first, asked.seeds, asked.jobs)


def _parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Deterministic simulation.")
    parser.add_argument("--seeds", type=int, default=300, help="how many seeds")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=1, help="processes that run them")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--trace", action="store_true", help="print everything that happens")
    parser.add_argument("--mutation", choices=sorted(BY_NAME), help="break the code on purpose")
    return parser.parse_args(arguments)


def _one(seed: int, *, printing: bool) -> int:
    result = run(seed, printing=printing)
    echo(result.told() if result.broken else f"seed {seed} kept every promise")
    echo(f"{result.seconds:.1f} simulated seconds, {result.steps} steps, digest {result.digest}")
    return bool(result.broken)


def _caught(seeds: range) -> int:
    checks: Counter[str] = Counter()
    for seed in seeds:
        found = {what.partition(":")[0] for what in run(seed).broken}
        checks.update(found)
        echo(f"seed {seed}: {', '.join(sorted(found)) or 'not caught'}")
    echo(dict(checks.most_common()))
    return not checks


def _many(first: int, seeds: int, jobs: int) -> int:
    began, total, seen = time.perf_counter(), Total(), Counter[str]()
    for results, counts in _worked_off(first, seeds, jobs):
        seen += counts
        for result in results:
            total.add(result)
            if result.broken:
                echo(result.told())
    _tell(total, seen, time.perf_counter() - began)
    return bool(total.failed)


def _worked_off(first: int, seeds: int, jobs: int) -> Iterator[tuple[list[Result], Counter[str]]]:
    chunks = [range(at, min(at + CHUNK, first + seeds)) for at in range(first, first + seeds, CHUNK)]
    if jobs == 1:
        yield from map(run_all, chunks)
        return
    with get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(run_all, chunks)


def _tell(total: Total, seen: Counter[str], seconds: float) -> None:
    hours = total.seconds / 3600
    echo(
        f"{total.runs} runs, {hours:.1f} simulated hours, {total.faults} faults, {total.steps} steps in {seconds:.0f} s"
    )
    echo(f"{len(total.failed)} broke a promise: {[result.seed for result in total.failed]}")
    for title, counts in (("what happened", total.counts), ("what the service did", seen)):
        echo(f"{title}:")
        for what, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
            echo(f"  {count:8} {what}")


if __name__ == "__main__":
    sys.exit(main())
