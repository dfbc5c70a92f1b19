"""The proxy of docker-compose.yml: its configuration read, and run where there is an HAProxy.

A webhook that one replica refuses, or is too dead to refuse, is answered by another. Nothing else is open to the world.
"""

import asyncio
import io
import re
import shutil
from asyncio.subprocess import DEVNULL
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from bot.config import Settings
from tests.acceptance.world import free_port, until
from tests.deployment.code import paths
from tests.deployment.compose import DEVELOPMENT, REPLICAS, resolved

CONFIGURATION: str = resolved(DEVELOPMENT)["configs"]["haproxy"]["content"]
HAPROXY = shutil.which("haproxy") or shutil.which("/usr/sbin/haproxy")
WEBHOOK = "/webhook/msg91"
LARGE = 1024 * 1024
SEND = "/api/v1/messages"


def test_it_knows_every_replica_by_its_port() -> None:
    servers = set(re.findall(r"^ +server (\S+) (\S+)", CONFIGURATION, re.MULTILINE))
    assert servers == {(name, f"{name}:{Settings().port}") for name in REPLICAS}
    published = resolved(DEVELOPMENT)["services"]["proxy"]["ports"]
    assert [port.rpartition(":")[2] for port in published] == ["8081"]
    assert re.findall(r"bind :(\d+)", CONFIGURATION) == ["8080", "8081"]


def test_its_paths_exist() -> None:
    assert set(re.findall(r"(?<= )(?:path|GET) (/\S+)", CONFIGURATION)) == {WEBHOOK, "/ready"}
    assert {WEBHOOK, "/ready"} <= paths()


def test_no_customer_belongs_to_a_replica() -> None:
    assert not re.search(r"cookie|stick|balance (source|hdr|uri|hash)", CONFIGURATION)


class Replicas:
    """Stand-ins that count; each may be told to refuse, or to hang up on whoever asks."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.manners: dict[str, str] = {}
        self.ports: dict[str, int] = {}
        self.runners: dict[str, web.AppRunner] = {}

    async def start(self, name: str) -> None:
        app = web.Application(client_max_size=8 * LARGE)
        app.router.add_get("/ready", self._ready)
        app.router.add_route("*", "/{path:.*}", partial(self._take, name))
        runner = self.runners[name] = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.ports[name] = runner.addresses[0][1]

    async def stop(self) -> None:
        for runner in self.runners.values():
            await runner.cleanup()

    async def _ready(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _take(self, name: str, request: web.Request) -> web.Response:
        await request.read()
        self.taken[name] += 1
        manner = self.manners.get(name)
        if manner == "hangs up" and request.transport is not None:
            request.transport.abort()
        return web.Response(status=503 if manner == "refuses" else 200)


class Proxy:
    def __init__(self, replicas: Replicas, session: aiohttp.ClientSession) -> None:
        self.replicas = replicas
        self.outside, self.inside = free_port(), free_port()
        self._session = session

    def configuration(self) -> str:
        local = re.sub(r"(bot-\d):8000", lambda found: f"127.0.0.1:{self.replicas.ports[found[1]]}", CONFIGURATION)
        local = local.replace("bind :8080", f"bind 127.0.0.1:{self.outside}")
        return local.replace("bind :8081", f"bind 127.0.0.1:{self.inside}")

    async def post(self, path: str, *, port: int | None = None, size: int = 500) -> int:
        """The status. A large body is sent only when the proxy says that it wants it."""
        url, body = f"http://127.0.0.1:{port or self.outside}{path}", io.BytesIO(b"x" * size)
        async with self._session.post(url, data=body, expect100=size > LARGE) as answer:
            return answer.status

    async def many(self, path: str, *, port: int | None = None) -> Counter[int]:
        return Counter(await asyncio.gather(*(self.post(path, port=port) for _ in range(30))))

    async def alive(self) -> bool:
        try:
            async with self._session.get(f"http://127.0.0.1:{self.inside}/proxy-alive") as answer:
                return answer.status == 200
        except aiohttp.ClientConnectionError:
            return False


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    if HAPROXY is None:
        pytest.skip("haproxy is not installed here: its configuration was read, but not run")
    replicas = Replicas()
    for name in REPLICAS:
        await replicas.start(name)
    async with aiohttp.ClientSession() as session:
        made = Proxy(replicas, session)
        file = tmp_path / "haproxy.cfg"
        file.write_text(made.configuration(), encoding="utf-8")
        process = await asyncio.create_subprocess_exec(HAPROXY, "-f", str(file), stdout=DEVNULL, stderr=DEVNULL)
        try:
            await until(made.alive, "the proxy is up")
            yield made
        finally:
            process.terminate()
            await process.wait()
            await replicas.stop()


async def test_every_replica_has_its_share(proxy: Proxy) -> None:
    assert await proxy.many(WEBHOOK) == {200: 30}
    assert {proxy.replicas.taken[name] for name in REPLICAS} == {10}


@pytest.mark.parametrize("manner", ["refuses", "hangs up"])
async def test_a_webhook_that_one_replica_does_not_take_is_taken_by_another(proxy: Proxy, manner: str) -> None:
    proxy.replicas.manners["bot-2"] = manner
    assert await proxy.many(WEBHOOK) == {200: 30}
    assert proxy.replicas.taken["bot-2"] >= 10


async def test_a_replica_that_is_gone_is_noticed_by_nobody(proxy: Proxy) -> None:
    await proxy.replicas.runners["bot-1"].cleanup()
    assert await proxy.many(WEBHOOK) == {200: 30}
    assert await proxy.many(SEND, port=proxy.inside) == {200: 30}


async def test_what_an_operator_sends_is_not_sent_twice(proxy: Proxy) -> None:
    proxy.replicas.manners.update(dict.fromkeys(REPLICAS, "refuses"))
    assert await proxy.many(SEND, port=proxy.inside) == {503: 30}
    assert proxy.replicas.taken.total() == 30


async def test_the_world_reaches_the_webhook_and_nothing_else(proxy: Proxy) -> None:
    assert [await proxy.post(path) for path in (SEND, "/metrics", "/", f"{WEBHOOK}/x")] == [404] * 4
    assert await proxy.post(WEBHOOK, size=4 * LARGE) == 413
    assert proxy.replicas.taken.total() == 0
    assert await proxy.post(WEBHOOK, size=2 * LARGE) == 200


async def test_without_any_replica_the_provider_is_asked_to_come_again(proxy: Proxy) -> None:
    await proxy.replicas.stop()
    async with aiohttp.ClientSession() as session, session.post(f"http://127.0.0.1:{proxy.outside}{WEBHOOK}") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
        assert (await answer.json())["error"]["code"] == "unavailable"
