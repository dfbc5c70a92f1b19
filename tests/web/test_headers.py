"""What every answer of the whole application says to a browser, of whichever part it comes and however it ends."""

from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from bot.web.errors import api_errors
from bot.web.headers import NOTHING_RUNS, SAFE_HEADERS, make_safe
from bot.web.health import Health
from tests.web.api_caller import TOKEN
from tests.web.api_desk import MemoryDesk
from tests.web.api_world import MemoryRecords, a_scene
from tests.web.test_api import application

StartClient = Callable[[web.Application], Awaitable[TestClient[web.Request, web.Application]]]
OWN_POLICY = {"/api/docs"}
"""Pages with styles of their own."""


async def broken(_: web.Request) -> web.Response:
    raise RuntimeError("a defect")


@pytest.fixture
async def client(aiohttp_client: StartClient) -> TestClient[web.Request, web.Application]:
    records = MemoryRecords(a_scene())
    app = application(records, MemoryDesk(records))
    app.on_response_prepare.append(make_safe)
    app.router.add_get("/api/broken", broken)
    Health(checks={}, vital=()).add_to(app)
    assert api_errors in app.middlewares
    return await aiohttp_client(app)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("/health", 200), ("/ready", 200), ("/metrics", 200), ("/api/docs", 200), ("/api/v1/openapi.json", 200)),
        *(("/api/v1/flows", 200), ("/api/v1/conversations/1", 404), ("/nowhere", 404), ("/api/broken", 500)),
        *(("/api/v1/messages", 405), ("/api/v1/stats?from=x", 400), ("/../../etc/passwd", 404), ("/%2e%2e/etc", 404)),
    ],
)
async def test_every_answer_is_safe_for_a_browser(
    client: TestClient[web.Request, web.Application], path: str, status: int
) -> None:
    async with client.get(path, headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
        assert answer.status == status
        wanted = dict(SAFE_HEADERS)
        if path in OWN_POLICY:
            wanted["Content-Security-Policy"] = f"{NOTHING_RUNS}; style-src 'unsafe-inline'"
        assert {name: answer.headers.get(name) for name in wanted} == wanted
        assert "Strict-Transport-Security" not in answer.headers
        assert answer.headers.getall("Server") == ["desk"]


async def test_a_page_keeps_nobody_s_words_and_runs_in_no_frame() -> None:
    assert "frame-ancestors 'none'" in NOTHING_RUNS
    assert SAFE_HEADERS["Cache-Control"] == "no-store"
    assert not [value for value in SAFE_HEADERS.values() if "aiohttp" in value.lower() or "python" in value.lower()]
