"""Who may use the API: whoever sends the token, unless their address failed too often a moment ago.

The comparison takes the same time for every wrong token. Failures are counted in memory, by address, within bounds; a
replica counts for itself. An address over its bound is refused before its token is looked at, so guessing is slow even
for the one guess that is right. Behind a proxy all callers share its address unless the proxy's header is believed.
"""

import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from bot.web.errors import Refused

FAILURES_ALLOWED = 10
"""Failed attempts of one address within one window."""
FAILURE_WINDOW = 60.0
"""Seconds from the first failure until an address starts anew."""
ADDRESSES_KEPT = 4096
"""Addresses remembered; the one whose window began longest ago is forgotten first."""
_SCHEME = "bearer"


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


def admit(authorization: str, token: str, address: str, attempts: Attempts) -> None:
    """Return when the header carries the token; raise `Refused` 401, 429, or 503 when there is no token to compare."""
    if not token:
        raise Refused(503, "The API is closed: set ADMIN_TOKEN and start the service again.")
    wait = attempts.seconds_to_wait(address)
    if wait:
        raise Refused(429, headers={"Retry-After": str(wait)})
    scheme, _, given = authorization.partition(" ")
    right = hmac.compare_digest(given.strip().encode(errors="surrogateescape"), token.encode())
    if scheme.lower() == _SCHEME and right:
        return
    attempts.failed(address)
    raise Refused(401, headers={"WWW-Authenticate": 'Bearer realm="api"'})
