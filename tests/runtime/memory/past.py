"""Fulfils `bot.ports.past.Past` in memory."""

from collections.abc import Mapping, Sequence

from bot.core.ids import MessageId
from tests.runtime.memory.link import Link
from tests.runtime.memory.tables import Tables


class MemoryPast:
    def __init__(self, tables: Tables, link: Link) -> None:
        self._tables = tables
        self._link = link

    async def events(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        def work() -> dict[bytes, bytes]:
            rows = [row for row in self._tables.journal.values() if row.dedup in set(keys)]
            return {row.dedup: row.sealed for row in rows if row.consumed_at is not None}

        return await self._link.call("past.events", work)

    async def messages(self, ids: Sequence[MessageId]) -> Sequence[MessageId]:
        return await self._link.call(
            "past.messages", lambda: [one.row.id for one in self._tables.outbound() if one.row.id in set(ids)]
        )
