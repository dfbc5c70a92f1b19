"""Is it alive, may it have traffic: what stands in the answer, and when it is 503."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from bot.web import health as health_module
from bot.web.health import Check, Health

Client = TestClient[web.Request, web.Application]
Making = Callable[[web.Application], Awaitable[Client]]


async def well() -> str:
    return "answers"


async def ill() -> str:
    raise RuntimeError("it is broken: mend it")


async def speechless() -> str:
    raise RuntimeError


async def hanging() -> str:
    await asyncio.Event().wait()
    return "never"


async def asked(aiohttp_client: Making, *, stopping: bool = False, **checks: Check) -> tuple[int, Any]:
    vital = (frozenset({"intake"}), frozenset({"database", "redis"}))
    health = Health(checks={"database": well, "redis": well, "intake": well, **checks}, vital=vital)
    health.stopping = stopping
    app = web.Application()
    health.add_to(app)
    client = await aiohttp_client(app)
    assert (await client.get("/health")).status == 200
    async with client.get("/ready") as answer:
        return answer.status, orjson.loads(await answer.read())


async def test_all_well_is_ready(aiohttp_client: Making) -> None:
    status, said = await asked(aiohttp_client)
    assert (status, said["status"], said["degraded"]) == (200, "ready", [])
    assert said["checks"]["database"] == {"ok": True, "detail": "answers"}


@pytest.mark.parametrize("part", ["database", "redis"])
async def test_one_of_two_parts_that_stand_in_for_each_other_only_degrades(aiohttp_client: Making, part: str) -> None:
    status, said = await asked(aiohttp_client, **{part: ill})  # type: ignore[arg-type]
    assert (status, said["status"], said["degraded"]) == (200, "ready", [part])
    assert said["checks"][part] == {"ok": False, "detail": "it is broken: mend it"}


async def test_without_a_vital_part_there_is_no_traffic(aiohttp_client: Making) -> None:
    status, said = await asked(aiohttp_client, database=speechless, redis=ill)
    assert (status, said["status"], said["degraded"]) == (503, "not ready", ["database", "redis"])
    assert said["checks"]["database"] == {"ok": False, "detail": "RuntimeError"}
    status, said = await asked(aiohttp_client, intake=ill)
    assert (status, said["status"], said["degraded"]) == (503, "not ready", ["intake"])


async def test_a_check_that_hangs_has_failed(aiohttp_client: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "CHECK_SECONDS", 0.1)
    status, said = await asked(aiohttp_client, redis=hanging)
    assert (status, said["degraded"]) == (200, ["redis"])
    assert said["checks"]["redis"]["detail"].startswith("no answer within")


async def test_who_stops_is_not_ready(aiohttp_client: Making) -> None:
    status, said = await asked(aiohttp_client, stopping=True)
    assert (status, said["status"]) == (503, "stopping")
