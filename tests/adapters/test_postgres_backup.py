"""What is in the files of a backup and in the file of keys, and what they are brought back to."""

import asyncio
import base64
import json
import os
import re
import stat
import zipfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import asyncpg
import pytest

from bot.adapters.cipher import AesVault, ServiceKeys
from bot.adapters.postgres import programs
from bot.adapters.postgres.backup import DUMP_FILE, KEYS_FILE, MANIFEST, NEWEST_ONLY, Backup
from bot.adapters.postgres.keyring import PostgresKeyring
from bot.adapters.postgres.pool import Database
from bot.adapters.postgres.programs import ProgramError, without_password
from bot.adapters.postgres.queries import load_queries
from bot.adapters.postgres.restore import Restore, RestoreError
from bot.app import NotReady
from bot.commands import backup as command
from bot.config import Settings
from tests.acceptance.plain import read
from tests.conftest import SQL_DIR, Servers

K1, K2 = b"\1" * 32, b"\2" * 32
KEYS, LATER = ServiceKeys({"k1": K1}), ServiceKeys({"k2": K2})
QUERIES = load_queries(SQL_DIR)
SAID = b"what the customer said"


@pytest.fixture
async def empty_url(servers: Servers) -> AsyncIterator[str]:
    url = servers.new_database(template="template1")
    yield url
    servers.drop(url)


async def customer(pool: asyncpg.Pool, keys: ServiceKeys = KEYS) -> int:
    return int(await pool.fetchval("insert into users (data_key, name) values ($1, 'n') returning id", keys.new_key()))


async def event(pool: asyncpg.Pool, user: int, *, consumed: bool = False, keys: ServiceKeys = KEYS) -> bytes:
    dedup = os.urandom(16)
    sql = (
        "insert into journal (dedup, user_id, kind, sealed, accepted_at, consumed_at) values"
        " ($1, $2, 'x', $3, now(), case when $4 then now() end)"
    )
    await pool.execute(sql, dedup, user, keys.seal(SAID, dedup), consumed)
    return dedup


async def made(url: str, folder: Path, keys: ServiceKeys = KEYS) -> Backup:
    (folder / "one").mkdir(parents=True, exist_ok=True)
    backup = Backup(url, QUERIES, keys)
    await backup.make(folder / "one")
    return backup


async def restored(url: str, folder: Path, keys: ServiceKeys = KEYS) -> tuple[int, int, int]:
    done = await Restore(url, SQL_DIR, QUERIES, keys).bring_back(folder / "one", folder / KEYS_FILE)
    return done.customers, done.erased, done.events


async def asked(url: str, sql: str) -> Sequence[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        found: Sequence[asyncpg.Record] = await connection.fetch(sql)
        return found
    finally:
        await connection.close()


async def test_a_customers_events_wait_under_their_own_key_and_applied_ones_have_no_content(
    pool: asyncpg.Pool, database_url: str, tmp_path: Path
) -> None:
    anna = await customer(pool)
    waits = await event(pool, anna)
    await event(pool, anna, consumed=True)
    own = KEYS.unwrap(await pool.fetchval("select data_key from users"))
    await made(database_url, tmp_path)
    files = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert set(files) == {DUMP_FILE, MANIFEST, "users.copy", "journal.copy", "unread.jsonl"}
    assert not any(b"k1" in content for name, content in files.items() if name != DUMP_FILE)
    (line,) = files["unread.jsonl"].splitlines()
    sealed = sealed_of(line)
    assert read(sealed, own) == SAID
    assert (
        AesVault(KEYS, KEYS.new_key()).customer(await pool.fetchval("select data_key from users")).open(sealed, waits)
    )
    assert read(sealed, K1) != SAID


def sealed_of(line: bytes) -> bytes:
    return base64.b64decode(json.loads(line)[4])


async def test_all_comes_back_under_the_keys_of_today(
    pool: asyncpg.Pool, database: Database, database_url: str, empty_url: str, tmp_path: Path
) -> None:
    anna = await customer(pool)
    fingerprint = await PostgresKeyring(database).obtain("fingerprint", KEYS.new_key())
    waits, applied = await event(pool, anna), await event(pool, anna, consumed=True)
    backup = await made(database_url, tmp_path)
    await backup.write_keys(tmp_path)
    both = ServiceKeys({"k2": K2, "k1": K1})
    assert await restored(empty_url, tmp_path, both) == (1, 0, 1)
    rows = {row["dedup"]: row for row in await asked(empty_url, "select * from journal")}
    assert LATER.open(rows[waits]["sealed"], waits) == SAID
    assert (rows[applied]["sealed"], rows[applied]["consumed_at"] is None) == (b"", False)
    ((wrapped,),) = await asked(empty_url, "select wrapped from keyring")
    assert wrapped == fingerprint
    ((version, key),) = await asked(empty_url, "select version, data_key from users")
    assert version > 1_000_000
    assert KEYS.unwrap(key) == KEYS.unwrap(await pool.fetchval("select data_key from users"))


async def test_whoever_was_erased_since_comes_back_without_key_events_or_identity(
    pool: asyncpg.Pool, database_url: str, empty_url: str, tmp_path: Path
) -> None:
    anna = await customer(pool)
    await event(pool, anna)
    await pool.execute("insert into identities values ('h', $1, 'phone', 's')", anna)
    await pool.execute("insert into timers values (gen_random_uuid(), $1, 'session', now())", anna)
    backup = await made(database_url, tmp_path)
    await pool.execute("update users set data_key = null")
    await backup.write_keys(tmp_path)
    assert await restored(empty_url, tmp_path) == (0, 1, 0)
    for table in ("identities", "timers", "journal"):
        assert await asked(empty_url, f"select from {table}") == []
    assert [tuple(row) for row in await asked(empty_url, "select name, data_key from users")] == [(None, None)]


async def test_tokens_that_were_revoked_since_stay_revoked(
    pool: asyncpg.Pool, database_url: str, empty_url: str, tmp_path: Path
) -> None:
    await pool.execute("insert into api_tokens (name, hash, scopes, created_by) values ('a', 'h', '{}', 'me')")
    backup = await made(database_url, tmp_path)
    await pool.execute("update api_tokens set revoked_at = now()")
    await backup.write_keys(tmp_path)
    await restored(empty_url, tmp_path)
    assert [row["gone"] for row in await asked(empty_url, "select revoked_at is not null as gone from api_tokens")] == [
        True
    ]


async def test_a_new_customer_never_has_the_id_of_one_who_came_after_the_backup(
    pool: asyncpg.Pool, database_url: str, empty_url: str, tmp_path: Path
) -> None:
    await customer(pool)
    backup = await made(database_url, tmp_path)
    later = [await customer(pool) for _ in range(3)][-1]
    await backup.write_keys(tmp_path)
    await restored(empty_url, tmp_path)
    ((id_,),) = await asked(empty_url, "insert into users (data_key) values ('k') returning id")
    assert id_ > later


async def test_events_that_no_key_opens_are_counted_and_left_out(
    pool: asyncpg.Pool, database_url: str, tmp_path: Path
) -> None:
    await event(pool, await customer(pool), keys=ServiceKeys({"k0": b"\0" * 32}))
    (tmp_path / "one").mkdir()
    assert await Backup(database_url, QUERIES, KEYS).make(tmp_path / "one") == 1


async def test_every_column_of_the_journal_is_in_a_backup(pool: asyncpg.Pool) -> None:
    prepared = await pool.fetch(QUERIES["backup_columns"], "journal")
    async with pool.acquire() as connection:
        statement = await connection.prepare(QUERIES["backup_applied"])
        assert [one.name for one in statement.get_attributes()] == [row["name"] for row in prepared]


async def test_every_table_that_the_services_key_seals_is_left_out_of_the_dump(
    pool: asyncpg.Pool, database_url: str, tmp_path: Path
) -> None:
    await made(database_url, tmp_path)
    await programs.run("pg_restore", database_url, "--data-only", "--list", str(tmp_path / "one" / DUMP_FILE))
    listing = await asyncio.create_subprocess_exec(
        await programs.program("pg_restore"),
        "--list",
        str(tmp_path / "one" / DUMP_FILE),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await listing.communicate()
    dumped = set(re.findall(r"TABLE DATA public (\w+)", said.decode()))
    assert "messages" in dumped
    assert dumped & {"users", "journal", "keyring", "quarantine", "idempotency", *NEWEST_ONLY} == set()


# --- refusals --------------------------------------------------------------------------------------------------------


async def test_keys_older_than_the_backup_are_refused(
    pool: asyncpg.Pool, database_url: str, empty_url: str, tmp_path: Path
) -> None:
    backup = Backup(database_url, QUERIES, KEYS)
    await backup.write_keys(tmp_path)
    await made(database_url, tmp_path)
    with pytest.raises(RestoreError, match=r"older than this backup"):
        await restored(empty_url, tmp_path)


async def test_a_database_that_is_not_empty_is_refused(pool: asyncpg.Pool, database_url: str, tmp_path: Path) -> None:
    backup = await made(database_url, tmp_path)
    await backup.write_keys(tmp_path)
    with pytest.raises(RestoreError, match="not empty"):
        await restored(database_url, tmp_path)


async def test_what_is_no_backup_or_no_file_of_keys_is_refused(empty_url: str, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with pytest.raises(RestoreError, match="not a backup"):
        await restored(empty_url, tmp_path)
    manifest = {"made_at": "2026-01-01T00:00:00Z", "columns": {}, "last_customer": 1}
    (tmp_path / "one" / MANIFEST).write_text(json.dumps(manifest))
    (tmp_path / KEYS_FILE).write_bytes(b"no zip")
    with pytest.raises(RestoreError, match="not a file of keys"):
        await restored(empty_url, tmp_path)
    with zipfile.ZipFile(tmp_path / KEYS_FILE, "w") as keys:
        keys.writestr("other", b"")
    with pytest.raises(RestoreError, match="not a file of keys"):
        await restored(empty_url, tmp_path)


async def test_a_program_that_fails_or_is_missing_says_what_to_do(database_url: str) -> None:
    with pytest.raises(ProgramError, match=r"pg_dump failed: .*unrecognized option"):
        await programs.run("pg_dump", database_url, "--nonsense")
    with pytest.raises(ProgramError, match=r"no_such_program is missing: install"):
        await programs.program("no_such_program")


@pytest.mark.parametrize(
    ("url", "bare", "password"),
    [
        ("postgresql://bot:p%40ss@db:5432/bot?sslmode=require", "postgresql://bot@db:5432/bot?sslmode=require", "p@ss"),
        ("postgresql://bot@db/bot", "postgresql://bot@db/bot", ""),
        ("postgresql://postgres:@/postgres?host=/tmp", "postgresql://postgres:@/postgres?host=/tmp", ""),
    ],
)
def test_a_password_is_not_on_the_command_line(url: str, bare: str, password: str) -> None:
    assert without_password(url) == (bare, password)


# --- the commands ----------------------------------------------------------------------------------------------------


def dumps(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()]


def settings(url: str) -> Settings:
    return Settings(database_url=url, sql_dir=SQL_DIR, environment="development")


async def test_the_files_are_for_their_owner_alone_and_of_the_keys_there_is_one(
    pool: asyncpg.Pool, database_url: str, empty_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "backups"
    await command.backup(settings(database_url), folder, keys_only=False)
    await command.backup(settings(database_url), folder, keys_only=True)
    (dump,) = dumps(folder)
    assert {place.name for place in folder.iterdir()} == {dump.name, KEYS_FILE, ".lock"}
    for path in (*folder.iterdir(), *dump.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    await command.restore(settings(empty_url), dump, None)
    assert "customers: 0; erased: 0; events that wait: 0" in capsys.readouterr().out


async def test_the_commands_say_what_is_wrong(database_url: str, tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="name the folder"):
        await command.restore(settings(database_url), tmp_path, None)
    await command.backup(settings(database_url), tmp_path, keys_only=False)
    (dump,) = dumps(tmp_path)
    with pytest.raises(NotReady, match="not empty"):
        await command.restore(settings(database_url), dump, tmp_path / KEYS_FILE)
