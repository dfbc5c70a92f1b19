"""The guard of the order: nobody commits past a row that waits."""

import asyncpg
import pytest

from bot.adapters.postgres.journal import PostgresJournal
from bot.adapters.postgres.pool import Database
from bot.adapters.postgres.store import PostgresStore
from bot.core.ids import JournalSeq
from bot.ports.store import AuditRow
from tests.adapters.rows import AT, entry, new_customer, write

RARE = (AuditRow(action="a", by="b", at=AT, detail="d"),)


@pytest.mark.parametrize("audit", [(), RARE], ids=["usual", "rare"])
async def test_a_write_that_overlooks_an_earlier_row_is_refused(
    database: Database, pool: asyncpg.Pool, audit: tuple[AuditRow, ...]
) -> None:
    store, journal = PostgresStore(database), PostgresJournal(database)
    anna, boris = await new_customer(pool), await new_customer(pool)
    first, other, second = [
        JournalSeq(seq or 0) for seq in await journal.append([entry(one) for one in (anna, boris, anna)])
    ]
    assert await store.commit([write(anna, second, audit=audit), write(boris, other, audit=audit)]) == [False, True]
    assert await store.commit([write(anna, first, second, audit=audit)]) == [True]
