"""How fast each token may ask: a bucket of requests that fills steadily, counted in memory, each replica for itself.

N replicas behind a balancer therefore let a token through up to N times as fast. A count shared by all would cost a
round trip for each request; these bounds protect a replica, they are not a price list.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

BUCKETS_KEPT: Final = 2048
"""Tokens remembered, more than may live at once; the one that asked longest ago is forgotten first."""


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """Where a token stands after a request. `wait` is 0 when the request may pass, else seconds until one may."""

    limit: int
    remaining: int
    reset: int
    wait: int

    def headers(self) -> Mapping[str, str]:
        """The three fields of the IETF draft "RateLimit header fields for HTTP": what is left, and when all is."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


class Rates:
    """A bucket of `burst` requests for each token, filled with `rate` requests a second."""

    def __init__(self, *, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[int, tuple[float, float]] = OrderedDict()

    def take(self, token: int) -> Allowance:
        """One request of `token`; a request that may not pass takes nothing."""
        now = self._clock()
        level, at = self._buckets.get(token, (float(self._burst), now))
        level = min(self._burst, level + (now - at) * self._rate)
        passes = level >= 1
        if passes:
            level -= 1
        self._keep(token, level, now)
        return Allowance(
            limit=self._burst,
            remaining=int(level),
            reset=math.ceil((self._burst - level) / self._rate),
            wait=0 if passes else math.ceil((1 - level) / self._rate),
        )

    def _keep(self, token: int, level: float, now: float) -> None:
        self._buckets[token] = (level, now)
        self._buckets.move_to_end(token)
        if len(self._buckets) > BUCKETS_KEPT:
            self._buckets.popitem(last=False)
