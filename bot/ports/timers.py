"""Timers that are due."""

from collections.abc import Sequence
from typing import Protocol

from bot.core.ids import CustomerId, TimerId
from bot.ports.record import Record


class DueTimer(Record, frozen=True, kw_only=True):
    id: TimerId
    customer: CustomerId
    kind: str


class Timers(Protocol):
    async def due(self, until: float, limit: int) -> Sequence[DueTimer]:
        """Timers due at `until`, earliest first. They stay until the step that heard of them commits.

        Left out are parked customers, and those in whose journal a fired timer waits to be applied: it may be this one.
        """
        ...
