"""Everything a run needs on this machine, started in order: stores, the sandbox as provider and model, one service."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from loadtest.chaos_run.process import ROOT, Process
from loadtest.chaos_run.replicas import Replica
from loadtest.chaos_run.stores import Postgres, RedisServer
from loadtest.chaos_run.world import first_port, free_ports
from loadtest.driver import OUR_NUMBER

SECRET: Final = "people-secret"
TOKEN: Final = "people-token"
KEPT: Final = 10_000_000
"""Messages the provider remembers: all of them."""
READY_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.5
"""Between two looks whether a process that does not answer yet still lives."""
LOG_SHOWN: Final = 2000
"""Characters of a process's log that are shown when it does not start."""
PEOPLE_FLOWS: Final = ROOT / "loadtest" / "people_run" / "flows"
MODEL_LATENCY: Final = {"lognormal": [0.8, 0.4]}
"""Of the stand-in model: a median of 0.8 s."""
SESSION_SECONDS: Final = 90.0
"""`SESSION_TIMEOUT` of the service: short, so that sessions end while somebody looks."""


class NotStarted(Exception):
    """A process ended before it was ready, or took too long; the message has the tail of its log."""


class World:
    """The processes and where they listen."""

    def __init__(self, folder: Path, flows: Path, settings: dict[str, str], session: aiohttp.ClientSession) -> None:
        ports = free_ports(first_port())
        self.session = session
        self.postgres = Postgres(folder / "postgres", next(ports))
        self.redis = RedisServer(folder / "redis", next(ports), next(ports))
        provider, service = next(ports), next(ports)
        self.sandbox_url = f"http://127.0.0.1:{provider}"
        self.sandbox = Process("sandbox", _sandbox(provider, service), folder / "sandbox.log")
        self._environment = {**_environment(self, flows), **settings}
        self._folder = folder
        self._ports = ports
        self.service = Replica(0, service, self._environment, folder, session)

    async def start(self) -> None:
        """Return when the service takes webhooks."""
        self.sandbox.launch()
        await asyncio.gather(self.postgres.start(), self.redis.launch(), self._behave())
        self.service.launch()
        await _until(self._takes_webhooks, self.service.process)

    async def stop(self) -> None:
        await self.service.terminate()
        await self.sandbox.stop(signal.SIGTERM, 5.0)
        await self.redis.stop()
        await self.postgres.stop()

    def another(self) -> Replica:
        """A second replica with the same settings; whoever launches it stops it."""
        return Replica(1, next(self._ports), self._environment, self._folder, self.session)

    async def heard(self) -> Any:
        """The body of `GET /sandbox/messages`."""
        async with self.session.get(f"{self.sandbox_url}/sandbox/messages") as answer:
            return await answer.read()

    async def counters(self) -> dict[str, int]:
        async with self.session.get(f"{self.sandbox_url}/sandbox/counters") as answer:
            return dict(orjson.loads(await answer.read()))

    async def _behave(self) -> None:
        await _until(self._takes_behaviour, self.sandbox)

    async def _takes_webhooks(self) -> bool:
        return await self.service.stands(LOOK_SECONDS)

    async def _takes_behaviour(self) -> bool:
        """The model takes its time, as models do."""
        document = orjson.dumps({"openrouter": {"latency": MODEL_LATENCY}})
        try:
            async with self.session.post(f"{self.sandbox_url}/sandbox/behaviour", data=document) as answer:
                answer.raise_for_status()
                return True
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0.05)
            return False


async def _until(ready: Callable[[], Awaitable[bool]], process: Process) -> None:
    """Return when it is; raises `NotStarted` as soon as its process has ended."""
    end = time.monotonic() + READY_SECONDS
    while not await ready():
        if process.lives and time.monotonic() < end:
            continue
        how = "takes too long to start" if process.lives else f"ended with code {process.code}"
        log = process.log.read_text(errors="replace")[-LOG_SHOWN:]
        raise NotStarted(f"{process.name} {how}; its log ends with\n{log}")


@asynccontextmanager
async def started(folder: Path, *, flows: Path = PEOPLE_FLOWS, **settings: str) -> AsyncIterator[World]:
    """A world that works, with more `settings` of the service; at the end it is stopped. Logs and data in `folder`."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        world = World(folder, flows, settings, session)
        try:
            await world.start()
            yield world
        finally:
            await world.stop()


def _sandbox(port: int, service: int) -> list[str]:
    settings = {
        "port": port,
        "webhook_url": f"http://127.0.0.1:{service}/webhook/msg91",
        "webhook_secret": SECRET,
        "webhook_timeout": 30,
        "integrated_numbers": OUR_NUMBER,
        "report_workers": 32,
        "kept": KEPT,
    }
    return [sys.executable, "-m", "bot.sandbox", *(f"{name}={value}" for name, value in settings.items())]


def _environment(world: World, flows: Path) -> dict[str, str]:
    """The defaults of production, but for the caps that a load test is there to pass."""
    return {
        "ENVIRONMENT": "production",
        "HOST": "127.0.0.1",
        "DATABASE_URL": world.postgres.url,
        "REDIS_URL": world.redis.url,
        "MSG91_AUTH_KEY": "people",
        "MSG91_SENDER_ID": OUR_NUMBER,
        "MSG91_BASE_URL": f"{world.sandbox_url}/api/v5",
        "MSG91_WEBHOOK_SECRET": SECRET,
        "MSG91_RATE": "100000",
        "OPENROUTER_API_KEY": "people",
        "OPENROUTER_BASE_URL": f"{world.sandbox_url}/api/v1",
        "OPENROUTER_PRIMARY_MODEL": "stand-in/first",
        "MODEL_WORKERS": "128",
        "MODEL_DAY_CAP": "1000000",
        "MODEL_CONVERSATION_CAP": "1000",
        "SESSION_TIMEOUT": f"{SESSION_SECONDS:g}",
        "ENCRYPTION_KEYS": "people:" + "QUFB" * 10 + "QUE=",
        "ADMIN_TOKEN": TOKEN,
        "API_RATE": "100000",
        "API_BURST": "100000",
        "FLOWS_DIR": str(flows),
        "SQL_DIR": str(ROOT / "sql"),
    }
