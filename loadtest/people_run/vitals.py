"""What a running service uses, looked at from outside: memory, descriptors, connections, live conversations, tables."""

import time
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg
import msgspec

from loadtest.people_run.world import World

GAUGES: Final = ("bot_live_conversations", "bot_outbox_waiting", "bot_mailbox_letters", "bot_journal_backlog")
"""Of `/metrics`, summed over their series; a live conversation is an actor, the service's unit of work."""
TABLES: Final = """
select relname, pg_total_relation_size(relid)::bigint as bytes, n_live_tup::bigint, n_dead_tup::bigint
from pg_stat_user_tables order by 2 desc
"""
CONNECTIONS: Final = "select count(*) from pg_stat_activity where backend_type = 'client backend'"


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One look: unix seconds, resident memory in KB, counts."""

    at: float
    memory: int
    descriptors: int
    threads: int
    connections: int
    gauges: dict[str, float]


class Table(msgspec.Struct, frozen=True):
    """A table with its indexes: bytes, rows, and dead rows that wait for vacuum, as PostgreSQL estimates them."""

    name: str
    bytes: int
    live: int
    dead: int


async def look(world: World) -> Look:
    """Everything at this moment; the look's own connection to PostgreSQL is not counted."""
    pid = world.service.process.pid
    return Look(
        at=time.time(),
        memory=memory(pid),
        descriptors=entries(pid, "fd"),
        threads=entries(pid, "task"),
        connections=int(await world.postgres.value(CONNECTIONS)) - 1,
        gauges=await _gauges(world),
    )


def memory(pid: int) -> int:
    """KB that the process has in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def entries(pid: int, folder: str) -> int:
    """How many there are of what the kernel lists in a folder of the process."""
    return len(list(Path(f"/proc/{pid}/{folder}").iterdir()))


def waited(pid: int) -> float:
    """Seconds that its threads were ready to run and had no processor: what the machine did, and not the process."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[1]) for task in tasks) / 1e9


async def tables(world: World) -> list[Table]:
    """Every table, the largest first."""
    connection = await asyncpg.connect(world.postgres.url)
    try:
        return [Table(*row.values()) for row in await connection.fetch(TABLES)]
    finally:
        await connection.close()


async def _gauges(world: World) -> dict[str, float]:
    try:
        async with world.session.get(f"{world.service.url}/metrics") as answer:
            return gauges(await answer.text())
    except (aiohttp.ClientError, TimeoutError):
        return {}


def gauges(text: str) -> dict[str, float]:
    """The sums of those in `GAUGES` that Prometheus's text has."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        name = line.split("{", 1)[0].split(" ", 1)[0]
        if name in GAUGES:
            found[name] = found.get(name, 0.0) + float(line.rsplit(" ", 1)[1])
    return found
