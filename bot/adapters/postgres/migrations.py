"""Brings the schema up to date: `sql/migrations/NNNN_{pre|post}_name.sql`, in order, each in a transaction.

`pre` may run while the release before still serves; `post` only once it is gone. A file that was applied must not
change afterwards, which its checksum tells. One process at a time: the others wait for an advisory lock and then find
nothing left to do.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from bot.adapters.postgres.pool import translated

_NAME: Final = re.compile(r"\d{4}_(pre|post)_[a-z0-9_]+")
_LOCK: Final = 0x626F745F6D696772
_PATIENCE_S: Final = 86_400.0
"""An index on a large table takes its time, and so does waiting for another process that makes it."""


class MigrationError(Exception):
    """The files and the database do not fit together; the message is one line and names the file."""


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    checksum: str
    sql: str


def load_migrations(sql_dir: Path) -> Sequence[Migration]:
    """The files in the order of their numbers. Raises `MigrationError` for none, a bad name, or a number used twice."""
    files = sorted((sql_dir / "migrations").glob("*.sql"))
    if not files:
        raise MigrationError(f"no migrations under {sql_dir / 'migrations'}: is SQL_DIR right?")
    numbers = [file.stem[:4] for file in files]
    for file, number in zip(files, numbers, strict=True):
        if not _NAME.fullmatch(file.stem):
            raise MigrationError(f"{file.name} is not named NNNN_pre_name.sql or NNNN_post_name.sql")
        if numbers.count(number) > 1:
            raise MigrationError(f"{file.name}: its number is used twice")
    return [_read(file) for file in files]


async def pending(pool: asyncpg.Pool, queries: Mapping[str, str], migrations: Sequence[Migration]) -> Sequence[str]:
    """Names of the migrations that the database has not seen. Raises `MigrationError` when an applied one changed."""
    with translated():
        async with pool.acquire() as connection:
            try:
                applied = await _applied(connection, queries)
            except asyncpg.UndefinedTableError:
                applied = {}
    return [migration.name for migration in _missing(migrations, applied)]


async def migrate(pool: asyncpg.Pool, queries: Mapping[str, str], migrations: Sequence[Migration]) -> Sequence[str]:
    """Apply what is pending and say what that was.

    Raises `MigrationError` when an applied one changed or one cannot be applied; those before it stay.
    """
    with translated():
        async with pool.acquire() as connection:
            await connection.execute(queries["migrations_unlimited"], "0")
            await connection.execute(queries["migrations_lock"], _LOCK, timeout=_PATIENCE_S)
            try:
                return await _apply_missing(connection, queries, migrations)
            finally:
                await connection.execute(queries["migrations_unlock"], _LOCK)
                await connection.reload_schema_state()
                await connection.reset()


async def _apply_missing(connection: Any, queries: Mapping[str, str], migrations: Sequence[Migration]) -> Sequence[str]:
    await connection.execute(queries["migrations_table"])
    missing = _missing(migrations, await _applied(connection, queries))
    for migration in missing:
        await _apply(connection, queries, migration)
    return [migration.name for migration in missing]


async def _apply(connection: Any, queries: Mapping[str, str], migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql, timeout=_PATIENCE_S)
            await connection.execute(queries["migrations_record"], migration.name, migration.checksum)
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{migration.name} could not be applied: {error}") from error


async def _applied(connection: Any, queries: Mapping[str, str]) -> Mapping[str, str]:
    return {row["name"]: row["checksum"] for row in await connection.fetch(queries["migrations_applied"])}


def _read(file: Path) -> Migration:
    text = file.read_text(encoding="utf-8")
    return Migration(name=file.stem, checksum=hashlib.sha256(text.encode()).hexdigest(), sql=text)


def _missing(migrations: Sequence[Migration], applied: Mapping[str, str]) -> Sequence[Migration]:
    for migration in migrations:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise MigrationError(f"{migration.name} was applied and has changed since: put it back, add a new one")
    return [migration for migration in migrations if migration.name not in applied]
