import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from bot.adapters.postgres.migrations import Migration, MigrationError, load_migrations, migrate, pending
from bot.adapters.postgres.pool import connect
from bot.adapters.postgres.queries import load_queries
from tests.conftest import SQL_DIR, Servers

QUERIES = load_queries(SQL_DIR)
FIRST = Migration(name="0001_pre_first", checksum="c1", sql="create table first (id int)")
SECOND = Migration(name="0002_post_second", checksum="c2", sql="create table second (id int); select 1")
BROKEN = Migration(name="0003_pre_broken", checksum="c3", sql="create table third (id int); select 1/0")

CATALOG = """
select 'column', table_name, column_name, data_type || udt_name || is_nullable || coalesce(column_default, '')
  || coalesce(identity_generation, '') from information_schema.columns where table_schema = 'public'
union all
select 'storage', c.relname, a.attname, a.attstorage::text from pg_attribute a join pg_class c on c.oid = a.attrelid
  where c.relnamespace = 'public'::regnamespace and a.attnum > 0
union all
select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
  where connamespace = 'public'::regnamespace
union all
select 'index', tablename, indexname, indexdef from pg_indexes where schemaname = 'public'
union all
select 'function', proname, '', pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
union all
select 'table', relname, relkind::text, array_to_string(reloptions, ',') from pg_class
  where relnamespace = 'public'::regnamespace
union all
select 'comment', objoid::regclass::text, objsubid::text, description from pg_description
  where classoid = 'pg_class'::regclass and objoid in (
    select oid from pg_class where relnamespace = 'public'::regnamespace)
order by 1, 2, 3, 4
"""


@pytest.fixture
async def empty(servers: Servers) -> AsyncIterator[asyncpg.Pool]:
    url = servers.new_database(template="template1")
    async with await connect(url, size=4) as pool:
        yield pool
    servers.drop(url)


async def test_the_readable_schema_is_what_the_migrations_make(pool: asyncpg.Pool, empty: asyncpg.Pool) -> None:
    await empty.execute((SQL_DIR / "schema.sql").read_text())
    migrated, read = await pool.fetch(CATALOG), await empty.fetch(CATALOG)
    assert [tuple(row) for row in read] == [tuple(row) for row in migrated]
    assert len(read) > 100


async def test_what_is_pending_is_applied_in_order_and_once(empty: asyncpg.Pool) -> None:
    migrations = [FIRST, SECOND]
    assert await pending(empty, QUERIES, migrations) == ["0001_pre_first", "0002_post_second"]
    assert await migrate(empty, QUERIES, migrations[:1]) == ["0001_pre_first"]
    assert await pending(empty, QUERIES, migrations) == ["0002_post_second"]
    assert await migrate(empty, QUERIES, migrations) == ["0002_post_second"]
    assert await migrate(empty, QUERIES, migrations) == []
    assert await empty.fetchval("select count(*) from second") == 0


async def test_a_broken_migration_leaves_nothing_behind_and_those_before_it_stay(empty: asyncpg.Pool) -> None:
    with pytest.raises(MigrationError, match="0003_pre_broken could not be applied: division by zero"):
        await migrate(empty, QUERIES, [FIRST, BROKEN])
    assert await pending(empty, QUERIES, [FIRST, BROKEN]) == ["0003_pre_broken"]
    assert await empty.fetchval("select to_regclass('third')") is None


async def test_a_migration_that_changed_after_it_was_applied_is_refused_by_name(empty: asyncpg.Pool) -> None:
    await migrate(empty, QUERIES, [FIRST])
    changed = Migration(name=FIRST.name, checksum="other", sql=FIRST.sql)
    with pytest.raises(MigrationError, match="0001_pre_first was applied and has changed"):
        await migrate(empty, QUERIES, [changed])
    with pytest.raises(MigrationError, match="0001_pre_first"):
        await pending(empty, QUERIES, [changed])


async def test_processes_that_migrate_at_once_take_turns(empty: asyncpg.Pool) -> None:
    applied = await asyncio.gather(*(migrate(empty, QUERIES, [FIRST, SECOND]) for _ in range(3)))
    assert sorted(len(names) for names in applied) == [0, 0, 2]


async def test_the_connection_keeps_its_time_limit_after_migrating(servers: Servers) -> None:
    url = servers.new_database(template="template1")
    async with await connect(url, size=1, statement_timeout_s=7) as pool:
        await migrate(pool, QUERIES, [FIRST])
        assert await pool.fetchval("show statement_timeout") == "7s"
    servers.drop(url)


def test_the_files_of_the_service_are_well_named() -> None:
    names = [migration.name for migration in load_migrations(SQL_DIR)]
    assert names == sorted(names)
    assert names[0] == "0001_pre_initial"


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ([], "no migrations"),
        (["1_pre_first.sql"], "1_pre_first.sql is not named"),
        (["0001_first.sql"], "is not named"),
        (["0001_pre_first.sql", "0001_post_second.sql"], "number is used twice"),
    ],
)
def test_badly_named_files_are_refused(tmp_path: Path, names: list[str], problem: str) -> None:
    (tmp_path / "migrations").mkdir()
    for name in names:
        (tmp_path / "migrations" / name).write_text("select 1")
    with pytest.raises(MigrationError, match=problem):
        load_migrations(tmp_path)
