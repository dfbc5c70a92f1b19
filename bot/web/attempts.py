"""Failed attempts to get in, by address: counted in memory, within bounds, each replica for itself."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

FAILURES_ALLOWED = 10
"""Failed attempts of one address within one window."""
FAILURE_WINDOW = 60.0
"""Seconds from the first failure until an address starts anew."""
ADDRESSES_KEPT = 4096
"""Addresses remembered; the one whose window began longest ago is forgotten first."""


class Attempts:
    """Failed attempts by address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def seconds_to_wait(self, address: str) -> int:
        """0 when `address` may try, else the whole seconds after which it may again."""
        began, failures = self._windows.get(address, (0.0, 0))
        left = began + FAILURE_WINDOW - self._clock()
        return math.ceil(left) if failures >= FAILURES_ALLOWED and left > 0 else 0

    def failed(self, address: str) -> None:
        began, failures = self._windows.get(address, (self._clock(), 0))
        if self._clock() - began >= FAILURE_WINDOW:
            self._windows.pop(address)
            began, failures = self._clock(), 0
        self._windows[address] = (began, failures + 1)
        if len(self._windows) > ADDRESSES_KEPT:
            self._windows.popitem(last=False)
