"""The sources of flow versions, so that a conversation ends on the version it began with."""

from collections.abc import Sequence

from bot.adapters.postgres.pool import Database


class PostgresFlowVersions:
    """Fulfils `bot.ports.flow_versions.FlowVersions`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, flows: Sequence[tuple[str, str, int, str]]) -> None:
        if flows:
            await self._database.fetch("flow_versions_keep", *map(list, zip(*flows, strict=True)))

    async def source(self, digest: str) -> str | None:
        rows = await self._database.fetch("flow_versions_source", digest)
        return rows[0]["source"] if rows else None
