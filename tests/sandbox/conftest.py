"""A running sandbox, and a tiny service behind its webhook that remembers what it was told and can answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bot.sandbox.server import create_app
from bot.sandbox.settings import SandboxSettings

OURS = "919000000001"
CUSTOMER = "919000000002"
KEY = {"authkey": "k"}
SEND = "/api/v5/whatsapp/whatsapp-outbound-message/"

Client = TestClient[web.Request, web.Application]
Start = Callable[..., Awaitable[Client]]


class Service:
    """What stands behind the webhook: keeps bodies and headers, and answers as told."""

    def __init__(self) -> None:
        self.bodies: asyncio.Queue[Any] = asyncio.Queue()
        self.headers: list[dict[str, str]] = []
        self.statuses: list[int] = []
        self.alive = True
        self.react: Callable[[dict[str, Any]], Awaitable[None]] | None = None
        self.url = ""
        self._tasks: set[asyncio.Future[None]] = set()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/hook", self._ping)
        app.router.add_post("/hook", self._take)
        return app

    async def next(self) -> Any:
        """The next body that was posted."""
        return await asyncio.wait_for(self.bodies.get(), 5)

    async def report(self, status: str) -> dict[str, Any]:
        """The next report of that status; what comes before it is passed over."""
        while True:
            body = await self.next()
            if body.get("eventName") == status or body.get("status") == status:
                return dict(body)

    async def _ping(self, _request: web.Request) -> web.Response:
        return web.Response(status=200 if self.alive else 503)

    async def _take(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        self.headers.append(dict(request.headers))
        status = self.statuses.pop(0) if self.statuses else 200 if self.alive else 503
        if status == 200 and self.react is not None:
            task = asyncio.ensure_future(self.react(body))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self.bodies.put_nowait(body)
        return web.json_response({"status": "accepted"}, status=status)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    told = Service()
    server = TestServer(told.app())
    await server.start_server()
    told.url = str(server.make_url("/hook"))
    yield told
    await server.close()


@pytest.fixture
async def start(service: Service) -> AsyncIterator[Start]:
    clients: list[Client] = []

    async def begin(**changes: Any) -> Client:
        told = {"webhook_url": service.url, "report_gap": 0.0, "webhook_backoff": 0.0, "heartbeat": 0.05, **changes}
        client: Client = TestClient(TestServer(create_app(SandboxSettings(**told))))
        await client.start_server()
        clients.append(client)
        return client

    yield begin
    for client in clients:
        await client.close()


@pytest.fixture
async def box(start: Start) -> Client:
    """A sandbox with the usual settings."""
    return await start()


def text_to(to: str = CUSTOMER, text: str = "Hello", **more: Any) -> dict[str, Any]:
    return {"integrated_number": OURS, "recipient_number": to, "content_type": "text", "text": text, **more}


async def send(client: Client, body: dict[str, Any], path: str = SEND) -> tuple[int, Any]:
    async with client.post(path, json=body, headers=KEY) as response:
        return response.status, orjson.loads(await response.read())


async def behave(client: Client, document: dict[str, Any]) -> None:
    async with client.post("/sandbox/behaviour", json=document) as response:
        assert response.status == 200, await response.text()


async def sent_to(client: Client, to: str = CUSTOMER) -> list[dict[str, Any]]:
    async with client.get("/sandbox/messages", params={"to": to}) as response:
        return list(await response.json())


async def customer_says(client: Client, **document: Any) -> dict[str, Any]:
    async with client.post("/sandbox/customer", json={"from": CUSTOMER, **document}) as response:
        assert response.status == 200, await response.text()
        return dict(await response.json())
