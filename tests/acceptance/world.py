"""The whole system as an operator would run it: real stores, the sandbox, and the service as a process of its own."""

import asyncio
import itertools
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from bot.sandbox.server import create_app
from bot.sandbox.settings import SandboxSettings

ROOT = Path(__file__).resolve().parent.parent.parent
SECRET = "acceptance-secret"
OUR_NUMBER = "919000000001"
KEY = "test:" + "QUFB" * 10 + "QUE="
FIRST_PORT, PORTS = 12_000, 18_000
_ports = itertools.cycle(FIRST_PORT + (os.getpid() * 97 + place) % PORTS for place in range(PORTS))
PATIENCE = 30.0
"""Seconds that something may take to come true before a test fails."""


def free_port() -> int:
    """A port below those that the system gives to outgoing connections: none of them takes it before it is used."""
    return next(port for port in _ports if is_free(port))


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def until(holds: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """The first true value of `holds` (which may be a coroutine function), looked for until it comes."""
    end = time.monotonic() + seconds
    while True:
        value = holds()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"did not come true in {seconds:.0f} s: {what}")
        await asyncio.sleep(0.02)


class Sandbox:
    """The stand-in provider and model, in the test's own process."""

    def __init__(self, session: aiohttp.ClientSession, webhook_port: int, **settings: Any) -> None:
        self._session = session
        self._settings = SandboxSettings(
            port=free_port(),
            webhook_url=f"http://127.0.0.1:{webhook_port}/webhook/msg91",
            webhook_secret=SECRET,
            integrated_numbers=(OUR_NUMBER,),
            webhook_backoff=0.2,
            webhook_attempts=settings.pop("webhook_attempts", 1),
            **settings,
        )
        self.url = f"http://127.0.0.1:{self._settings.port}"
        self._runner = web.AppRunner(create_app(self._settings), access_log=None, shutdown_timeout=1.0)

    async def start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._settings.port).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        data = orjson.dumps(body) if body is not None else None
        async with self._session.request(method, self.url + path, data=data) as answer:
            document = orjson.loads(await answer.read())
            assert answer.status == 200, document
            return document

    async def behave(self, **apis: Any) -> None:
        await self.call("POST", "/sandbox/behaviour", apis)

    async def replies(self, phone: str) -> list[str]:
        """The texts that reached this customer, in order."""
        return [message["text"] for message in await self.call("GET", f"/sandbox/messages?to={phone}")]

    async def messages(self, phone: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.call("GET", f"/sandbox/messages?to={phone}")
        return found


class Service:
    """`bot serve` as a process."""

    def __init__(self, session: aiohttp.ClientSession, port: int, log: Path, **environment: str) -> None:
        self._session = session
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        self.environment = environment
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start, and return when webhooks are taken."""
        await self.launch()
        await until(self.healthy, "the service answers /health", 60.0)

    async def launch(self) -> None:
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bot",
                "serve",
                cwd=ROOT,
                stdout=output,
                stderr=output,
                env={**os.environ, "PORT": str(self.port), **self.environment},
                start_new_session=True,
            )

    async def healthy(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, self.log.read_text()[-3000:]
        try:
            async with self._session.get(f"{self.url}/health") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def kill(self) -> None:
        """SIGKILL: nothing is finished, nothing is said."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()

    async def terminate(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return await self._process.wait()

    async def ended(self) -> int:
        """The exit code of a process that ends by itself."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), PATIENCE)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def post(self, body: Any, **headers: str) -> tuple[int, Any]:
        """One webhook; status 0 when the connection broke."""
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        try:
            async with self._session.post(
                f"{self.url}/webhook/msg91",
                data=data,
                headers={"X-Webhook-Secret": SECRET, "Content-Type": "application/json", **headers},
            ) as answer:
                return answer.status, orjson.loads(await answer.read())
        except (aiohttp.ClientError, TimeoutError):
            return 0, None

    async def say(self, phone: str, text: str, identity: str, **fields: Any) -> tuple[int, Any]:
        """One text in the plain shape, written now."""
        body = {"from": phone, "text": text, "messageId": identity, "timestamp": time.time(), **fields}
        return await self.post(body)

    async def api(
        self, method: str, path: str, body: Any = None, token: str = "admin", **headers: str
    ) -> tuple[int, Any]:
        async with self._session.request(
            method,
            f"{self.url}/api/v1{path}",
            data=orjson.dumps(body) if body is not None else None,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers},
        ) as answer:
            return answer.status, orjson.loads(await answer.read())

    async def metric(self, name: str) -> float:
        """The sum of all series of a metric."""
        async with self._session.get(f"{self.url}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in lines
            if line.split("{")[0].split(" ")[0] == name and not line.startswith("#")
        )

    async def ready(self) -> tuple[int, Any]:
        async with self._session.get(f"{self.url}/ready") as answer:
            return answer.status, orjson.loads(await answer.read())


def environment(database_url: str, redis_url: str, sandbox: Sandbox, **more: str) -> dict[str, str]:
    """What the service is told, with times made short."""
    return {
        "ENVIRONMENT": "production",
        "HOST": "127.0.0.1",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "MSG91_AUTH_KEY": "key",
        "MSG91_SENDER_ID": OUR_NUMBER,
        "MSG91_BASE_URL": f"{sandbox.url}/api/v5",
        "MSG91_WEBHOOK_SECRET": SECRET,
        "OPENROUTER_API_KEY": "key",
        "OPENROUTER_BASE_URL": f"{sandbox.url}/api/v1",
        "OPENROUTER_PRIMARY_MODEL": "stand-in/first",
        "OPENROUTER_FALLBACK_MODEL": "stand-in/second",
        "ENCRYPTION_KEYS": KEY,
        "ADMIN_TOKEN": "admin",
        "API_RATE": "1000",
        "API_BURST": "10000",
        "LEASE_SECONDS": "1.5",
        "QUIET_MOMENT": "0.2",
        "FLOWS_DIR": str(ROOT / "tests" / "acceptance" / "flows"),
        "SQL_DIR": str(ROOT / "sql"),
        "DRAIN_SECONDS": "10",
        **more,
    }
