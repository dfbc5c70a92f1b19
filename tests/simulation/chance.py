"""Everything that is drawn comes from the seed: one stream for each purpose, so that one does not disturb another."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Chance(random.Random):
    """A stream with the draws a simulation needs."""

    def happens(self, probability: float) -> bool:
        return self.random() < probability

    def soon(self, mean: float) -> float:
        """Seconds until the next of many independent events."""
        return self.expovariate(1.0 / mean)

    def heavy(self, typical: float) -> float:
        """Seconds that are mostly near `typical` and now and then many times as long."""
        draw = self.random()
        return typical * (0.3 + 3.0 * draw**3) * (20.0 if draw > 0.99 else 1.0)

    def some(self, things: Sequence[T], share: float) -> list[T]:
        """Each of `things` with the probability `share`, in their order."""
        return [thing for thing in things if self.random() < share]


def stream(seed: int, purpose: str) -> Chance:
    """The same seed and purpose give the same stream on any machine."""
    return Chance(f"{seed}:{purpose}")
