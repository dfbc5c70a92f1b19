"""A schema that changes under connections that serve: their prepared statements and cached plans are of before it."""

import asyncpg
import pytest

from bot.adapters.postgres.pool import Database, connect
from bot.ports.failures import Unavailable

ALL = "select * from keyring"
CHANGES = {
    "a column more": "alter table keyring add column extra int not null default 7",
    "a column less": "alter table keyring drop column wrapped",
    "another type": "alter table keyring alter column wrapped type text using 'changed'",
    "another name": "alter table keyring rename column wrapped to sealed",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_statement_survives_a_change_of_what_it_answers(database_url: str, change: str) -> None:
    """On every connection of the pool, also on those that come to it later."""
    async with await connect(database_url, size=3) as pool:
        database = Database(pool, {"all": ALL, "change": change})
        await pool.execute("insert into keyring values ('one', 'x')")
        await _on_each(pool, 3)
        await database.fetch("change")
        for _ in range(4):
            (row,) = await database.fetch("all")
            assert row["name"] == "one"
        await _on_each(pool, 3)


async def _on_each(pool: asyncpg.Pool, size: int) -> None:
    """Prepare the statement on every connection."""
    held = [await pool.acquire() for _ in range(size)]
    for connection in held:
        assert len(await connection.fetch(ALL)) == 1
    for connection in held:
        await pool.release(connection)


async def test_a_transaction_that_meets_the_change_is_unavailable_once(database_url: str) -> None:
    """Its first half may have been decided on before the change: whoever began it begins again."""
    async with await connect(database_url, size=1) as pool:
        database = Database(pool, {"all": ALL, "change": CHANGES["a column more"]})
        await database.fetch("all")
        await database.fetch("change")
        with pytest.raises(Unavailable, match="cached statement plan"):
            async with database.transaction() as session:
                await session.fetch("all")
        async with database.transaction() as session:
            assert await session.fetch("all") == []


async def test_a_change_that_a_statement_does_not_fit_is_unavailable_and_the_others_go_on(database_url: str) -> None:
    async with await connect(database_url, size=1) as pool:
        database = Database(pool, {"wrapped": "select wrapped from keyring", "names": "select name from keyring"})
        await database.fetch("wrapped")
        await pool.execute(CHANGES["a column less"])
        with pytest.raises(Unavailable, match="wrapped"):
            await database.fetch("wrapped")
        assert await database.fetch("names") == []


async def test_composite_rows_of_before_are_unavailable_once(database_url: str) -> None:
    """The driver keeps how a composite type is laid out."""
    async with await connect(database_url, size=1) as pool:
        database = Database(pool, {"rows": "select keyring from keyring", "change": CHANGES["a column more"]})
        await pool.execute("insert into keyring values ('one', 'x')")
        await database.fetch("rows")
        await database.fetch("change")
        with pytest.raises(Unavailable):
            await database.fetch("rows")
        ((row,),) = await database.fetch("rows")
        assert row["extra"] == 7
