"""Time and chance, the only two things that may not be asked for anywhere else: tests and simulations bring their
own.
"""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """`now` is unix seconds, `monotonic` seconds that never go back; `later` calls once after `delay` seconds."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...

    def seed(self) -> int:
        """64 random bits."""
        ...

    def later(self, delay: float, call: Callable[[], None]) -> asyncio.TimerHandle: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own. Its chance is for ids and jitter; keys and nonces come from elsewhere."""

    def __init__(self) -> None:
        self._chance = random.Random()

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    def seed(self) -> int:
        return self._chance.getrandbits(64)

    def later(self, delay: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(delay, call)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
