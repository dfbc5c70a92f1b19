"""What the alarms look at: customers without an answer, and everything that waits; and what is counted once for all."""

from typing import Final

from bot.adapters.postgres.pool import Database
from bot.ports.journal import Backlog

SETTLE_SECONDS: Final = 15.0
"""Seconds between looks for a day whose messages can be counted for good; each counts one day."""
SETTLED_DAYS: Final = 8
"""Days until then: whoever reads a message later than that is not counted as having read it."""


class PostgresWatch:
    """Counts for metrics. Each is one statement whose cost goes with what waits or was heard within a day."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unanswered(self, older_than: float, *, at_most_old: float = 0.0) -> int:
        """Customers whose last message, from before `older_than` (unix seconds), has had nothing.

        That is neither an accepted reply nor a hand-over nor a decision not to reply. A count that another replica made
        within the last `at_most_old` seconds is good enough.
        """
        return await self._count("watch_unanswered", older_than, at_most_old)

    async def settle_day(self) -> None:
        """Count the messages of the latest day (UTC) for good that is past `SETTLED_DAYS` and not counted yet."""
        await self._database.fetch("stats_settle", SETTLED_DAYS)

    async def parked(self) -> int:
        """Parked customers."""
        return await self._count("watch_parked")

    async def backlog(self) -> Backlog:
        """Journal rows that no commit has consumed, parked customers aside."""
        return await self._waiting("journal_backlog")

    async def timers_late(self) -> float:
        """Seconds since the longest due timer should have fired, parked customers aside; 0 when none is due."""
        (row,) = await self._database.fetch("watch_timers")
        late: float = row["late_seconds"]
        return late

    async def outbox(self) -> Backlog:
        """Messages that wait to be sent, of all replicas."""
        return await self._waiting("watch_outbox")

    async def _count(self, name: str, *arguments: float) -> int:
        count: int = (await self._database.fetch(name, *arguments))[0]["count"]
        return count

    async def _waiting(self, name: str) -> Backlog:
        (row,) = await self._database.fetch(name)
        return Backlog(count=row["count"], oldest_seconds=row["oldest_seconds"])
