"""Which replicas live, by PostgreSQL's clock: the claims of all others are orphans."""

from bot.adapters.postgres.pool import Database


class PostgresReplicas:
    """Fulfils `bot.ports.replicas.Replicas`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def beat(self, me: str, alive_within: float) -> None:
        await self._database.fetch("replicas_beat", me, alive_within)

    async def leave(self, me: str) -> None:
        await self._database.fetch("replicas_leave", me)
