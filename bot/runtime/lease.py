"""How `LEASE_SECONDS` is shared out, so that within it another replica goes on with what a dead one had (P6).

Seats and heartbeats hold for a share of it only. The rest is for whoever goes on: until an event counts as forgotten,
until the next round of the sweep comes by, and until the work is done. At the default of 10 seconds that is 6 + 2 + 1
and 1 second to work.
"""

from typing import Final

HELD_SHARE: Final = 0.6
"""Share of the lease for which a seat or a heartbeat holds without a new sign of life."""
FORGOTTEN_SHARE: Final = 0.2
FORGOTTEN_MOST: Final = 2.0
"""Seconds an accepted event may wait unconsumed, at the most, before every sweep tells of it."""
ROUND_SHARE: Final = 0.1
ROUND_MOST: Final = 1.0
"""Seconds between two rounds of the sweep at the most."""


def held_seconds(lease_seconds: float) -> float:
    """For how long a seat or a heartbeat holds."""
    return HELD_SHARE * lease_seconds


def forgotten_seconds(lease_seconds: float) -> float:
    """After which an accepted event that no commit has consumed counts as forgotten."""
    return min(FORGOTTEN_MOST, FORGOTTEN_SHARE * lease_seconds)


def round_seconds(lease_seconds: float) -> float:
    """From the end of a round of the sweep to the beginning of the next."""
    return min(ROUND_MOST, ROUND_SHARE * lease_seconds)
