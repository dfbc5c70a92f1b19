"""Due timers. A timer is a row until the step that heard of it commits, so none is lost with its replica."""

from collections.abc import Sequence

from bot.adapters.postgres.pool import Database
from bot.core.ids import TimerId
from bot.ports.timers import DueTimer


class PostgresTimers:
    """Fulfils `bot.ports.timers.Timers`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, until: float, limit: int) -> Sequence[DueTimer]:
        rows = await self._database.fetch("timers_due", until, limit)
        return [DueTimer(id=TimerId(str(id_)), customer=customer, kind=kind) for id_, customer, kind in rows]
