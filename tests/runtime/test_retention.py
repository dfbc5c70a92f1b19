"""Who removes what is old, when, and what happens when a part of it fails."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest
from prometheus_client import REGISTRY

from bot.ports.failures import Unavailable
from bot.ports.retention import Kind, Place, Removed
from bot.runtime.retention import PAGE, ROUND_SECONDS, SHARE, SHORTEST_PAUSE, Kept, Retention
from bot.runtime.tasks import Tasks
from tests.runtime.simulated_clock import SimulatedClock

DAY = 86_400.0
TICK = 0.01
KEPT = (Kept(kind="messages", seconds=10 * DAY), Kept(kind="audit", seconds=20 * DAY))


class Table:
    """Fulfils `Removals`: so many old rows of each kind; each page takes `seconds` of the clock."""

    def __init__(self, clock: SimulatedClock, *, seconds: float = 0.0, **rows: int) -> None:
        self.clock = clock
        self.seconds = seconds
        self.rows = rows
        self.is_mine = True
        self.away: set[str] = set()
        self.broken: set[str] = set()
        self.asked: list[tuple[str, float, Place | None]] = []

    async def mine(self, me: str) -> bool:
        if "replicas" in self.away:
            raise Unavailable("away")
        return self.is_mine and me == "me"

    async def remove(self, kind: Kind, *, before: float, after: Place | None, limit: int) -> Removed:
        self.asked.append((kind, before, after))
        if kind in self.away:
            raise Unavailable("away")
        if kind in self.broken:
            raise ZeroDivisionError
        await self.clock.sleep(self.seconds)
        rows = min(limit, self.rows.get(kind, 0))
        self.rows[kind] = self.rows.get(kind, 0) - rows
        return Removed(rows=rows, after=len(self.asked) if rows == limit else None)


class World:
    def __init__(self, clock: SimulatedClock, table: Table, others: Sequence[tuple[str, int]] = ()) -> None:
        self.table = table
        self.in_use = False
        self.said = 0
        self.left = dict(others)
        self.retention = Retention(
            me="me",
            removals=table,
            kept=KEPT,
            clock=clock,
            spool_in_use=lambda: self.in_use,
            in_force=self.in_force,
            others=[("idempotency", self.forget)] if others else (),
        )

    async def in_force(self) -> None:
        if "flow_versions" in self.table.away:
            raise Unavailable("away")
        self.said += 1

    async def forget(self, limit: int) -> int:
        rows = min(limit, self.left["idempotency"])
        self.left["idempotency"] -= rows
        return rows


async def finished(clock: SimulatedClock, work: Coroutine[Any, Any, None]) -> None:
    """Let as much time pass as `work` takes."""
    task = asyncio.ensure_future(work)
    await clock.settled()
    while not task.done():
        await clock.advance(TICK)
    await task


def counted(name: str, kind: str) -> float:
    return REGISTRY.get_sample_value(name, {"kind": kind}) or 0.0


def last_success() -> float:
    return REGISTRY.get_sample_value("bot_retention_last_success_timestamp") or 0.0


async def test_a_round_removes_all_that_is_old_page_by_page() -> None:
    clock = SimulatedClock()
    table = Table(clock, messages=2 * PAGE + 7, audit=3)
    before = counted("bot_retention_deleted_total", "messages")
    began = clock.now()
    await finished(clock, World(clock, table).retention.round())
    assert table.rows == {"messages": 0, "audit": 0}
    assert [kind for kind, _, _ in table.asked] == ["messages"] * 3 + ["audit"]
    assert [after for _, _, after in table.asked] == [None, 1, 2, None]
    assert next(moment for _, moment, _ in table.asked) == began - 10 * DAY
    assert counted("bot_retention_deleted_total", "messages") - before == 2 * PAGE + 7
    assert clock.now() - began == pytest.approx(2 * SHORTEST_PAUSE, abs=2 * TICK)
    assert last_success() == pytest.approx(clock.now(), abs=TICK)


async def test_the_longer_a_page_takes_the_longer_the_others_have_the_database() -> None:
    clock = SimulatedClock()
    table = Table(clock, seconds=1.0, messages=10 * PAGE - 1)
    began = clock.monotonic()
    await finished(clock, World(clock, table).retention.round())
    assert (10 * 1.0) / (clock.monotonic() - began) <= SHARE * 1.25


async def test_a_replica_that_is_not_the_first_only_says_which_flows_it_has_in_force() -> None:
    clock = SimulatedClock()
    table = Table(clock, messages=5)
    table.is_mine = False
    world = World(clock, table)
    await finished(clock, world.retention.round())
    assert (world.said, table.asked) == (1, [])


async def test_nothing_is_removed_while_webhooks_wait_in_the_spool() -> None:
    clock = SimulatedClock()
    table = Table(clock, messages=5)
    world = World(clock, table, [("idempotency", 3)])
    world.in_use = True
    said = last_success()
    await finished(clock, world.retention.round())
    assert (table.asked, world.left, last_success()) == ([], {"idempotency": 3}, said)


async def test_a_kind_that_fails_is_counted_and_the_others_go_on() -> None:
    clock = SimulatedClock()
    table = Table(clock, messages=5, audit=5)
    table.broken = {"messages"}
    said, failures = last_success(), counted("bot_retention_failures_total", "messages")
    world = World(clock, table)
    await finished(clock, world.retention.round())
    assert (table.rows, last_success()) == ({"messages": 5, "audit": 0}, said)
    assert counted("bot_retention_failures_total", "messages") == failures + 1
    table.broken, table.away = set(), {"messages"}
    await finished(clock, world.retention.round())
    assert counted("bot_retention_failures_total", "messages") == failures + 2
    table.away = set()
    await finished(clock, world.retention.round())
    assert last_success() == clock.now()


async def test_while_the_database_is_away_a_round_does_nothing() -> None:
    clock = SimulatedClock()
    for away in ("replicas", "flow_versions"):
        table = Table(clock, messages=5)
        table.away = {away}
        failures = counted("bot_retention_failures_total", away)
        await finished(clock, World(clock, table).retention.round())
        assert table.asked == []
        assert counted("bot_retention_failures_total", away) == failures + 1


async def test_kinds_that_know_their_own_time_are_asked_until_nothing_is_left() -> None:
    clock = SimulatedClock()
    world = World(clock, Table(clock), [("idempotency", 2 * PAGE + 1)])
    before = counted("bot_retention_deleted_total", "idempotency")
    await finished(clock, world.retention.round())
    assert world.left == {"idempotency": 0}
    assert counted("bot_retention_deleted_total", "idempotency") - before == 2 * PAGE + 1


async def test_rounds_come_again_and_again() -> None:
    clock = SimulatedClock()
    table = Table(clock, messages=5)
    tasks = Tasks()
    tasks.spawn(World(clock, table).retention.run(), "retention")
    for expected in (1, 2):
        await clock.advance(ROUND_SECONDS + 1)
        assert len([kind for kind, _, _ in table.asked if kind == "messages"]) == expected
    await tasks.cancel()
