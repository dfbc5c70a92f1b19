"""Time that moves when a test moves it, and chance that is the same at every run, as `bot.runtime.clock.Clock`.

Nothing here waits. `settled` lets everything run that can run at this moment; `advance` moves time from one due call to
the next and settles after each, so the order of what happens is the order in which it was due.
"""

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable

EPOCH = 1_750_000_000.0
"""Unix seconds at which a simulation begins: 2025-06-15, a Sunday afternoon in UTC."""
TURNS_MOST = 20_000
"""Turns of the event loop within one moment: more is something that never comes to rest."""


class DueCall(asyncio.TimerHandle):
    """A call that waits for its time. The event loop does not know of it."""

    def cancel(self) -> None:
        self._cancelled = True

    def run(self) -> None:
        if not self._cancelled:
            self._run()


class SimulatedClock:
    """One for all replicas of a simulation."""

    def __init__(self, seed: int = 1) -> None:
        self._elapsed = 0.0
        self._chance = random.Random(seed)
        self._due: list[tuple[float, int, DueCall]] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        return EPOCH + self._elapsed

    def monotonic(self) -> float:
        return 1000.0 + self._elapsed

    def seed(self) -> int:
        return self._chance.getrandbits(64)

    def later(self, delay: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        due = DueCall(self._elapsed + max(delay, 0.0), call, (), loop)
        if delay <= 0:
            loop.call_soon(due.run)
        else:
            heapq.heappush(self._due, (due.when(), next(self._numbers), due))
        return due

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.later(seconds, lambda: None if woken.done() else woken.set_result(None))
        await woken

    def block(self, seconds: float) -> None:
        """Called by something that is due: it takes so long, and everything else waits meanwhile."""
        self._elapsed += seconds

    async def settled(self) -> None:
        """Return when nothing can run any more before time moves."""
        ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
        for _ in range(TURNS_MOST):
            await asyncio.sleep(0)
            if not ready:
                return
        raise AssertionError("nothing comes to rest: something runs in circles without waiting")

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, and everything happen that is due within them."""
        end = self._elapsed + seconds
        await self.settled()
        while self._due and self._due[0][0] <= end:
            when, _, due = heapq.heappop(self._due)
            self._elapsed = max(self._elapsed, when)
            due.run()
            await self.settled()
        self._elapsed = end
        await self.settled()

    @property
    def waiting(self) -> int:
        """Calls that wait for their time."""
        return sum(not due.cancelled() for _, _, due in self._due)
