"""Conversations set aside, so that one event that cannot be stepped holds up nobody else."""

from typing import Protocol

from bot.core.ids import CustomerId, JournalSeq


class Parking(Protocol):
    """Conversations whose event cannot be stepped: they wait for a person, everything else goes on."""

    async def park(self, customer: CustomerId, seq: JournalSeq, error: str, attempts: int, at: float) -> None: ...

    async def release(self, parked: int, *, discard: bool, at: float) -> CustomerId | None:
        """Let the customer go on; `discard` gives the event up, with a line in the audit log. None: no such id."""
        ...
