"""A short real run of the crowd: locust against a running service, and what it says when a promise is broken."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest_asyncio

from loadtest.people_run.report import KEPT
from loadtest.people_run.world import PEOPLE_FLOWS
from tests.acceptance.sharing import shared_stage
from tests.acceptance.stage import Stage
from tests.acceptance.world import ROOT, SECRET
from tests.conftest import Servers


@pytest_asyncio.fixture
async def stage(servers: Servers, tmp_path: Path) -> AsyncIterator[Stage]:
    async with shared_stage(servers, tmp_path, FLOWS_DIR=str(PEOPLE_FLOWS), MSG91_RATE="10000") as stage:
        yield stage


async def crowd(stage: Stage, report: Path, **options: object) -> tuple[int, str]:
    """The exit code of locust, and what it said."""
    usual = {
        "--host": stage.service.url,
        "--sandbox": stage.sandbox.url,
        "--webhook-secret": SECRET,
        "--admin-token": "admin",
        "--users": 30,
        "--spawn-rate": 30,
        "--run-time": "5s",
        "--think": 0.8,
        "--patience": 10,
        "--report": report,
    }
    given = {**usual, **{f"--{name}": value for name, value in options.items()}}
    words = [str(word) for pair in given.items() for word in pair]
    command = [sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--headless", "--only-summary", *words]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return await process.wait(), output.decode()


async def test_thirty_people_talk_for_some_seconds_and_every_promise_is_kept(stage: Stage, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    code, told = await crowd(stage, report)
    assert code == 0, told
    assert KEPT in told
    found = orjson.loads(report.read_bytes())
    figures = found["figures"]
    assert found["broken"] == []
    assert figures["people"] >= figures["compared"] >= 25
    assert figures["came"] == figures["wanted"] > 50
    assert figures["ends"]["flow"]["p50"] > 0


async def test_a_service_that_answers_in_other_words_ends_the_run_with_an_error(
    servers: Servers, tmp_path: Path
) -> None:
    flows = tmp_path / "flows"
    flows.mkdir()
    for file in PEOPLE_FLOWS.iterdir():
        (flows / file.name).write_text(re.sub("Heard ", "Herd ", file.read_text()))
    async with shared_stage(servers, tmp_path, FLOWS_DIR=str(flows)) as stage:
        code, told = await crowd(stage, tmp_path / "report.json", **{"run-time": "2s", "users": 8, "rest": 1})
    assert code == 1, told
    assert "x acknowledged and not answered (P1)" in told
    assert "x sent without a cause" in told
