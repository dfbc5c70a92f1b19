"""`bot backup` and `bot restore` (docs/operations.md)."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from bot.adapters.postgres.backup import KEYS_FILE, MANIFEST, Backup
from bot.adapters.postgres.programs import ProgramError
from bot.adapters.postgres.queries import load_queries
from bot.adapters.postgres.restore import Restore, RestoreError
from bot.app import NotReady
from bot.commands.keys import service_keys
from bot.config import Settings
from bot.ports.failures import Unacceptable

OURS_ALONE = 0o077
"""What others than the owner may not do with the files."""


async def backup(settings: Settings, folder: Path, *, keys_only: bool) -> None:
    """A backup, and after it the keys: so they are never older than the backup. Raises `NotReady`."""
    maker = Backup(settings.database_url, load_queries(settings.sql_dir), service_keys(settings))
    with _alone(folder), _told():
        if not keys_only:
            place = folder / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
            unopened = await maker.make(_made(place))
            click.echo(f"backup: {place}")
            if unopened:
                click.echo(f"bot: {unopened} events that wait open with no key and are not in it", err=True)
        click.echo(f"keys: {await maker.write_keys(folder)}; keep no older copy of this file")


async def restore(settings: Settings, dump: Path, keys_file: Path | None) -> None:
    """Bring a backup back. Raises `NotReady`."""
    if not (dump / MANIFEST).is_file():
        raise NotReady(f"{dump} is not a backup: name the folder that `bot backup` printed")
    work = Restore(settings.database_url, settings.sql_dir, load_queries(settings.sql_dir), service_keys(settings))
    with _told():
        done = await work.bring_back(dump, keys_file or dump.parent / KEYS_FILE)
    click.echo(f"customers: {done.customers}; erased: {done.erased}; events that wait: {done.events}")
    click.echo("restored; empty the Redis of the service before you start it on this database")


def _made(place: Path) -> Path:
    place.mkdir()
    return place


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time: an older file of keys must not take the place of a newer one."""
    before = os.umask(OURS_ALONE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    finally:
        os.umask(before)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (ProgramError, RestoreError, Unacceptable) as problem:
        raise NotReady(str(problem)) from None
