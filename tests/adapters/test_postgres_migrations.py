import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import asyncpg
import pytest

from bot.adapters.postgres.migrations import (
    NO_TRANSACTION,
    Kind,
    Migrated,
    Migration,
    MigrationError,
    Standing,
    Yielding,
    load_migrations,
    migrate,
    standing,
)
from bot.adapters.postgres.pool import Database, connect
from bot.adapters.postgres.queries import load_queries
from bot.adapters.postgres.replicas import PostgresReplicas
from tests.conftest import SQL_DIR, Servers

QUERIES = load_queries(SQL_DIR)


def written(name: str, sql: str = "select 1") -> Migration:
    return Migration(name=name, checksum=hashlib.sha256(sql.encode()).hexdigest(), sql=sql)


FIRST = written("0001_pre_first", "create table first (id int)")
SECOND = written("0002_post_second", "create table second (id int); select 1")
BROKEN = written("0003_pre_broken", "create table third (id int); select 1/0")
INITIAL = load_migrations(SQL_DIR)[0]
AT_ONCE = Yielding(lock_s=0.01, tries=2, pause_s=0.0)

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


async def pending(pool: asyncpg.Pool, migrations: Sequence[Migration]) -> list[str]:
    return list((await standing(pool, QUERIES, migrations)).pending)


async def applied(pool: asyncpg.Pool, migrations: Sequence[Migration], only: Kind | None = None) -> list[str]:
    done = await migrate(pool, QUERIES, migrations, only)
    assert done.held_back == ""
    return list(done.applied)


# --- in order and once -----------------------------------------------------------------------------------------------


async def test_what_is_pending_is_applied_in_order_and_once(empty: asyncpg.Pool) -> None:
    migrations = [FIRST, SECOND]
    assert await pending(empty, migrations) == ["0001_pre_first", "0002_post_second"]
    assert await applied(empty, migrations[:1]) == ["0001_pre_first"]
    assert await pending(empty, migrations) == ["0002_post_second"]
    assert await applied(empty, migrations) == ["0002_post_second"]
    assert await applied(empty, migrations) == []
    assert await empty.fetchval("select count(*) from second") == 0


async def test_a_broken_migration_leaves_nothing_behind_and_those_before_it_stay(empty: asyncpg.Pool) -> None:
    with pytest.raises(MigrationError, match="0003_pre_broken could not be applied: division by zero"):
        await migrate(empty, QUERIES, [FIRST, BROKEN])
    assert await pending(empty, [FIRST, BROKEN]) == ["0003_pre_broken"]
    assert await empty.fetchval("select to_regclass('third')") is None


async def test_a_migration_that_changed_after_it_was_applied_is_refused_by_name(empty: asyncpg.Pool) -> None:
    await migrate(empty, QUERIES, [FIRST])
    changed = Migration(name=FIRST.name, checksum="other", sql=FIRST.sql)
    with pytest.raises(MigrationError, match="0001_pre_first was applied and has changed"):
        await migrate(empty, QUERIES, [changed])
    with pytest.raises(MigrationError, match="0001_pre_first"):
        await standing(empty, QUERIES, [changed])


async def test_processes_that_migrate_at_once_take_turns(empty: asyncpg.Pool) -> None:
    done = await asyncio.gather(*(migrate(empty, QUERIES, [FIRST, SECOND]) for _ in range(3)))
    assert sorted(len(one.applied) for one in done) == [0, 0, 2]


# --- beside a release that serves ------------------------------------------------------------------------------------


def release(*names: str) -> list[Migration]:
    """The files of a release: the schema as it is, and `names` after it."""
    return [*load_migrations(SQL_DIR), *map(written, names)]


async def test_pre_stops_before_the_first_post_and_post_does_the_rest(pool: asyncpg.Pool) -> None:
    migrations = release("0002_pre_add", "0003_pre_fill", "0004_post_drop")
    assert await applied(pool, migrations, "pre") == ["0002_pre_add", "0003_pre_fill"]
    assert await applied(pool, migrations, "pre") == []
    assert await pending(pool, migrations) == ["0004_post_drop"]
    assert await applied(pool, migrations, "post") == ["0004_post_drop"]
    assert await applied(pool, migrations, "post") == []


async def test_on_a_new_database_pre_applies_everything_because_no_release_serves(servers: Servers) -> None:
    url = servers.new_database("template1")
    async with await connect(url, size=1) as pool:
        assert await applied(pool, [FIRST, SECOND], "pre") == [FIRST.name, SECOND.name]
    servers.drop(url)


async def test_post_waits_for_every_replica_that_lives_and_does_not_know_it(
    pool: asyncpg.Pool, database: Database
) -> None:
    migrations = release("0002_post_drop", "0003_post_more")
    await PostgresReplicas(database, INITIAL.name).beat("old", 60)
    await PostgresReplicas(database, "0002_post_drop").beat("between", 60)
    await PostgresReplicas(database, "0003_post_more").beat("new", 60)
    assert await migrate(pool, QUERIES, migrations, "post") == Migrated(
        held_back="0002_post_drop has to wait: replica old still runs the release of 0001_pre_initial"
    )
    await PostgresReplicas(database).leave("old")
    assert await migrate(pool, QUERIES, migrations, "post") == Migrated(
        applied=("0002_post_drop",),
        held_back="0003_post_more has to wait: replica between still runs the release of 0002_post_drop",
    )


async def test_a_service_that_stands_still_is_not_asked(pool: asyncpg.Pool, database: Database) -> None:
    await PostgresReplicas(database, INITIAL.name).beat("old", 60)
    assert await applied(pool, release("0002_pre_add", "0003_post_drop")) == ["0002_pre_add", "0003_post_drop"]


async def test_over_several_releases_each_side_says_what_comes_first(pool: asyncpg.Pool) -> None:
    migrations = release("0002_pre_add", "0003_post_drop", "0004_pre_more", "0005_post_less")
    early = await migrate(pool, QUERIES, migrations, "post")
    assert early.applied == ()
    assert early.held_back.startswith("0003_post_drop comes after 0002_pre_add: run `bot migrate --pre`")
    first = await migrate(pool, QUERIES, migrations, "pre")
    assert first.applied == ("0002_pre_add",)
    assert first.held_back.startswith("0004_pre_more comes after 0003_post_drop: finish the deploy")
    between = await migrate(pool, QUERIES, migrations, "post")
    assert between.applied == ("0003_post_drop",)
    assert between.held_back.startswith("0005_post_less comes after 0004_pre_more")
    assert await applied(pool, migrations, "pre") == ["0004_pre_more"]
    assert await applied(pool, migrations, "post") == ["0005_post_less"]


async def test_a_release_stands_to_a_database_as_its_files_do(pool: asyncpg.Pool) -> None:
    old, new = release(), release("0002_pre_add", "0003_post_drop")
    before = await standing(pool, QUERIES, new)
    assert before.hindrance().startswith("migrations are pending: 0002_pre_add, 0003_post_drop; run `bot migrate`")
    await migrate(pool, QUERIES, new, "pre")
    during = await standing(pool, QUERIES, new)
    assert (during.hindrance(), during.outgrown()) == ("", "")
    assert "0003_post_drop" in during.unfinished()
    behind = await standing(pool, QUERIES, old)
    assert behind == Standing(pending=(), unknown=("0002_pre_add",))
    assert (behind.hindrance(), behind.outgrown(), behind.unfinished()) == ("", "", "")
    await migrate(pool, QUERIES, new, "post")
    assert (await standing(pool, QUERIES, new)).unfinished() == ""
    past = await standing(pool, QUERIES, old)
    assert past.outgrown() == "the database is past this release, which knows nothing of 0003_post_drop"


# --- locks -----------------------------------------------------------------------------------------------------------


async def test_a_migration_lets_others_pass_and_has_its_way_once_the_lock_is_free(
    pool: asyncpg.Pool, caplog: pytest.LogCaptureFixture
) -> None:
    adds = [INITIAL, written("0002_pre_add", "alter table users add column extra int")]
    async with pool.acquire() as reader:
        long_one = reader.transaction()
        await long_one.start()
        await reader.execute("select from users")
        migrating = asyncio.create_task(migrate(pool, QUERIES, adds, "pre", Yielding(lock_s=0.01, pause_s=0.02)))
        while caplog.messages.count("a migration gave way") < 3:
            await asyncio.wait_for(pool.fetch("select from users"), 5.0)
        assert not migrating.done()
        await long_one.rollback()
    assert (await migrating).applied == ("0002_pre_add",)
    assert await pool.fetchval("show lock_timeout") == "0"


async def test_a_lock_that_never_comes_free_ends_the_migration_with_what_to_do(pool: asyncpg.Pool) -> None:
    adds = [INITIAL, written("0002_pre_add", "alter table users add column extra int")]
    async with pool.acquire() as reader, reader.transaction():
        await reader.execute("select from users")
        with pytest.raises(MigrationError, match="0002_pre_add could not be applied: in 2 tries others held"):
            await migrate(pool, QUERIES, adds, None, AT_ONCE)
    assert await applied(pool, adds) == ["0002_pre_add"]


def test_pauses_grow_up_to_a_most() -> None:
    assert [Yielding().pause(failures) for failures in (1, 2, 99)] == [0.5, 1.0, 5.0]


async def test_an_index_is_made_without_locking_anybody_out(pool: asyncpg.Pool) -> None:
    statement = f"{NO_TRANSACTION}\ncreate index concurrently users_language on users (language)"
    adds = [INITIAL, written("0002_pre_index", statement)]
    async with pool.acquire() as writer:
        writing = writer.transaction()
        await writing.start()
        await writer.execute("update users set language = 'en'")
        migrating = [asyncio.create_task(migrate(pool, QUERIES, adds)) for _ in range(2)]
        for _ in range(3):
            await pool.execute("update users set language = 'hi'")
        assert not any(task.done() for task in migrating)
        await writing.rollback()
    assert sorted(len(done.applied) for done in await asyncio.gather(*migrating)) == [0, 1]
    assert await pool.fetchval("select indisvalid from pg_index where indexrelid = 'users_language'::regclass")


async def test_an_index_that_cannot_be_made_says_what_it_leaves_behind(pool: asyncpg.Pool) -> None:
    for _ in range(2):
        await pool.execute("insert into quarantine (reason, sealed, received_at) values ('same', '', now())")
    statement = f"{NO_TRANSACTION}\ncreate unique index concurrently one_reason on quarantine (reason)"
    with pytest.raises(MigrationError, match=r"0002_pre_index could not be applied: .*drop the invalid index"):
        await migrate(pool, QUERIES, [INITIAL, written("0002_pre_index", statement)])


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
