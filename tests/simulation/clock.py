"""The clock of one replica: simulated time, wrong by as much as the seed says, and chance of its own."""

import asyncio
from collections.abc import Callable

from tests.simulation.chance import Chance
from tests.simulation.loop import SimulatedLoop

EPOCH = 1_750_000_000.0
"""Unix seconds at which a simulation begins: 2025-06-15, a Sunday afternoon in UTC."""


class SimulatedTime:
    """As `bot.runtime.clock.Clock`. `skew`: seconds by which its wall clock is ahead of the others'."""

    def __init__(self, loop: SimulatedLoop, chance: Chance, *, skew: float = 0.0) -> None:
        self._loop = loop
        self._chance = chance
        self.skew = skew

    def now(self) -> float:
        return EPOCH + self._loop.time() + self.skew

    def monotonic(self) -> float:
        return 1000.0 + self._loop.time()

    def seed(self) -> int:
        return self._chance.getrandbits(64)

    def later(self, delay: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_later(delay, call)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
