"""Bodies of webhooks that were the provider's and could not be used, kept sealed for operators."""

from collections.abc import Sequence
from typing import Final

from bot.adapters.postgres.columns import columns
from bot.adapters.postgres.pool import Database
from bot.ports.quarantine import Quarantined

_BODY: Final = columns("reason", "sealed", "at")


class PostgresQuarantine:
    """Fulfils `bot.ports.quarantine.Quarantine`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, bodies: Sequence[Quarantined]) -> None:
        await self._database.fetch("quarantine_keep", *_BODY(bodies))
