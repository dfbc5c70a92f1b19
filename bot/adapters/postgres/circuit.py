"""Whether PostgreSQL is worth asking: when it does not answer, calls fail at once instead of piling up (P8).

Why it is no `bot.runtime.breaker`: a question to a server that fell silent takes a statement's whole time, and nobody
should wait for the end of one probe before the next is tried. And such a server produces no failure for many seconds,
so silence itself has to count. In a running service the sweep asks every second; a server that has answered nothing for
two seconds is slow enough to be treated like one that is away.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from bot import metrics
from bot.ports.failures import Unavailable

FAILURES: Final = 5
"""Failures in a row after which nothing is asked but probes."""
SILENCE_SECONDS: Final = 2.0
"""The same after so long without any answer, while somebody waits for one."""
PROBE_SECONDS: Final = 1.0
"""Between probes."""
NAME: Final = "database"
CLOSED, OPEN = 0, 2
"""What `bot_breaker_state` shows."""

log = logging.getLogger(__name__)


class Circuit:
    """Ask `enter` before each call, and say afterwards what came of it; saying nothing is allowed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._asked_at: float | None = None
        """When the first question was put to which, or after which, there was no answer yet."""
        self._probe_at = 0.0
        self._open = False
        self._show()

    def enter(self, *, probe: bool = True) -> None:
        """Raise `Unavailable` when it is not worth asking. `probe`: whether this call may find out."""
        now = self._clock()
        self._look(now)
        if self._open:
            if not probe or now < self._probe_at:
                raise Unavailable("PostgreSQL does not answer")
            self._probe_at = now + PROBE_SECONDS
        if self._asked_at is None:
            self._asked_at = now

    def answered(self) -> None:
        """The server said something, if only that it refuses a statement."""
        self._failures = 0
        self._asked_at = None
        if self._open:
            self._open = False
            self._show()
            log.info("PostgreSQL answers again")

    def failed(self) -> None:
        """There was no connection, or no answer in time."""
        self._failures += 1
        self._look(self._clock())

    def _look(self, now: float) -> None:
        silent = self._asked_at is not None and now - self._asked_at > SILENCE_SECONDS
        if not self._open and (silent or self._failures >= FAILURES):
            self._open = True
            self._show()
            log.warning("PostgreSQL does not answer; it is asked once a second", extra={"failures": self._failures})

    def _show(self) -> None:
        metrics.breaker_state.labels(NAME).set(OPEN if self._open else CLOSED)
