"""A PostgreSQL and a Redis of their own for each database, so that what each costs can be told apart."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg

from bot.adapters.embedded import Embedded, EmbeddedUrls

FILLING: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_wal_size": "8GB",
    "shared_buffers": "1GB",
}
"""Settings while a database is filled: it is made anew when the machine fails meanwhile."""
SERVING: Final = {"shared_buffers": "1GB"}
"""Everything else as PostgreSQL comes: durable, with autovacuum."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def served(folder: Path, settings: Mapping[str, str]) -> AsyncIterator[EmbeddedUrls]:
    """Both servers under `folder`, PostgreSQL with these settings and no others."""
    async with Embedded(folder) as urls:
        connection = await asyncpg.connect(urls.database)
        await connection.execute("alter system reset all")
        for name, value in settings.items():
            await connection.execute(f"alter system set {name} = '{value}'")
        await connection.close()
    async with Embedded(folder) as urls:
        yield urls


async def forget_gaps(folder: Path, table: str) -> None:
    """Remove the free space map of a table that was filled at once: it sends each new row to another old page.

    A table that grew row by row has used such gaps up as they came. PostgreSQL makes a new map when it vacuums.
    """
    async with Embedded(folder, redis=False) as urls:
        connection = await asyncpg.connect(urls.database)
        place = await connection.fetchval("select pg_relation_filepath($1::text::regclass)", table)
        await connection.execute("checkpoint", timeout=None)
        await connection.close()
    (folder / "postgres" / f"{place}_fsm").unlink(missing_ok=True)


def postgres_seconds(folder: Path) -> float:
    """Processor time of all processes of the server under `folder`, also of those that ended."""
    first = int((folder / "postgres" / "postmaster.pid").read_text().split()[0])
    total = 0
    for directory in Path("/proc").iterdir():
        if directory.name.isdecimal():
            total += _ticks(directory, first)
    return total / _TICKS


def _ticks(directory: Path, first: int) -> int:
    """User and system time; of the first process also that of its children that ended."""
    try:
        fields = (directory / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    own, ended = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    if int(directory.name) == first:
        return own + ended
    return own if int(fields[1]) == first else 0
