"""A short run of `loadtest.chaos`: two replicas, both stores, a crowd, a fault of each sort; then everything counts."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.chaos_run.play import play
from loadtest.chaos_run.report import text
from loadtest.chaos_run.schedule import Fault
from loadtest.chaos_run.world import Plan

PLAN = Plan(replicas=2, customers=60, seconds=13.0, seed=1, rate=20.0, lease=1.5, settings={"DRAIN_SECONDS": "5"})
SCHEDULE = (
    Fault("kill", 1.5, 1.0, target=0),
    Fault("postgres-restart", 3.5, 0.5),
    Fault("pause", 6.0, 2.5, target=1),
    Fault("redis-lost", 9.5, 0.5),
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not below pytest's own folder, which every session closes to other users, and so to PostgreSQL's."""
    folder = Path(tempfile.mkdtemp(prefix="bot-chaos-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


async def test_a_crowd_loses_nothing_while_replicas_and_stores_are_killed_paused_and_restarted(folder: Path) -> None:
    run = await play(PLAN, folder, schedule=SCHEDULE)
    assert not run.broken, text(run)
    assert run.verdict.acknowledged == run.verdict.answered == len(run.asked)
    assert len(run.asked) > PLAN.rate * PLAN.seconds / 2
    assert [done.kind for done in run.done] == [fault.kind for fault in SCHEDULE]
    assert run.attempts["refused connection"] > 0
