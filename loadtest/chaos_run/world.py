"""Everything that a run needs, started in order: stores, provider, forwarder, replicas."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import orjson
from aiohttp import web

from loadtest.chaos_run.count import Arrived
from loadtest.chaos_run.process import ROOT, Process
from loadtest.chaos_run.replicas import Replica
from loadtest.chaos_run.stores import Postgres, RedisServer
from loadtest.chaos_run.traffic import Balancer, forwarder
from loadtest.chaos_run.weather import Weather

SECRET: Final = "chaos-secret"
OUR_NUMBER: Final = "919000000001"
KEPT: Final = 10_000_000
"""Messages the provider remembers: all of them."""
READY_SECONDS: Final = 60.0

_STATE: Final = """
select
  (select count(*) from journal where consumed_at is null) as unread,
  (select count(*) from messages where claimed_by <> '') as unsent,
  (select count(*) from effects where done_at is null) as undone,
  (select count(*) from parked) as parked,
  (select count(*) from messages where delivery_status = 'failed') as failed,
  (select count(*) from quarantine) as quarantined,
  (select count(*) from messages where direction = 'inbound') as heard
"""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `rate`: messages a second of all customers together. `only`: kinds of faults; empty: all."""

    replicas: int
    customers: int
    seconds: float
    seed: int
    rate: float
    lease: float = 5.0
    only: tuple[str, ...] = ()
    settings: dict[str, str] = {}
    """More settings of the replicas."""


class World:
    def __init__(self, plan: Plan, folder: Path, session: aiohttp.ClientSession, ports: Iterator[int]) -> None:
        self.plan = plan
        self.session = session
        self.postgres = Postgres(folder / "postgres", next(ports))
        self.redis = RedisServer(folder / "redis", next(ports), next(ports))
        reports, provider = next(ports), next(ports)
        self.provider_url = f"http://127.0.0.1:{provider}"
        self.provider = Process("provider", _sandbox(provider, reports), folder / "provider.log")
        environment = self._environment()
        self.replicas = [Replica(index, next(ports), environment, folder, session) for index in range(plan.replicas)]
        self.balancer = Balancer(session, [replica.url for replica in self.replicas], SECRET)
        self.weather = Weather(session, self.provider_url, plan.seed)
        self._reports = web.AppRunner(forwarder(self.balancer), access_log=None, shutdown_timeout=1.0)
        self._reports_port = reports

    async def start(self) -> None:
        await asyncio.gather(self.postgres.start(), self.redis.launch(), self._start_provider())
        for replica in self.replicas:
            replica.launch()
        await self.stand()

    async def stand(self) -> None:
        """Return when every replica takes webhooks."""
        stand = await asyncio.gather(*(replica.stands(READY_SECONDS) for replica in self.replicas))
        if not all(stand):
            raise RuntimeError(f"replicas do not become ready: {stand}")

    async def stop(self) -> None:
        for replica in self.replicas:
            await replica.kill()
        await self._reports.cleanup()
        await self.provider.stop(signal.SIGTERM, 5.0)
        await self.redis.stop()
        await self.postgres.process.kill()

    async def state(self) -> dict[str, int]:
        """What the database and the spool have left; `heard`: the customers' messages that it knows."""
        row = await self.postgres.row(_STATE)
        return {**row, "spooled": await self.redis.waiting()}

    async def counters(self) -> dict[str, int]:
        async with self.session.get(f"{self.provider_url}/sandbox/counters") as answer:
            return dict(orjson.loads(await answer.read()))

    async def arrived(self) -> list[Arrived]:
        """Everything that reached the provider, in its order."""
        async with self.session.get(f"{self.provider_url}/sandbox/messages") as answer:
            seen: list[dict[str, Any]] = orjson.loads(await answer.read())
        return [Arrived(one["to"], one["text"], one["at"], one["crqid"]) for one in seen]

    async def _start_provider(self) -> None:
        await self._reports.setup()
        await web.TCPSite(self._reports, "127.0.0.1", self._reports_port, backlog=1024).start()
        self.provider.launch()
        async with asyncio.timeout(READY_SECONDS):
            while True:
                try:
                    await self.counters()
                    return
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)

    def _environment(self) -> dict[str, str]:
        return {
            "ENVIRONMENT": "production",
            "HOST": "127.0.0.1",
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.redis.url,
            "MSG91_AUTH_KEY": "chaos",
            "MSG91_SENDER_ID": OUR_NUMBER,
            "MSG91_BASE_URL": f"{self.provider_url}/api/v5",
            "MSG91_WEBHOOK_SECRET": SECRET,
            "MSG91_RATE": "1000",
            "RECIPIENT_BURST": "1000",
            "LEASE_SECONDS": str(self.plan.lease),
            "ENCRYPTION_KEYS": "chaos:" + "QUFB" * 10 + "QUE=",
            "ADMIN_TOKEN": "chaos",
            "FLOWS_DIR": str(ROOT / "loadtest" / "flows"),
            "SQL_DIR": str(ROOT / "sql"),
            **self.plan.settings,
        }


@asynccontextmanager
async def started(plan: Plan, folder: Path, first_port: int) -> AsyncIterator[World]:
    """A world that works; at the end everything is killed. The logs stay in `folder`."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        world = World(plan, folder, session, free_ports(first_port))
        try:
            await world.start()
            yield world
        finally:
            await world.stop()


def free_ports(first: int) -> Iterator[int]:
    """Ports from `first` upwards on which nobody listens."""
    for port in range(first, first + 1000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port


def first_port() -> int:
    """Another for each process, below those that the system gives to outgoing connections."""
    return 13_000 + (os.getpid() * 41) % 17_000


def _sandbox(port: int, reports: int) -> list[str]:
    settings = {
        "port": port,
        "webhook_url": f"http://127.0.0.1:{reports}/webhook/msg91",
        "webhook_secret": SECRET,
        "webhook_timeout": 30,
        "integrated_numbers": OUR_NUMBER,
        "report_workers": 32,
        "kept": KEPT,
    }
    return [sys.executable, "-m", "bot.sandbox", *(f"{name}={value}" for name, value in settings.items())]
