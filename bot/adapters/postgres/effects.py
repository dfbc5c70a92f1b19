"""Effects whose outcome comes back as an event, and the accounts of what models cost."""

from collections.abc import Sequence

from bot.adapters.postgres.claims import claimed
from bot.adapters.postgres.columns import as_json
from bot.adapters.postgres.pool import Database
from bot.core.ids import EffectId
from bot.ports.effects import ModelCall, OrphanEffect


class PostgresEffects:
    """Fulfils `bot.ports.effects.Effects`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def orphans(self, me: str, limit: int, *, turn: int, since: int | None = None) -> Sequence[OrphanEffect]:
        rows = await claimed(self._database, "effects_orphans", me, limit, turn, since)
        return [
            OrphanEffect(id=EffectId(str(id_)), customer=customer, data_key=data_key or b"", sealed=sealed)
            for id_, customer, data_key, sealed in rows
        ]

    async def account(self, calls: Sequence[ModelCall]) -> None:
        await self._database.fetch("effects_account", as_json(calls))

    async def spent_since(self, at: float) -> float:
        spent: float = (await self._database.fetch("effects_spent", at))[0]["spent"]
        return spent
