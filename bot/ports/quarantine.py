"""Callbacks that nobody could read, kept for operators."""

from collections.abc import Sequence
from typing import Protocol

from bot.ports.record import Record


class Quarantined(Record, frozen=True, kw_only=True):
    reason: str
    sealed: bytes
    at: float


class Quarantine(Protocol):
    async def keep(self, bodies: Sequence[Quarantined]) -> None:
        """Durable when it returns."""
        ...
