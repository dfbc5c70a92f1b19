import pytest

from tests.simulation.seeds import chunks, keep_every_promise


@pytest.mark.parametrize("seeds", chunks(0, 2), ids=str)
def test_whatever_fails_every_promise_is_kept(seeds: range) -> None:
    keep_every_promise(seeds)
