"""Runs of seeds: what one came to, and what many were together."""

from collections import Counter

import msgspec

from tests.simulation.checker import Evidence, broken
from tests.simulation.coverage import counted
from tests.simulation.world import Simulation


class Result(msgspec.Struct, kw_only=True):
    """One run. `broken` is empty when every promise was kept; `seconds` are simulated."""

    seed: int
    broken: list[str]
    digest: str
    seconds: float
    steps: int
    counts: Counter[str]
    faults: int

    def told(self) -> str:
        """What to read when it failed, with the command that does it again."""
        lines = "\n  ".join(self.broken[:20])
        replay = f"python -m tests.simulation --seed {self.seed} --trace"
        return f"seed {self.seed} broke promises:\n  {lines}\nreplay: {replay}"


class Total(msgspec.Struct):
    """Many runs together."""

    runs: int = 0
    seconds: float = 0.0
    steps: int = 0
    faults: int = 0
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    failed: list[Result] = []

    def add(self, result: Result) -> None:
        self.runs += 1
        self.seconds += result.seconds
        self.steps += result.steps
        self.faults += result.faults
        self.counts += result.counts
        if result.broken:
            self.failed.append(result)


def run_all(seeds: range) -> tuple[list[Result], Counter[str]]:
    """Some seeds, and what the service counted meanwhile. It is here because a process of its own has to find it."""
    before = counted()
    results = [run(seed) for seed in seeds]
    return results, counted() - before


def run(seed: int, *, printing: bool = False) -> Result:
    """Live through one seed and check every promise."""
    simulation = Simulation(seed, printing=printing)
    simulation.run()
    evidence = Evidence(
        history=simulation.history,
        tables=simulation.ground.tables,
        vault=simulation.ground.vault,
        book=simulation.book,
        restless=simulation.restless,
        problems=simulation.loop.problems,
        brisk=simulation.plan.brisk,
    )
    return Result(
        seed=seed,
        broken=broken(evidence),
        digest=simulation.trace.digest(),
        seconds=simulation.loop.time(),
        steps=simulation.loop.steps,
        counts=simulation.trace.counts,
        faults=simulation.trace.faults.total(),
    )
