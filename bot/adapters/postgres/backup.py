"""Backups that erasure reaches (docs/decisions/0014-backup-and-erasure.md).

A backup is a folder of its own: all tables at one moment, but nothing in it can be read without a customer's data key.
It has no data key, and nothing that is sealed under the service's keys: applied events are there without their content,
for the sake of what is known by their dedup keys, and those that wait are sealed under their customers' keys instead.
What is in quarantine, and answers remembered for callers, are left out.

The keys are in one small file beside all backups, and only the newest of it is kept. With them is what must not go back
in time either: tokens of the API, endpoints of webhooks, who was erased and who wants no messages any more.
"""

import os
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from bot.adapters.cipher import AesSealer, ServiceKeys
from bot.adapters.postgres.pool import translated
from bot.adapters.postgres.programs import run

KEYS_FILE: Final = "keys.zip"
DUMP_FILE: Final = "database.dump"
MANIFEST: Final = "manifest.json"
CUSTOMERS, APPLIED, UNREAD = "users.copy", "journal.copy", "unread.jsonl"
CUSTOMER_KEYS: Final = "data_keys.jsonl"
NEWEST_ONLY: Final = ("keyring", "api_tokens", "webhook_endpoints", "erasures", "suppressed")
"""Tables of which the newest state counts, whichever backup is restored: they are in the file of keys, whole."""
BY_HAND: Final = ("users", "journal")
"""Tables of which a part is left out."""
LEFT_OUT: Final = ("quarantine", "idempotency", "replicas")
"""Tables that a restored database begins without."""
PAGE: Final = 10_000

_line: Final = msgspec.json.Encoder()


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What lies in a backup or in the file of keys. `columns`: of the files that are copies of tables.

    `last_customer`: the highest id of a customer when it was made.
    """

    made_at: datetime
    columns: Mapping[str, Sequence[str]]
    last_customer: int
    format: int = 1


class Unread(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """An event that waits, sealed under its customer's key."""

    seq: int
    dedup: bytes
    customer: int
    kind: str
    sealed: bytes
    accepted_at: datetime


class Backup:
    """Makes backups of one database over a connection of its own."""

    def __init__(self, url: str, queries: Mapping[str, str], keys: ServiceKeys) -> None:
        self._url = url
        self._queries = queries
        self._keys = keys

    async def make(self, folder: Path) -> int:
        """Write a backup into the empty `folder`; how many events that wait could not be opened and are not in it."""
        async with self._moment() as connection:
            applied = self._queries["backup_applied"]
            snapshot = await connection.fetchval(self._queries["backup_snapshot"])
            await run("pg_dump", self._url, *_dump_arguments(folder, snapshot))
            columns = {
                CUSTOMERS: [name for name in await self._columns(connection, "users") if name != "data_key"],
                APPLIED: [one.name for one in (await connection.prepare(applied)).get_attributes()],
            }
            await connection.copy_from_table(
                "users", columns=columns[CUSTOMERS], output=folder / CUSTOMERS, format="binary"
            )
            await connection.copy_from_query(applied, output=folder / APPLIED, format="binary")
            unopened = await self._write_unread(connection, folder / UNREAD)
            (folder / MANIFEST).write_bytes(_line.encode(await self._manifest(connection, columns)))
            return unopened

    async def write_keys(self, folder: Path) -> Path:
        """Write the file of keys as it is now, in place of the one before; it is there whole or not at all."""
        fresh = folder / f"{KEYS_FILE}.new"
        async with self._moment() as connection:
            with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as into:
                await self._write_keys(connection, into)
        _put_in_place(fresh, folder / KEYS_FILE)
        return folder / KEYS_FILE

    async def _write_keys(self, connection: Any, into: zipfile.ZipFile) -> None:
        columns: dict[str, Sequence[str]] = {}
        for table in NEWEST_ONLY:
            columns[table] = await self._columns(connection, table)
            with into.open(f"{table}.copy", "w", force_zip64=True) as output:
                await connection.copy_from_table(table, columns=columns[table], output=_writes(output), format="binary")
        with into.open(CUSTOMER_KEYS, "w", force_zip64=True) as output:
            async for row in connection.cursor(self._queries["backup_data_keys"], prefetch=PAGE):
                output.write(_line.encode(tuple(row)) + b"\n")
        into.writestr(MANIFEST, _line.encode(await self._manifest(connection, columns)))

    async def _write_unread(self, connection: Any, path: Path) -> int:
        unopened = 0
        with path.open("wb") as output:
            async for row in connection.cursor(self._queries["backup_unread"], prefetch=PAGE):
                try:
                    output.write(_line.encode(self._as_customers(row)) + b"\n")
                except ValueError:
                    unopened += 1
        return unopened

    def _as_customers(self, row: Any) -> Unread:
        """The event under the key of its customer. Raises `ValueError`."""
        sealer = AesSealer(self._keys.unwrap(row["data_key"]))
        sealed = sealer.seal(self._keys.open(row["sealed"], row["dedup"]), row["dedup"])
        return Unread(
            seq=row["seq"],
            dedup=row["dedup"],
            customer=row["user_id"],
            kind=row["kind"],
            sealed=sealed,
            accepted_at=row["accepted_at"],
        )

    async def _manifest(self, connection: Any, columns: Mapping[str, Sequence[str]]) -> Manifest:
        last = await connection.fetchval(self._queries["backup_last_customer"])
        return Manifest(made_at=datetime.now(UTC), columns=columns, last_customer=last)

    async def _columns(self, connection: Any, table: str) -> Sequence[str]:
        return [row["name"] for row in await connection.fetch(self._queries["backup_columns"], table)]

    @asynccontextmanager
    async def _moment(self) -> AsyncIterator[Any]:
        """A connection that sees the database as it is now until the end."""
        with translated():
            connection = await asyncpg.connect(self._url, command_timeout=None)
            try:
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    yield connection
            finally:
                await connection.close()


def _dump_arguments(folder: Path, snapshot: str) -> Sequence[str]:
    without = [f"--exclude-table-data=public.{table}" for table in (*BY_HAND, *NEWEST_ONLY, *LEFT_OUT)]
    return ["--format=custom", f"--file={folder / DUMP_FILE}", f"--snapshot={snapshot}", *without]


def _writes(output: Any) -> Any:
    async def write(data: bytes) -> None:
        output.write(data)

    return write


def _put_in_place(fresh: Path, path: Path) -> None:
    """Durable before it is there under its name."""
    with fresh.open("rb") as written:
        os.fsync(written.fileno())
    fresh.replace(path)
