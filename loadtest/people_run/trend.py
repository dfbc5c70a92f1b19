"""Whether a number grows: a straight line through what was looked at, with the error of its slope. Pure."""

import math
from collections.abc import Sequence
from typing import Final

import msgspec

SETTLING: Final = 1 / 3
"""Share of a run in which caches fill; the line goes through what comes after."""
BLOCKS: Final = 40
"""Looks that follow each other resemble each other, and would make the error look small. So neighbours are averaged,
and the line goes through at most so many averages.
"""
LEAST_POINTS: Final = 3
"""Averages without which nothing is known."""
SIGNIFICANT: Final = 2.0
"""Errors by which a slope must be above zero to be growth."""


class Trend(msgspec.Struct, frozen=True):
    """Units a minute, with the standard error, through `points` averages."""

    slope: float
    error: float
    points: int

    def grows(self, bound: float) -> bool:
        """Whether it is faster than `bound` units a minute, and not by chance."""
        return self.slope > bound and self.slope > SIGNIFICANT * self.error


def settled(looks: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The looks (seconds, value) of the last two thirds of the time."""
    if not looks:
        return []
    first, last = looks[0][0], looks[-1][0]
    return [look for look in looks if look[0] >= first + SETTLING * (last - first)]


def trend(looks: Sequence[tuple[float, float]]) -> Trend:
    """The line of least squares through looks of (seconds, value); nothing is known of fewer than three averages."""
    points = _averaged(looks)
    if len(points) < LEAST_POINTS:
        return Trend(0.0, math.inf, len(points))
    middle = sum(at for at, _ in points) / len(points)
    mean = sum(value for _, value in points) / len(points)
    width = sum((at - middle) ** 2 for at, _ in points)
    if not width:
        return Trend(0.0, math.inf, len(points))
    slope = sum((at - middle) * (value - mean) for at, value in points) / width
    rest = sum((value - mean - slope * (at - middle)) ** 2 for at, value in points)
    error = math.sqrt(rest / (len(points) - 2) / width)
    return Trend(slope * 60, error * 60, len(points))


def _averaged(looks: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    size = max(1, -(-len(looks) // BLOCKS))
    groups = [looks[start : start + size] for start in range(0, len(looks), size)]
    return [
        (sum(at for at, _ in group) / len(group), sum(value for _, value in group) / len(group)) for group in groups
    ]
