"""Which seeds `make test` runs: a few hundred, in two files, so that two workers share them."""

import pytest

from tests.simulation.runs import run

SEEDS = 300
CHUNK = 10
"""Seeds in one test."""


def chunks(part: int, parts: int) -> list[range]:
    """Every `parts`-th chunk of the seeds, from number `part` on."""
    return [range(first, first + CHUNK) for first in range(part * CHUNK, SEEDS, parts * CHUNK)]


def keep_every_promise(seeds: range) -> None:
    """Fail with every broken promise and the commands that replay it."""
    told = [result.told() for result in map(run, seeds) if result.broken]
    if told:
        pytest.fail("\n".join(told), pytrace=False)
