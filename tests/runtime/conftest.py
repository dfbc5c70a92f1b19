"""A world of stores in memory, and replicas that end with the test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.runtime.replica import Replica, Settings, World
from tests.runtime.simulated_clock import SimulatedClock

Starting = Callable[..., Awaitable[Replica]]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def clock(world: World) -> SimulatedClock:
    return world.clock


@pytest.fixture
async def starting(world: World) -> AsyncIterator[Starting]:
    """Start replicas of the world: `await starting("r1", lease=5.0)`."""
    replicas: list[Replica] = []

    async def start(me: str = "r1", *, sweeping: bool = True, **settings: Any) -> Replica:
        replicas.append(Replica(world, me, Settings(**settings)))
        return await replicas[-1].begin(sweeping=sweeping)

    yield start
    for replica in replicas:
        await replica.end()
