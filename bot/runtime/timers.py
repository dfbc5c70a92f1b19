"""Timers: durable in the store; those soon due are also kept in memory by the replica that committed them.

A timer that fires becomes an event under the timer's own key, so however many replicas notice it, it has one effect.
While that event is on its way into the journal, this replica does not post it again; once it is there, the store leaves
the timer out of those that are due.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from bot.core.events import TimerFired, TimerKind
from bot.core.ids import CustomerId, TimerId
from bot.ports.timers import DueTimer
from bot.runtime.clock import Clock
from bot.runtime.letters import event_key

NEAR_SECONDS = 10.0
"""Timers due within this are kept in memory; the sweep finds the others when they are due."""
NEAR_MOST = 50_000
"""Timers kept in memory at the most."""


class Fire(Protocol):
    """Journals an event of the service itself; `done` hears when it is durable, or was refused."""

    def __call__(
        self, customer: CustomerId, event: TimerFired, *, key: bytes, done: Callable[[bool | Exception], None]
    ) -> None: ...


class TimerWheel:
    def __init__(self, *, clock: Clock, fire: Fire) -> None:
        self._clock = clock
        self._fire = fire
        self._near: dict[TimerId, asyncio.TimerHandle] = {}
        self._posted: set[TimerId] = set()

    def __len__(self) -> int:
        return len(self._near)

    def start(self, customer: CustomerId, timer: TimerId, kind: TimerKind, due: float) -> None:
        """A timer was committed."""
        wait = due - self._clock.now()
        if wait > NEAR_SECONDS or len(self._near) >= NEAR_MOST:
            return
        self._near[timer] = self._clock.later(max(0.0, wait), lambda: self._due(customer, timer, kind))

    def stop(self, timer: TimerId) -> None:
        handle = self._near.pop(timer, None)
        if handle is not None:
            handle.cancel()

    def swept(self, due: DueTimer, kind: TimerKind) -> None:
        """The sweep found a timer that is due."""
        if due.id not in self._near and due.id not in self._posted:
            self._post(due.customer, due.id, kind)

    def close(self) -> None:
        for handle in self._near.values():
            handle.cancel()
        self._near.clear()

    def _due(self, customer: CustomerId, timer: TimerId, kind: TimerKind) -> None:
        self._near.pop(timer, None)
        self._post(customer, timer, kind)

    def _post(self, customer: CustomerId, timer: TimerId, kind: TimerKind) -> None:
        self._posted.add(timer)
        self._fire(
            customer,
            TimerFired(timer_id=timer, kind=kind),
            key=event_key("timer", timer),
            done=lambda _: self._posted.discard(timer),
        )
