"""What became of events, from the journal as long as it has them and from the messages they made."""

from collections.abc import Mapping, Sequence

from bot.adapters.postgres.pool import Database
from bot.core.ids import MessageId


class PostgresPast:
    """Fulfils `bot.ports.past.Past`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def events(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        return dict(await self._database.fetch("past_events", keys))

    async def messages(self, ids: Sequence[MessageId]) -> Sequence[MessageId]:
        rows = await self._database.fetch("past_messages", ids)
        return [MessageId(str(row["id"])) for row in rows]
