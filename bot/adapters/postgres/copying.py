"""Many rows at once, over PostgreSQL's COPY: all of them or none."""

from collections.abc import Iterable, Sequence
from typing import Any

from bot.adapters.postgres.pool import Database

Table = tuple[str, Sequence[str], Sequence[tuple[Any, ...]]]
"""Name, columns, rows."""


class PostgresCopying:
    """For filling an empty database; the service itself never writes this way."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def customers(self) -> int:
        """How many there are, up to a thousand."""
        count: int = (await self._database.fetch("seed_customers"))[0]["count"]
        return count

    async def free_customers(self, count: int) -> Sequence[int]:
        """Numbers for so many new customers, which nobody else gets."""
        return [row["id"] for row in await self._database.fetch("seed_reserve", count)]

    async def copy(self, tables: Iterable[Table], *, timeout_s: float) -> None:
        """Write everything in one transaction. Raises `Unacceptable` when a row is there already, and `Unavailable`."""
        async with self._database.acquire() as connection, connection.transaction():
            for name, columns, rows in tables:
                await connection.copy_records_to_table(name, columns=columns, records=rows, timeout=timeout_s)

    async def recount(self) -> None:
        """Forget what was counted for good of days that have more messages now, and look at the tables anew."""
        await self._database.fetch("seed_recount")
