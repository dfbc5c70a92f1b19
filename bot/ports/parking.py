"""Conversations set aside, so that one event that cannot be stepped holds up nobody else."""

from typing import Final, Protocol

from bot.core.ids import CustomerId, JournalSeq

STATE: Final = JournalSeq(0)
"""Stands in place of an event: no event is to blame, the stored state cannot be opened."""
KEY: Final = JournalSeq(-1)
"""The same for the customer's key. Nothing of theirs can be opened before the key of the service is back."""

OPERATOR: Final = "operator"
"""Who decided, where nobody is named."""


class Parking(Protocol):
    """Conversations whose event cannot be stepped: they wait for a person, everything else goes on."""

    async def park(self, customer: CustomerId, seq: JournalSeq, error: str, attempts: int, at: float) -> None:
        """A customer is parked once, at the first of the events that were reported: later ones only wait behind it."""
        ...

    async def release(self, parked: int, *, discard: bool, at: float, by: str = OPERATOR) -> CustomerId | None:
        """Let the customer go on, with a line in the audit log. None: no such id.

        `discard` gives up what they were parked for. Of an event that is the event, with the timer or the question it
        came from. Of `STATE` it is the state: the conversation begins anew, and every event that waits is kept. Of
        `KEY` it is nothing.
        """
        ...
