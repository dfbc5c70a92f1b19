"""Calls of the API as traces see them: by route, failed when we failed, and nobody's when the caller is nobody."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from bot.adapters.tracing import OtelTracer
from bot.runtime.tracing import Tracing
from bot.web.tracing import traced_api, traced_webhook
from tests.acceptance.collector import Collector, collecting

Serve = Callable[[web.Application], Awaitable[TestClient[Any, Any]]]


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    async with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector


@pytest.mark.parametrize(
    ("status", "told", "failed"), [(200, 1, False), (404, 1, False), (401, 0, False), (429, 0, False), (503, 1, True)]
)
async def test_a_call_is_told_by_its_route_and_status(
    collector: Collector, aiohttp_client: Serve, status: int, told: int, failed: bool
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status)

    tracer = OtelTracer(version="1", replica="blue")
    app = web.Application(middlewares=traced_api(Tracing(tracer, fingerprint=lambda *_: b"", asking={})))
    app.router.add_get("/users/{phone}", answer)
    client = await aiohttp_client(app)
    assert (await client.get("/users/919000000002")).status == status
    await tracer.close(5.0)
    assert [span.failed for span in collector.spans] == [failed] * told
    for span in collector.spans:
        assert span.attributes["http.route"] == "/users/{phone}"
        assert "919000000002" not in str(span)


async def test_an_address_that_is_nobodys_has_no_route(collector: Collector, aiohttp_client: Serve) -> None:
    tracer = OtelTracer(version="1", replica="blue")
    app = web.Application(middlewares=traced_api(Tracing(tracer, fingerprint=lambda *_: b"", asking={})))
    client = await aiohttp_client(app)
    assert (await client.get("/919000000002")).status == 404
    await tracer.close(5.0)
    (told,) = collector.spans
    assert (told.attributes["error.type"], "http.route" in told.attributes) == ("HTTPNotFound", False)
    assert "919000000002" not in str(told)


def test_while_traces_are_off_nothing_stands_before_anything() -> None:
    assert traced_api(None) == []
    assert traced_webhook(None) is None
