"""A bound on how long a store may take, on the runtime's own clock: past it the work is cancelled and `Unavailable`.

Every call of a port may be cancelled. Then it is as after `Unavailable`: whether it took effect is not known.
"""

import asyncio
from types import TracebackType
from typing import Self

from bot.ports.failures import Unavailable
from bot.runtime.clock import Clock


class Deadline:
    """`async with Deadline(clock, 1.0):` raises `Unavailable` when the block takes longer. It needs no task."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._task: asyncio.Task[object] | None = None
        self._passed = False
        self._cancelled_before = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        if self._task is not None:
            self._cancelled_before = self._task.cancelling()
        self._alarm = self._clock.later(self._seconds, self._pass)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        self._alarm.cancel()
        if not self._passed or task is None:
            return
        only_ours = task.uncancel() <= self._cancelled_before
        if only_ours and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise Unavailable(f"no answer within {self._seconds:g} s") from error

    def _pass(self) -> None:
        if self._task is not None:
            self._passed = True
            self._task.cancel()
