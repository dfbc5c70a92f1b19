"""Group commit, for every store call of the hot path: what arrives while one call is under way goes into the next.

Under load there are fewer, larger calls, so that durability costs little per message; at rest an item waits for nobody.
No task and no timer is made per item. A call that the store refuses is split until the one bad item stands alone, so
its
neighbours neither wait nor fail with it. A call that fails because the store is away is repeated, or given up at once,
as the owner chose.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from bot.ports.failures import Unacceptable, Unavailable
from bot.runtime.clock import Clock

T = TypeVar("T")
R = TypeVar("R")

RETRY_FIRST = 0.05
"""Seconds before the first repetition after the store was away."""
RETRY_MOST = 2.0
"""Seconds between repetitions at the most."""

log = logging.getLogger(__name__)


class Group(Generic[T, R]):
    """One call at a time over whatever has come together.

    `perform(items)` makes the call and returns one result per item; it is called again with the same items when the
    store was away, and the store recognises what took effect the first time. `settle(item, result)` is called for each
    item in order, with the result or the exception that ended it, and must not raise.
    """

    def __init__(
        self,
        name: str,
        *,
        perform: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        settle: Callable[[T, R | Exception], None],
        clock: Clock,
        most: int,
        patient: bool,
    ) -> None:
        """`most`: items in one call. `patient`: repeat while the store is away, instead of settling with the
        failure.
        """
        self.name = name
        self._perform = perform
        self._settle = settle
        self._clock = clock
        self._most = most
        self._patient = patient
        self._waiting: deque[T] = deque()
        self._under_way = 0
        self._task: asyncio.Task[None] | None = None
        self._free = asyncio.Event()
        self._free.set()

    def __len__(self) -> int:
        """Items that wait or are under way."""
        return len(self._waiting) + self._under_way

    def add(self, item: T) -> None:
        """Take `item` into the next call. A plain function: it never waits."""
        self._waiting.append(item)
        if self._task is None:
            self._free.clear()
            self._task = asyncio.get_running_loop().create_task(self._drain(), name=f"group {self.name}")

    async def drained(self) -> None:
        """Return when nothing waits and nothing is under way."""
        await self._free.wait()

    async def _drain(self) -> None:
        try:
            while self._waiting:
                take = min(len(self._waiting), self._most)
                items = [self._waiting.popleft() for _ in range(take)]
                self._under_way = take
                await self._call(items)
                self._under_way = 0
        finally:
            self._task = None
            self._under_way = 0
            self._free.set()

    async def _call(self, items: list[T]) -> None:
        delay = RETRY_FIRST
        while True:
            try:
                results = await self._perform(items)
            except Unacceptable as problem:
                await self._split(items, problem)
                return
            except Unavailable as problem:
                log.warning("the store is away", extra={"group": self.name, "items": len(items), "error": str(problem)})
                if not self._patient:
                    self._settle_all(items, problem)
                    return
                await self._clock.sleep(delay)
                delay = min(delay * 2, RETRY_MOST)
            except Exception as problem:
                log.exception("a grouped call failed", extra={"group": self.name, "items": len(items)})
                await self._split(items, problem)
                return
            else:
                for item, result in zip(items, results, strict=True):
                    self._tell(item, result)
                return

    async def _split(self, items: list[T], problem: Exception) -> None:
        if len(items) == 1:
            self._tell(items[0], problem)
            return
        middle = len(items) // 2
        await self._call(items[:middle])
        await self._call(items[middle:])

    def _settle_all(self, items: list[T], problem: Exception) -> None:
        for item in items:
            self._tell(item, problem)

    def _tell(self, item: T, result: R | Exception) -> None:
        """Settle one item; a failure there is a bug, and not to be paid for by its neighbours."""
        try:
            self._settle(item, result)
        except Exception:
            log.exception("an outcome was not taken", extra={"group": self.name})
