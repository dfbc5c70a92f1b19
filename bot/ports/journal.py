"""The journal: what was accepted, in order, until a commit consumes it (P1, P2, P3)."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from bot.core.ids import CustomerId, JournalSeq
from bot.ports.record import Record


class Entry(Record, frozen=True, kw_only=True):
    """A sealed envelope to journal. `dedup` (16 bytes) names the event: the same event again is not appended."""

    dedup: bytes
    customer: CustomerId
    kind: str
    sealed: bytes
    at: float


class Unread(Record, frozen=True, kw_only=True):
    """A journalled envelope that no commit has consumed."""

    seq: JournalSeq
    dedup: bytes
    sealed: bytes


class Backlog(Record, frozen=True, kw_only=True):
    """Journal rows that wait, parked customers aside, and the age in seconds of the oldest."""

    count: int
    oldest_seconds: float


class Journal(Protocol):
    async def append(self, entries: Sequence[Entry]) -> Sequence[JournalSeq | None]:
        """Durable when it returns. None for an entry that was there already. Numbers rise in the order given.

        Appending the same entries again after `Unavailable` is safe.
        """
        ...

    async def unread(self, customers: Sequence[CustomerId], limit: int) -> Mapping[CustomerId, Sequence[Unread]]:
        """The first `limit` unconsumed rows of each customer in order of acceptance; a parked customer has none."""
        ...

    async def forgotten(self, older_than: float, limit: int) -> Sequence[CustomerId]:
        """Customers with a row that waits since before `older_than` (unix seconds), oldest first, parked ones aside."""
        ...

    async def backlog(self) -> Backlog: ...
