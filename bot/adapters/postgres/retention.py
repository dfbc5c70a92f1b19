"""What leaves by age, in pages along an index: no long lock, no scan of a table, nothing waits for anything.

Most tables need no index for it. Ids are UUIDs of version 7 or numbers that rise, so the oldest rows are the first of
the primary key, and a page begins where the one before it ended.
"""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from bot.adapters.postgres.pool import Database
from bot.ports.retention import Kind, Place, Removed

_ID_TIME_SHIFT: Final = 80
"""Bits of a UUID of version 7 behind its milliseconds."""
_BY_UUID: Final = frozenset({"messages", "conversations", "model_calls", "effects"})
_FIRST: Final = {"journal": 0, "audit": 0, "quarantine": 0, "reports": datetime.fromtimestamp(0, UTC)}
_AT_ONCE: Final = frozenset({"flow_versions"})
"""Small tables: all that is old leaves with the first page."""


class PostgresRemovals:
    """Fulfils `bot.ports.retention.Removals`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def mine(self, me: str) -> bool:
        """The living replica whose name comes first does it: so there is no claim that could be left behind."""
        return bool((await self._database.fetch("retention_mine", me))[0]["mine"])

    async def remove(self, kind: Kind, *, before: float, after: Place | None, limit: int) -> Removed:
        name = f"retention_{kind}"
        if kind in _AT_ONCE:
            (row,) = await self._database.fetch(name, before)
            return Removed(rows=row["removed"], after=None)
        bounds: tuple[Any, ...] = (_first_id(before),) if kind in _BY_UUID else ()
        start = after if after is not None else _FIRST.get(kind, UUID(int=0))
        (row,) = await self._database.fetch(name, start, *bounds, before, limit)
        return Removed(rows=row["removed"], after=row["last"] if row["looked"] == limit else None)

    async def forget_answers(self, seconds: float, limit: int) -> int:
        """Remove remembered answers of the API older than `seconds`, so many at most; how many there were."""
        return len(await self._database.fetch("idempotency_forget", seconds, limit))


def _first_id(at: float) -> UUID:
    """The lowest id a row of this moment can have."""
    return UUID(int=max(0, int(at * 1000)) << _ID_TIME_SHIFT)
