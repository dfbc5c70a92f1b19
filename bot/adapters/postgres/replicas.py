"""Which replicas live, by PostgreSQL's clock: the claims of all others are orphans."""

from collections.abc import Sequence

from bot.adapters.postgres.pool import Database


class PostgresReplicas:
    """Fulfils `bot.ports.replicas.Replicas`."""

    def __init__(self, database: Database, newest_migration: str = "") -> None:
        """`newest_migration`: the last one this release knows, told with every beat; later `post` ones wait for us."""
        self._database = database
        self._newest_migration = newest_migration

    async def beat(self, me: str, alive_within: float) -> None:
        await self._database.fetch("replicas_beat", me, alive_within, self._newest_migration)

    async def leave(self, me: str) -> None:
        await self._database.fetch("replicas_leave", me)

    async def others(self, me: str) -> Sequence[str]:
        return [row["id"] for row in await self._database.fetch("replicas_others", me)]
