"""The simulation bites: each bug on purpose is caught, by the check that is about it, and its seed is clean without."""

from pathlib import Path

import pytest

from tests.simulation.mutations import MUTATIONS, Mutation, table
from tests.simulation.runs import run

README = Path(__file__).with_name("README.md")


def names(broken: list[str]) -> set[str]:
    return {what.partition(":")[0] for what in broken}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_bug_on_purpose_is_caught(mutation: Mutation) -> None:
    for seed in mutation.seeds():
        with mutation.applied():
            caught = mutation.catches in names(run(seed).broken)
        if caught:
            assert run(seed).broken == []
            return
    pytest.fail(f"no seed of {mutation.seeds()} catches it; look for one: {mutation.command()}")


def test_the_list_of_bugs_in_the_readme_is_that_of_the_code() -> None:
    assert table() in README.read_text()
