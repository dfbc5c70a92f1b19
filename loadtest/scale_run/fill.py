"""Fills a database with `fill/*.sql`: customers, conversations, messages and all that came of them, in time order.

What is sealed has the right size and cannot be opened: this is for plans and times, `bot seed` for something to read.
Secondary indexes are dropped meanwhile and made anew from their own definitions, which takes a third of the time.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

FILL = Path(__file__).parent / "fill"
BATCH = 64 * 1000
"""Conversations in one statement; a multiple of the 64 that go on at the same time."""
DAYS = 180
CUSTOMERS_SHARE = 3
"""Conversations for each customer."""
INDEXES = """
select schemaname, indexname, indexdef from pg_indexes
where schemaname = 'public' and indexname not in (select conname from pg_constraint)
order by tablename, indexname
"""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    conversations: int
    turns: int
    now: datetime

    @property
    def messages_a_day(self) -> int:
        return self.conversations * self.turns // DAYS

    @property
    def customers(self) -> int:
        return max(1, self.conversations // CUSTOMERS_SHARE)


Told = Callable[[str], None]


async def fill(connection: Any, size: Size, told: Told) -> None:
    """Fill an empty database with the current schema; it is analysed and vacuumed afterwards."""
    indexes = await connection.fetch(INDEXES)
    for index in indexes:
        await connection.execute(f"drop index {index['schemaname']}.{index['indexname']}")
    await connection.execute("set session_replication_role = replica; set synchronous_commit = off; set jit = off")
    await connection.execute(_statement("0_ids"))
    for name, arguments in _steps(size):
        began = time.monotonic()
        for values in arguments:
            await connection.execute(_statement(name), *values, timeout=None)
        told(f"{name}: {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    await connection.execute("set maintenance_work_mem = '1GB'")
    for index in indexes:
        await connection.execute(index["indexdef"], timeout=None)
    told(f"indexes: {time.monotonic() - began:.0f} s")
    await connection.execute("select setval(pg_get_serial_sequence('users', 'id'), max(id)) from users")
    await connection.execute("reset session_replication_role; reset synchronous_commit")
    began = time.monotonic()
    await connection.execute("vacuum analyze", timeout=None)
    told(f"vacuum and analyze: {time.monotonic() - began:.0f} s")


def _steps(size: Size) -> Sequence[tuple[str, Sequence[tuple[Any, ...]]]]:
    people = _ranges(size.customers, 1)
    talks = _ranges(size.conversations, 0)
    whole = (size.conversations, size.customers, DAYS, size.now)
    return (
        ("1_users", [(*part, size.customers, DAYS, size.now) for part in people]),
        ("2_identities", [(*part, size.now) for part in people]),
        ("3_conversations", [(*part, *whole) for part in talks]),
        ("4_messages", [(*part, *whole, size.turns) for part in talks]),
        ("5_model_calls", [(*part, *whole, size.turns) for part in talks]),
        ("6_journal", [(*part, *whole, size.turns) for part in talks]),
        ("7_effects", [(*part, *whole, size.turns) for part in talks]),
        ("8_audit", [(*part, *whole) for part in talks]),
        ("9_timers", [()]),
        ("10_reports", [(*part, size.now, DAYS, size.conversations) for part in talks]),
        ("11_outgoing", [(*part, *whole) for part in talks]),
    )


def _ranges(count: int, first: int) -> Sequence[tuple[int, int]]:
    """Numbers `first` to `first + count - 1` in batches, both ends included."""
    end = first + count
    return [(begin, min(begin + BATCH, end) - 1) for begin in range(first, end, BATCH)]


def _statement(name: str) -> str:
    return (FILL / f"{name}.sql").read_text()
