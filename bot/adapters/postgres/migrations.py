"""Brings the schema up to date: `sql/migrations/NNNN_{pre|post}_name.sql`, in order, each in a transaction.

`pre` may run while the release before still serves; `post` only once it is gone. A file that was applied must not
change afterwards, which its checksum tells. One process at a time: the others wait until it is done and then find
nothing left to do.

Under traffic a migration must not wait long for a lock: whoever comes after it waits behind it. So it gives up after a
moment, lets the others pass, and tries again. A file whose first line is `-- no transaction` holds one statement that
PostgreSQL runs in none, such as `create index concurrently`, which locks nobody out and may take its time.
"""

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import asyncpg
import msgspec

from bot.adapters.postgres.pool import Database, translated

_NAME: Final = re.compile(r"\d{4}_(pre|post)_[a-z0-9_]+")
_LOCK: Final = 0x626F745F6D696772
_PATIENCE_S: Final = 86_400.0
"""An index on a large table takes its time, and so does waiting for another process that makes it."""
_LOOK_AGAIN_S: Final = 0.2
"""Between looks whether another process is done. Waiting in the server would hold a snapshot, for which an index that
is made concurrently would wait in turn."""
NO_TRANSACTION: Final = "-- no transaction"

Kind = Literal["pre", "post"]

log = logging.getLogger(__name__)


class MigrationError(Exception):
    """The files and the database do not fit together; the message is one line and names the file."""


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    checksum: str
    sql: str

    @property
    def kind(self) -> Kind:
        return kind_of(self.name)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How the files of this release and a database stand to each other, by the migrations' names.

    `pending`: in the files only. `unknown`: in the database only, applied by a newer release.
    """

    pending: tuple[str, ...]
    unknown: tuple[str, ...]

    def hindrance(self) -> str:
        """Why this release cannot serve on this database, and what to do; empty when it can."""
        if any(kind_of(name) == "pre" for name in self.pending):
            return f"migrations are pending: {', '.join(self.pending)}; run `bot migrate`"
        return ""

    def outgrown(self) -> str:
        """Why this release should not be started any more; empty when it may be."""
        names = [name for name in self.unknown if kind_of(name) == "post"]
        return f"the database is past this release, which knows nothing of {', '.join(names)}" if names else ""

    def unfinished(self) -> str:
        """What is left of a deploy, while serving goes on; empty when nothing is."""
        if not self.pending:
            return ""
        return f"waiting for the release before to be gone: {', '.join(self.pending)}; then run `bot migrate --post`"


class Migrated(msgspec.Struct, frozen=True, kw_only=True):
    """`applied`: names, in order. `held_back`: why more was asked for than could be done, and what to do."""

    applied: tuple[str, ...] = ()
    held_back: str = ""


class Yielding(msgspec.Struct, frozen=True, kw_only=True):
    """How a migration gives way to traffic: seconds it waits for a lock, how often, and pauses growing up to a most."""

    lock_s: float = 1.0
    tries: int = 40
    pause_s: float = 0.5
    longest_pause_s: float = 5.0

    def pause(self, failures: int) -> float:
        """Seconds to leave alone what is locked."""
        return min(self.longest_pause_s, self.pause_s * failures)


def kind_of(name: str) -> Kind:
    """Whether it runs before or after a deploy, by its name."""
    return "post" if name[4:10] == "_post_" else "pre"


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


async def standing(
    pool: asyncpg.Pool | Database, queries: Mapping[str, str], migrations: Sequence[Migration]
) -> Standing:
    """Compare files and database. Raises `MigrationError` when an applied one changed."""
    with translated():
        async with pool.acquire() as connection:
            try:
                applied = await _applied(connection, queries)
            except asyncpg.UndefinedTableError:
                applied = {}
    known = {migration.name for migration in migrations}
    return Standing(
        pending=tuple(migration.name for migration in _missing(migrations, applied)),
        unknown=tuple(name for name in applied if name not in known),
    )


async def migrate(
    pool: asyncpg.Pool,
    queries: Mapping[str, str],
    migrations: Sequence[Migration],
    only: Kind | None = None,
    yielding: Yielding | None = None,
) -> Migrated:
    """Apply what is pending in order; with `only`, up to the first of the other kind.

    `pre` makes a new database whole.

    `post` is held back by a replica that lives and does not know it. Without `only` nobody is asked: that is for a
    service that stands still.

    Raises `MigrationError` when an applied one changed or one cannot be applied; those before it stay.
    """
    with translated():
        async with pool.acquire() as connection:
            await connection.execute(queries["migrations_unlimited"], "0")
            await _take_turn(connection, queries)
            try:
                return await _Run(connection, queries, yielding or Yielding()).apply(migrations, only)
            finally:
                await connection.execute(queries["migrations_unlock"], _LOCK)
                await connection.reload_schema_state()
                await connection.reset()


async def _take_turn(connection: Any, queries: Mapping[str, str]) -> None:
    """Wait until no other process migrates."""
    until = time.monotonic() + _PATIENCE_S
    while not await connection.fetchval(queries["migrations_lock"], _LOCK):
        if time.monotonic() > until:
            raise MigrationError("another process has been migrating for a day: end it, then run this again")
        await asyncio.sleep(_LOOK_AGAIN_S)


class _Run:
    """What one process does while it is its turn."""

    def __init__(self, connection: Any, queries: Mapping[str, str], yielding: Yielding) -> None:
        self._connection = connection
        self._queries = queries
        self._yielding = yielding

    async def apply(self, migrations: Sequence[Migration], only: Kind | None) -> Migrated:
        await self._connection.execute(self._queries["migrations_table"])
        applied = await _applied(self._connection, self._queries)
        missing = list(_missing(migrations, applied))
        if only == "pre" and not applied:
            only = None  # a new database: no release before this one serves, so there is no side of a deploy
        done: list[str] = []
        while missing and only in {None, missing[0].kind}:
            if only == "post" and (older := await self._unaware(missing[0])):
                return Migrated(applied=tuple(done), held_back=f"{missing[0].name} has to wait: {older}")
            await self._apply(missing[0])
            done.append(missing.pop(0).name)
        return Migrated(applied=tuple(done), held_back=_behind(missing, only))

    async def _unaware(self, migration: Migration) -> str:
        """Who lives and does not know this migration."""
        rows = await self._connection.fetch(self._queries["migrations_unaware"], migration.name)
        return ", ".join(f"replica {id_} still runs the release of {newest or 'no migration'}" for id_, newest in rows)

    async def _apply(self, migration: Migration) -> None:
        alone = migration.sql.startswith(NO_TRANSACTION)
        try:
            await (self._apply_alone(migration) if alone else self._apply_giving_way(migration))
        except asyncpg.PostgresError as error:
            hint = "; drop the invalid index that it may have left, then run this again" if alone else ""
            reason = str(error).splitlines()[0]  # those after it may quote a row
            raise MigrationError(f"{migration.name} could not be applied: {reason}{hint}") from error

    async def _apply_alone(self, migration: Migration) -> None:
        await self._connection.execute(migration.sql, timeout=_PATIENCE_S)
        await self._record(migration)

    async def _apply_giving_way(self, migration: Migration) -> None:
        for failures in range(1, self._yielding.tries + 1):
            try:
                async with self._connection.transaction():
                    await self._connection.execute(
                        self._queries["migrations_give_way"], str(int(self._yielding.lock_s * 1000))
                    )
                    await self._connection.execute(migration.sql, timeout=_PATIENCE_S)
                    await self._record(migration)
                return
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
                log.warning("a migration gave way", extra={"migration": migration.name, "error": str(error)})
            await asyncio.sleep(self._yielding.pause(failures))
        raise MigrationError(
            f"{migration.name} could not be applied: in {self._yielding.tries} tries others held locks on its tables; "
            "end the long transaction (pg_stat_activity names it), then run this again"
        )

    async def _record(self, migration: Migration) -> None:
        await self._connection.execute(self._queries["migrations_record"], migration.name, migration.checksum)


def _behind(missing: Sequence[Migration], only: Kind | None) -> str:
    """What stands in the way of more of the kind that was asked for, and what to do."""
    waiting = [migration.name for migration in missing if migration.kind == only]
    if not waiting:
        return ""
    first = missing[0].name
    if only == "post":
        return f"{waiting[0]} comes after {first}: run `bot migrate --pre` and bring up the new release first"
    return (
        f"{waiting[0]} comes after {first}: finish the deploy of the release that brought {first}, "
        "with `bot migrate --post` at its end, then go on; or stop the service and run `bot migrate`"
    )


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
