"""A backup and the newest keys become a database again; whoever was erased in between stays erased.

Customers whose key is not in the newest file of keys were erased. Nothing of theirs that waits is brought back, and
what their key does not cover is emptied, as their erasure did. Everybody else's events that waited are sealed under
the service's present key again.
"""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

import asyncpg
import msgspec

from bot.adapters.cipher import AesSealer, ServiceKeys
from bot.adapters.postgres.backup import (
    APPLIED,
    CUSTOMER_KEYS,
    CUSTOMERS,
    DUMP_FILE,
    MANIFEST,
    NEWEST_ONLY,
    PAGE,
    UNREAD,
    Manifest,
    Unread,
)
from bot.adapters.postgres.pool import translated
from bot.adapters.postgres.programs import run
from bot.adapters.postgres.stores import Base, opened

_manifest: Final = msgspec.json.Decoder(Manifest)
_key: Final = msgspec.json.Decoder(tuple[int, bytes])
_unread: Final = msgspec.json.Decoder(Unread)


class RestoreError(Exception):
    """It cannot be restored; the message says why and what to do."""


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """Customers with a key, customers who were erased, and events that wait again."""

    customers: int
    erased: int
    events: int


class Restore:
    """Brings one backup back into an empty database."""

    def __init__(self, url: str, sql_dir: Path, queries: Mapping[str, str], keys: ServiceKeys) -> None:
        self._url = url
        self._sql_dir = sql_dir
        self._queries = queries
        self._keys = keys

    async def bring_back(self, dump: Path, keys_file: Path) -> Restored:
        """Raises `RestoreError`, and `bot.adapters.postgres.programs.ProgramError`."""
        manifest, newest = _read(dump / MANIFEST), _read_keys(keys_file)
        if newest.made_at < manifest.made_at:
            raise RestoreError(f"{keys_file} is older than this backup: use the newest keys there are")
        with translated():
            connection = await asyncpg.connect(self._url, command_timeout=None)
            try:
                await self._tables(connection, dump, manifest)
                async with opened(self._url, sql_dir=self._sql_dir, size=1) as base:
                    await self._migrate(base)
                async with connection.transaction():
                    return await self._content(connection, dump, keys_file, newest)
            finally:
                await connection.close()

    async def _tables(self, connection: Any, dump: Path, manifest: Manifest) -> None:
        if not await connection.fetchval(self._queries["restore_empty"]):
            raise RestoreError("the database is not empty: restore into a new one, then let the service use that")
        archive = str(dump / DUMP_FILE)
        for section in ("pre-data", "data"):
            await run("pg_restore", self._url, *_ARGUMENTS, f"--section={section}", archive)
        for table, file in (("users", CUSTOMERS), ("journal", APPLIED)):
            await connection.copy_to_table(table, columns=manifest.columns[file], source=dump / file, format="binary")
        await run("pg_restore", self._url, *_ARGUMENTS, "--section=post-data", archive)

    async def _migrate(self, base: Base) -> None:
        """The backup may be of a release before this one; the keys are of now."""
        await base.migrate()

    async def _content(self, connection: Any, dump: Path, keys_file: Path, newest: Manifest) -> Restored:
        with zipfile.ZipFile(keys_file) as keys:
            for table in NEWEST_ONLY:
                with keys.open(f"{table}.copy") as source:
                    await connection.copy_to_table(table, columns=newest.columns[table], source=source, format="binary")
            with keys.open(CUSTOMER_KEYS) as lines:
                wrapped = await self._give_keys(connection, lines)
        await connection.execute(self._queries["restore_next_customer"], newest.last_customer)
        (erased,) = await connection.fetch(self._queries["restore_erased"])
        await connection.execute(self._queries["restore_erase"], erased["ids"], erased["hashes"])
        events = await self._wait_again(connection, dump / UNREAD)
        return Restored(customers=wrapped, erased=len(erased["ids"]), events=events)

    async def _give_keys(self, connection: Any, lines: IO[bytes]) -> int:
        given = 0
        for page in _pages(map(_key.decode, lines)):
            customers, keys = zip(*page, strict=True)
            told = await connection.execute(self._queries["restore_data_keys"], customers, keys)
            given += int(told.rpartition(" ")[2])
        return given

    async def _wait_again(self, connection: Any, path: Path) -> int:
        """Put back the events that waited, but for those of erased customers."""
        events = 0
        with closing(path.open("rb")) as lines:
            for page in _pages(map(_unread.decode, lines)):
                keys = dict(await connection.fetch(self._queries["directory_keys"], [one.customer for one in page]))
                rows = [self._as_services(one, keys[one.customer]) for one in page if keys.get(one.customer)]
                await connection.copy_records_to_table("journal", records=rows, columns=_UNREAD_COLUMNS)
                events += len(rows)
        return events

    def _as_services(self, event: Unread, wrapped: bytes) -> tuple[Any, ...]:
        plain = AesSealer(self._keys.unwrap(wrapped)).open(event.sealed, event.dedup)
        sealed = self._keys.seal(plain, event.dedup)
        return event.seq, event.dedup, event.customer, event.kind, sealed, event.accepted_at


_ARGUMENTS: Final = ("--no-owner", "--no-privileges", "--exit-on-error")
_UNREAD_COLUMNS: Final = ("seq", "dedup", "user_id", "kind", "sealed", "accepted_at")


def _read(path: Path) -> Manifest:
    try:
        return _manifest.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError) as problem:
        raise RestoreError(f"{path.parent} is not a backup, or not a whole one: {problem}") from None


def _read_keys(path: Path) -> Manifest:
    try:
        with zipfile.ZipFile(path) as keys:
            return _manifest.decode(keys.read(MANIFEST))
    except (OSError, KeyError, zipfile.BadZipFile, msgspec.DecodeError) as problem:
        raise RestoreError(f"{path} is not a file of keys, or not a whole one: {problem}") from None


def _pages(rows: Iterator[Any]) -> Iterator[Sequence[Any]]:
    while page := list(islice(rows, PAGE)):
        yield page
