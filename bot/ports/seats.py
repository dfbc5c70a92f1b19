"""Seats: which replica holds a conversation, and its snapshot (P7)."""

from collections.abc import Sequence
from typing import Protocol

from bot.core.ids import CustomerId
from bot.ports.record import Record
from bot.ports.store import Loaded


class Seat(Record, frozen=True, kw_only=True):
    """The answer to a take. With `granted` the lease is ours and the snapshot, if there was one, comes along."""

    granted: bool
    owner: str = ""
    snapshot: Loaded | None = None


class Keep(Record, frozen=True, kw_only=True):
    customer: CustomerId
    loaded: Loaded


class Seats(Protocol):
    """Leases with snapshots. They are speed only: whatever they say, the version in the store decides."""

    async def take(self, customers: Sequence[CustomerId]) -> Sequence[Seat]: ...

    async def keep(self, keeps: Sequence[Keep]) -> None: ...

    async def leave(self, customers: Sequence[CustomerId]) -> None: ...

    async def forget(self, customers: Sequence[CustomerId]) -> None:
        """Take the seats away, whoever has them, with their snapshots."""
        ...
