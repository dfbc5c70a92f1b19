"""What the alarms look at: customers without an answer, and everything that waits."""

from bot.adapters.postgres.pool import Database
from bot.ports.journal import Backlog


class PostgresWatch:
    """Counts for metrics. Each is one statement whose cost goes with what waits or was heard within a day."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unanswered(self, older_than: float) -> int:
        """Customers whose last message, from before `older_than` (unix seconds), has had nothing.

        That is neither an accepted reply nor a hand-over nor a decision not to reply.
        """
        return await self._count("watch_unanswered", older_than)

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
