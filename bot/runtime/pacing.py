"""How fast one recipient may be written to: a burst, then one message per interval (Meta's pair rate).

The generic cell rate algorithm: one number per recipient, the time at which the bucket is full again. Recipients with a
full bucket are forgotten.
"""

import msgspec

PRUNE_AT = 10_000
"""Recipients remembered before those with a full bucket are looked for."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """`rate`: messages per second of our number. `give_up`: seconds after which a message has failed. `parcels`: held
    in memory at the most; what is more waits in the store. `workers`: sends under way at once.
    """

    rate: float
    burst: int
    interval: float
    give_up: float
    parcels: int
    workers: int


class Pacing:
    def __init__(self, *, burst: int, interval: float) -> None:
        """`burst`: messages at once; `interval`: seconds per message after that."""
        self._interval = interval
        self._credit = (burst - 1) * interval
        self._full_at: dict[str, float] = {}
        self._prune_at = PRUNE_AT

    def wait(self, recipient: str, now: float) -> float:
        """Seconds until the next message may go to `recipient`; 0: it may go now."""
        full_at = self._full_at.get(recipient)
        if full_at is None:
            return 0.0
        return max(0.0, full_at - self._credit - now)

    def used(self, recipient: str, now: float) -> None:
        """One message goes to `recipient`."""
        full_at = self._full_at.get(recipient, now)
        self._full_at[recipient] = max(full_at, now) + self._interval
        if len(self._full_at) > self._prune_at:
            self._prune(now)

    def _prune(self, now: float) -> None:
        self._full_at = {recipient: full_at for recipient, full_at in self._full_at.items() if full_at > now}
        self._prune_at = max(PRUNE_AT, 2 * len(self._full_at))
