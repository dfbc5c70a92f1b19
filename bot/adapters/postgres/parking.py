"""Customers whose next event cannot be stepped: their rows stay unread until a person decides."""

from bot.adapters.postgres.pool import Database
from bot.core.ids import CustomerId, JournalSeq


class PostgresParking:
    """Fulfils `bot.ports.parking.Parking`. A customer is parked once, however often that is said."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def park(self, customer: CustomerId, seq: JournalSeq, error: str, attempts: int, at: float) -> None:
        await self._database.fetch("parking_park", customer, seq, error, attempts, at)

    async def release(self, parked: int, *, discard: bool, at: float) -> CustomerId | None:
        """With `discard` the event is consumed and the version raised, so no replica goes on with an older state."""
        call = ("parking_discard", parked, at) if discard else ("parking_release", parked)
        rows = await self._database.fetch(*call)
        return rows[0]["user_id"] if rows else None
