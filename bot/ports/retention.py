"""Removing what has been kept long enough, a page at a time."""

from typing import Literal, Protocol

from bot.ports.record import Record

Kind = Literal[
    "journal",
    "messages",
    "conversations",
    "reports",
    "model_calls",
    "audit",
    "quarantine",
    "effects",
    "flow_versions",
]
"""What leaves by age. Conversations come after messages: one leaves only when none of its messages is left."""

Place = object
"""Where a walk stands; only the adapter knows what it is."""


class Removed(Record, frozen=True, kw_only=True):
    """What one page did: rows removed, and where to go on; `after` is None when nothing older is left to look at."""

    rows: int
    after: Place | None


class Removals(Protocol):
    async def mine(self, me: str) -> bool:
        """Whether removing is this replica's task: one of those that live does it."""
        ...

    async def remove(self, kind: Kind, *, before: float, after: Place | None, limit: int) -> Removed:
        """Look at the next `limit` rows and remove those from before `before` (unix seconds) that nobody needs.

        `after` is None at the beginning of a walk. Short: it waits for no lock, and what is locked leaves another time.
        Journal rows that no commit has consumed and messages that are still to be sent stay, however old they are.
        """
        ...
