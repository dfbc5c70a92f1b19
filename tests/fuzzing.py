"""How long the tests look for inputs that nobody thought of: a few seconds and always the same ones, or for as long
as somebody has: `HYPOTHESIS_PROFILE=long python -m pytest -k fuzz`, with other inputs each time.
"""

import os

from hypothesis import HealthCheck, settings

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
LONGER = 200
"""How many times as many examples the long run has."""


def bounded(examples: int) -> settings:
    """The settings of one fuzz test: so many examples in the short run."""
    return settings(
        max_examples=examples * LONGER if LONG else examples,
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
