"""The gate before the workers: nothing goes out while the breaker is open, our number pauses, or our claims lapsed.

Lanes that come to it meanwhile are held, and let go when all is well, or one by one as probes.
"""

from collections import deque
from collections.abc import Callable

from bot.runtime.breaker import Breaker
from bot.runtime.clock import Clock
from bot.runtime.parcels import Lane

NUMBER_PAUSE = 2.0
"""Seconds without sends after the provider said that our number is too fast, unless it names another time."""
HELD_STEP = 0.25
"""Seconds between looks at lanes that a breaker or a pause holds back."""


class Gate:
    def __init__(self, *, clock: Clock, breaker: Breaker, let_go: Callable[[Lane], None]) -> None:
        """`let_go` brings a lane to the workers."""
        self._clock = clock
        self._breaker = breaker
        self._let_go = let_go
        self._held: deque[Lane] = deque()
        self._release_scheduled = False
        self._paused_until = 0.0
        self._ours_until = float("-inf")
        """Nothing is ours before the first sign of life."""
        self.confirmations = 0
        """How often it was asked what is still ours: what was claimed before the last time may be somebody else's."""
        self.asking = False
        """It is being asked at this moment."""

    def shut(self) -> bool:
        return self._clock.monotonic() < self._paused_until or self.lapsed or self._breaker.state == "open"

    def hold(self, lane: Lane) -> None:
        """Keep a lane that may not go now; it goes on when the gate opens."""
        self._held.append(lane)
        self._schedule_release()

    def pause(self, seconds: float | None) -> None:
        """Our number is too fast for the provider, which may have named a time."""
        self._paused_until = self._clock.monotonic() + (seconds or NUMBER_PAUSE)

    def ours_until(self, monotonic: float) -> None:
        """Our claims hold until then; later nothing goes out before they are confirmed, because another may have taken
        it over.
        """
        self._ours_until = monotonic

    @property
    def lapsed(self) -> bool:
        return self._clock.monotonic() >= self._ours_until

    def _schedule_release(self) -> None:
        if self._held and not self._release_scheduled:
            self._release_scheduled = True
            pause = self._paused_until - self._clock.monotonic()
            self._clock.later(max(HELD_STEP, pause, self._breaker.seconds_until_probe()), self._release)

    def _release(self) -> None:
        """Let everybody go when all is well, a single lane as a probe otherwise."""
        self._release_scheduled = False
        if self._clock.monotonic() >= self._paused_until and not self.lapsed:
            for _ in range(len(self._held) if self._breaker.state == "closed" else min(1, len(self._held))):
                self._let_go(self._held.popleft())
        self._schedule_release()
