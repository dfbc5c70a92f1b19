"""The journal in PostgreSQL: every accepted event, durable before it is answered (P1), once (P2), in order (P3)."""

from collections.abc import Mapping, Sequence
from typing import Final

from bot.adapters.postgres.columns import columns
from bot.adapters.postgres.pool import Database
from bot.core.ids import CustomerId, JournalSeq
from bot.ports.journal import Backlog, Entry, Unread

append_arguments: Final = columns("dedup", "customer", "kind", "sealed", "at")
"""Entries as the statement `journal_append` takes them."""


class PostgresJournal:
    """Fulfils `bot.ports.journal.Journal`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, entries: Sequence[Entry]) -> Sequence[JournalSeq | None]:
        """One statement; a second only when some were there already, to tell our own lost first try from others'."""
        rows = await self._database.fetch("journal_append", *append_arguments(entries))
        if len(rows) == len(entries):
            return [row["seq"] for row in rows]
        appended: dict[bytes, JournalSeq] = dict(rows)
        numbers = [appended.pop(entry.dedup, None) for entry in entries]
        given = set(numbers)
        for n, seq in await self._mine(entries, numbers):
            if seq not in given:
                numbers[n] = seq
                given.add(seq)
        return numbers

    async def _mine(
        self, entries: Sequence[Entry], numbers: Sequence[JournalSeq | None]
    ) -> Sequence[tuple[int, JournalSeq]]:
        absent = [n for n, seq in enumerate(numbers) if seq is None]
        rows = await self._database.fetch(
            "journal_mine", [entries[n].dedup for n in absent], [entries[n].sealed for n in absent]
        )
        return [(absent[row["n"] - 1], row["seq"]) for row in rows]

    async def unread(self, customers: Sequence[CustomerId], limit: int) -> Mapping[CustomerId, Sequence[Unread]]:
        found: dict[CustomerId, list[Unread]] = {customer: [] for customer in customers}
        for user_id, seq, dedup, sealed in await self._database.fetch("journal_unread", customers, limit):
            found[user_id].append(Unread(seq=seq, dedup=dedup, sealed=sealed))
        return found

    async def forgotten(self, older_than: float, limit: int) -> Sequence[CustomerId]:
        """Rows that a merge overtook are handed to the customer that is left before anything is counted."""
        await self._database.fetch("journal_adopt")
        return [row["user_id"] for row in await self._database.fetch("journal_forgotten", older_than, limit)]

    async def backlog(self) -> Backlog:
        (row,) = await self._database.fetch("journal_backlog")
        return Backlog(count=row["count"], oldest_seconds=row["oldest_seconds"])
