"""When customers write: more in the day than at night, more on working days than on Sundays, by Indian time."""

from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Final

DAY: Final = 86_400.0
INDIA: Final = 19_800.0
"""Seconds by which India is ahead of UTC."""
_HOURS: Final = (2, 1, 1, 1, 1, 2, 4, 8, 14, 22, 28, 30, 27, 24, 25, 27, 28, 27, 26, 24, 20, 14, 8, 4)
"""How busy each hour of the day is, from midnight on."""
_WEEKDAYS: Final = (12, 11, 10, 10, 11, 8, 4)
"""How busy each day of the week is, from Monday on."""
_EPOCH_WEEKDAY: Final = 3
"""1 January 1970 was a Thursday."""


def beginnings(chance: Random, count: int, *, now: float, days: int) -> Sequence[float]:
    """`count` moments (unix seconds) of the `days` days before `now`, in order."""
    first = int((now + INDIA) // DAY) - days
    weights = list(accumulate(_WEEKDAYS[(first + day + _EPOCH_WEEKDAY) % 7] for day in range(days + 1)))
    hours = list(accumulate(_HOURS))
    found: list[float] = []
    while len(found) < count:
        day = first + chance.choices(range(days + 1), cum_weights=weights)[0]
        hour = chance.choices(range(24), cum_weights=hours)[0]
        moment = day * DAY + (hour + chance.random()) * 3600 - INDIA
        if now - days * DAY <= moment < now:
            found.append(moment)
    return sorted(found)
