"""What holds of the lean client on asyncio's own event loop holds on the one of the service."""

import inspect
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from tests.adapters import test_lean_http, test_lean_pool

Case = Callable[[], Awaitable[None]]


def cases() -> list[Case]:
    """Every test of those modules that needs nothing."""
    found = [*vars(test_lean_http).values(), *vars(test_lean_pool).values()]
    return [
        one
        for one in found
        if inspect.iscoroutinefunction(one)
        and one.__name__.startswith("test_")
        and not inspect.signature(one).parameters
    ]


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.__name__)
def test_it_holds_on_uvloop(case: Case) -> None:
    async def run() -> None:
        await case()

    uvloop.run(run())
