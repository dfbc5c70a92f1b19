"""Which fault happens when: a pure function of a seed, so that a run can be repeated.

In the first half one fault comes at a time, and the next when the one before is no longer felt: that half says what
each kind does. In the second half two tracks run beside each other, one for the replicas and one for what they stand
on. Kinds are dealt from a shuffled deck, so a run that is long enough has all of them in both halves. What may take
Redis's data is on the same track as what takes PostgreSQL away: the two never happen together.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

REPLICA_KINDS: Final = ("kill", "terminate", "pause", "kill-all", "roll")
STORE_KINDS: Final = (
    "redis-kill",
    "redis-lost",
    "redis-flush",
    "redis-pause",
    "postgres-kill",
    "postgres-pause",
    "postgres-restart",
    "stores-away",
    "provider-down",
)
KINDS: Final = REPLICA_KINDS + STORE_KINDS
QUIET_START: Final = 3.0
"""Seconds of each half before its first fault."""
GAPS: Final = {"replicas": (2.0, 8.0), "stores": (4.0, 12.0)}
"""Seconds between the end of a fault and the next one of its track, at least and at most."""
GAP_ALONE: Final = (1.0, 4.0)
"""Seconds that faults of the first half have between them beyond a lease."""
SETTLING: Final = {"kill": 2.0, "terminate": 4.0, "kill-all": 4.0, "roll": 15.0}
"""Seconds that a fault takes beyond the time it was given: processes have to start, or to end."""

Length = Callable[[random.Random, float], float]


class Fault(msgspec.Struct, frozen=True):
    """`at`: seconds after the start. `seconds`: from there until it is healed. `target`: the replica, where one is
    meant.
    """

    kind: str
    at: float
    seconds: float
    target: int = 0


def _leases(least: float, most: float) -> Length:
    return lambda chance, lease: chance.uniform(least, most) * lease


def _seconds(least: float, most: float) -> Length:
    return lambda chance, _lease: chance.uniform(least, most)


LENGTHS: Final[dict[str, Length]] = {
    "kill": _leases(0.2, 2.0),
    "terminate": _seconds(0.5, 3.0),
    "pause": _leases(0.5, 3.0),
    "kill-all": _seconds(0.2, 4.0),
    "roll": _seconds(0.0, 1.0),
    "redis-kill": _seconds(0.2, 5.0),
    "redis-lost": _seconds(0.2, 5.0),
    "redis-flush": _seconds(0.0, 0.1),
    "redis-pause": _seconds(0.5, 8.0),
    "postgres-kill": _seconds(0.2, 8.0),
    "postgres-pause": _seconds(0.5, 15.0),
    "postgres-restart": _seconds(0.0, 3.0),
    "stores-away": _seconds(2.0, 6.0),
    "provider-down": _seconds(2.0, 8.0),
}


def planned(*, seed: int, seconds: float, replicas: int, lease: float, only: Sequence[str] = ()) -> list[Fault]:
    """The faults of a run of `seconds`, in order of time. All are healed before the run ends."""
    wanted = [kind for kind in KINDS if kind in only or not only]

    def dealt(name: str, kinds: Sequence[str], gap: tuple[float, float], since: float, until: float) -> list[Fault]:
        deck = [kind for kind in kinds if kind in wanted]
        return _dealt(random.Random(f"{seed} {name}"), deck, gap, since, until, replicas, lease) if deck else []

    middle, (least, most) = seconds / 2, GAP_ALONE
    faults = dealt("alone", KINDS, (lease + least, lease + most), 0.0, middle)
    faults += dealt("replicas", REPLICA_KINDS, GAPS["replicas"], middle, seconds)
    faults += dealt("stores", STORE_KINDS, GAPS["stores"], middle, seconds)
    return sorted(faults, key=lambda fault: fault.at)


def track_of(fault: Fault) -> str:
    return "replicas" if fault.kind in REPLICA_KINDS else "stores"


def _dealt(
    chance: random.Random,
    kinds: Sequence[str],
    gap: tuple[float, float],
    since: float,
    until: float,
    replicas: int,
    lease: float,
) -> list[Fault]:
    faults: list[Fault] = []
    deck: list[str] = []
    at = since + QUIET_START + chance.uniform(0, gap[0])
    while True:
        deck = deck or chance.sample(kinds, len(kinds))
        kind = deck.pop()
        fault = Fault(kind, round(at, 2), round(LENGTHS[kind](chance, lease), 2), chance.randrange(replicas))
        end = at + fault.seconds + SETTLING.get(kind, 0.0)
        if end > until:
            return faults
        faults.append(fault)
        at = end + chance.uniform(*gap)
