"""Real Prometheus scrapes a running service under a little traffic, and answers what every panel asks."""

import asyncio
import math
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.acceptance.sharing import new_phone
from tests.acceptance.stage import Stage, staged
from tests.acceptance.world import free_port, until
from tests.monitoring.files import DASHBOARDS, MONITORING, NOT_HERE, PROMETHEUS, alerts, document, queries, recorded

pytestmark = pytest.mark.skipif(PROMETHEUS is None, reason=NOT_HERE)

EVERY = "500ms"
"""Between scrapes, and between looks at the rules."""
CHOSEN = {"$__rate_interval": "30s", "$replica": ".*"}
"""What Grafana puts in the place of its variables."""
EMPTY = {"Alerts": "a service that is well has no alert"}
"""Panels that may show nothing, and why."""
HOURS = "What are your opening hours?"
FAILURE = {"status": 400, "body": {"hasError": True, "errors": "(#131009) Parameter value is not valid"}}


class Prometheus:
    """The server with our configuration, but for the targets and the times, which are short."""

    def __init__(self, session: aiohttp.ClientSession, folder: Path) -> None:
        self._session = session
        self._folder = folder
        self._port = free_port()

    @asynccontextmanager
    async def running(self, target: str) -> AsyncIterator[None]:
        assert PROMETHEUS is not None
        log = self._folder / "prometheus.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                PROMETHEUS,
                f"--config.file={self._configure(target)}",
                f"--storage.tsdb.path={self._folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self._port}",
                stdout=output,
                stderr=output,
                env={**os.environ, "GOMAXPROCS": "1"},
            )
        try:
            await until(lambda: self._answers(process, log), "Prometheus is ready")
            yield
        finally:
            process.kill()
            await process.wait()

    async def ask(self, query: str) -> list[Any]:
        """The samples of an instant query, those that are no number left out."""
        answer = await self.get("query", query=query)
        found = answer["result"]
        samples = [found] if answer["resultType"] == "scalar" else [series["value"] for series in found]
        return [sample for sample in samples if not math.isnan(float(sample[1]))]

    async def get(self, what: str, **asked: str) -> Any:
        async with self._session.get(f"http://127.0.0.1:{self._port}/api/v1/{what}", params=asked) as answer:
            told = await answer.json()
        assert told["status"] == "success", told
        return told["data"]

    def _configure(self, target: str) -> Path:
        configuration = document(MONITORING / "prometheus.yml")
        times = {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY}
        configuration["global"] = times
        configuration["rule_files"] = [str(MONITORING / path) for path in configuration["rule_files"]]
        configuration["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
        path = self._folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(configuration), encoding="utf-8")
        return path

    async def _answers(self, process: asyncio.subprocess.Process, log: Path) -> bool:
        assert process.returncode is None, said(log)
        try:
            async with self._session.get(f"http://127.0.0.1:{self._port}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


def said(log: Path) -> str:
    return log.read_text(encoding="utf-8")[-2000:]


async def traffic(stage: Stage) -> None:
    """A flow, an answer of the model, a message that MSG91 refuses, and a customer who wants a person."""
    talkative, curious, unreachable, impatient = (new_phone() for _ in range(4))
    await stage.sandbox.behave(msg91={"to": unreachable, **FAILURE})
    await stage.hear("hello", talkative)
    await stage.hear(HOURS, curious)
    await stage.hear("hello", unreachable)
    await stage.hear("agent", impatient)
    for phone in (talkative, curious, impatient):
        await stage.reached(1, phone)
    await until(lambda: stage.has_status("queue", impatient), "a person is asked")
    await stage.rest()


def asked() -> dict[str, str]:
    """Every query of every panel as Grafana would put it, with the place where it stands."""
    found = {}
    for path in DASHBOARDS:
        for title, expression in queries(path):
            for variable, value in CHOSEN.items():
                expression = expression.replace(variable, value)
            found[expression] = f"{path.stem}: {title}"
    return found


async def still_empty(prometheus: Prometheus, open_questions: dict[str, str]) -> bool:
    """Ask what was not answered yet, and keep what is not answered now."""
    for query in list(open_questions):
        if await prometheus.ask(query):
            del open_questions[query]
    return bool(open_questions)


async def test_every_panel_shows_something_and_no_alert_fires(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with staged(database_url, redis_url, tmp_path) as stage:
        prometheus = Prometheus(stage.session, tmp_path)
        async with prometheus.running(f"127.0.0.1:{stage.service.port}"):
            await until(lambda: prometheus.ask('up{job="bot", replica="127.0.0.1"} == 1'), "the service is scraped")
            await traffic(stage)
            left = {query: place for query, place in asked().items() if place.partition(": ")[2] not in EMPTY}
            try:
                await until(lambda: _none(prometheus, left), "every panel shows something", 10.0)
            except AssertionError:
                assert left == {}
            assert await prometheus.ask('ALERTS{alertstate="firing"}') == []
            assert await prometheus.ask("max(bot_model_day_cap_usd) == 20")
            assert await prometheus.get("label/replica/values") == ["127.0.0.1"]
            groups = (await prometheus.get("rules"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}
    assert len(rules) == len(alerts()) + len(recorded())


async def _none(prometheus: Prometheus, left: dict[str, str]) -> bool:
    return not await still_empty(prometheus, left)
