"""A circuit breaker for calls that await: pybreaker keeps the state, the caller's own clock keeps the time.

`pybreaker.CircuitBreaker.call` runs a plain function under a lock and reads the wall clock, so it can neither surround
an `await` nor be tested without waiting. Here the call happens outside: ask `admit` before it and say afterwards how it
ended. pybreaker counts failures and moves between its states; this class decides when an open circuit may be probed and
lets exactly one probe through. All methods are plain functions, so nothing comes between a question and its answer.
"""

import contextlib
from collections.abc import Callable
from typing import Literal

import pybreaker

BreakerState = Literal["closed", "open", "half_open"]

_STATES: dict[str, BreakerState] = {
    pybreaker.STATE_CLOSED: "closed",
    pybreaker.STATE_OPEN: "open",
    pybreaker.STATE_HALF_OPEN: "half_open",
}


def ignore_change(_name: str, _state: BreakerState) -> None:
    """The callback of a breaker that nobody watches."""


class Breaker:
    """Opens after `fail_max` failures in a row and lets one probe through `reset_timeout` seconds later.

    Every `admit` that answered True must be followed by exactly one of `succeeded`, `failed` and `abandoned`.
    """

    def __init__(
        self,
        name: str,
        *,
        fail_max: int,
        reset_timeout: float,
        clock: Callable[[], float],
        on_change: Callable[[str, BreakerState], None] = ignore_change,
    ) -> None:
        self.name = name
        self._clock = clock
        self._reset_timeout = reset_timeout
        self._opens_for = reset_timeout
        self._until = 0.0
        self._probing = False
        self._on_change = on_change
        self._seen: BreakerState = "closed"
        self._machine = pybreaker.CircuitBreaker(fail_max=fail_max, name=name, throw_new_error_on_trip=False)

    @property
    def state(self) -> BreakerState:
        """`half_open` from the moment a probe is due, whether or not somebody has asked for it yet."""
        if self._seen == "open" and self._clock() >= self._until:
            self._machine.half_open()
            self._note_change()
        return self._seen

    def seconds_until_probe(self) -> float:
        """How long an open circuit stays shut; 0 when a call may be tried (a probe may be under way, though)."""
        return max(0.0, self._until - self._clock()) if self.state == "open" else 0.0

    def admit(self) -> bool:
        """Whether a call may be made now. In `half_open` only one caller hears True until its outcome is told."""
        state = self.state
        if state != "half_open":
            return state == "closed"
        if self._probing:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """The call proved that the other side works. One that began before the circuit opened proves nothing."""
        if self._seen == "closed" and not self._machine.fail_counter:
            return  # the usual case: nothing to forget
        if self.state != "open":
            self._machine.call(_nothing)
            self._note_change()

    def failed(self, *, open_for: float | None = None) -> None:
        """The call proved that it does not. `open_for` seconds (a `Retry-After`) opens the circuit at once."""
        if open_for is not None:
            self._open_now(open_for)
        elif self.state != "open":
            with contextlib.suppress(_CallFailed):
                self._machine.call(_fail)
            self._note_change()

    def abandoned(self) -> None:
        """The call ended without saying anything about the other side (cancelled, refused for its content)."""
        self._probing = False

    def _open_now(self, seconds: float) -> None:
        if self.state == "open":
            self._until = max(self._until, self._clock() + seconds)
            return
        self._opens_for = seconds
        self._machine.open()
        self._note_change()

    def _note_change(self) -> None:
        state = _STATES[self._machine.current_state]
        if state == self._seen:
            return
        self._seen, self._probing = state, False
        if state == "open":
            self._until, self._opens_for = self._clock() + self._opens_for, self._reset_timeout
        self._on_change(self.name, state)


class _CallFailed(Exception):
    """Tells pybreaker of a failure that happened outside of it."""


def _nothing() -> None:
    """A call that works."""


def _fail() -> None:
    raise _CallFailed
