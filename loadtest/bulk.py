"""What a bulk send costs those who write meanwhile: the time of replies without one, and while one goes out.

Every tenth of a second a new customer says hello and waits for the first reply. First for a while alone, then while one
request asks for messages to a thousand others at the usual pace of our number. Broken is who got none, or two.
"""

import argparse
import asyncio
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import orjson

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # started as a file

from loadtest.bench import SECRET
from loadtest.chaos_run.process import ROOT, Process
from loadtest.chaos_run.replicas import Replica
from loadtest.chaos_run.stores import Postgres, RedisServer
from loadtest.chaos_run.world import free_ports

TOKEN: Final = "bulk-token"
PAUSE: Final = 0.1
"""Seconds between customers."""
CUSTOMERS, MANY = "9186", "9185"
"""How the numbers of customers begin, and those of recipients."""
LOOK: Final = 0.005
"""Seconds between looks for a reply."""


class World(msgspec.Struct):
    session: aiohttp.ClientSession
    service: str
    provider: str

    async def seen(self, path: str) -> Any:
        async with self.session.get(f"{self.provider}/sandbox/{path}") as answer:
            return orjson.loads(await answer.read())

    async def hello(self, phone: str) -> float:
        """A customer's first message; seconds until the first reply reached the provider."""
        began = time.monotonic()
        body = {"from": phone, "text": "hello", "messageId": f"in-{phone}", "timestamp": str(int(time.time()))}
        headers = {"X-Webhook-Secret": SECRET}
        async with self.session.post(f"{self.service}/webhook/msg91", json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
        while True:
            if await self.seen(f"messages?to={phone}"):
                return time.monotonic() - began
            await asyncio.sleep(LOOK)

    async def bulk(self, phones: Sequence[str]) -> list[dict[str, Any]]:
        body = {"recipients": [{"phone_number": phone} for phone in phones], "template": {"name": "reminder"}}
        headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": "bulk"}
        async with self.session.post(f"{self.service}/api/v1/messages/bulk", json=body, headers=headers) as answer:
            found: list[dict[str, Any]] = orjson.loads(await answer.read())["results"]
        return found

    async def arrived(self, count: int) -> None:
        """Return when so many of the bulk send reached the provider."""
        while True:
            if sum(one["to"].startswith(MANY) for one in await self.seen("messages")) >= count:
                return
            await asyncio.sleep(PAUSE)


async def customers(world: World, first: int, over: asyncio.Event) -> list[float]:
    """Customers come until it is over; the seconds each waited."""
    waiting: list[asyncio.Task[float]] = []
    while not over.is_set():
        waiting.append(asyncio.create_task(world.hello(f"{CUSTOMERS}{first + len(waiting):08d}")))
        await asyncio.sleep(PAUSE)
    return list(await asyncio.gather(*waiting))


async def measure(world: World, recipients: int, quiet_seconds: float) -> int:
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(quiet_seconds, over.set)
    print(shown("alone", await customers(world, 0, over)), flush=True)
    over.clear()
    beside = asyncio.create_task(customers(world, 1_000_000, over))
    phones = [f"{MANY}{number:08d}" for number in range(recipients)]
    began = time.monotonic()
    results = await world.bulk(phones)
    answered = time.monotonic() - began
    await world.arrived(recipients)
    sent = time.monotonic() - began
    over.set()
    print(shown("beside a bulk send", await beside))
    heard = [len(await world.seen(f"messages?to={phone}")) for phone in phones]
    broken = sum(count != 1 for count in heard) + sum(not result["success"] for result in results)
    print(f"{recipients} recipients: answered in {answered:.2f} s, all sent after {sent:.1f} s, broken {broken}")
    return 1 if broken else 0


def shown(what: str, seconds: Sequence[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100)
    milliseconds = ", ".join(f"p{part} {cuts[part - 1] * 1000:.0f} ms" for part in (50, 95, 99))
    return f"{what:<20} {len(seconds)} customers: {milliseconds}"


@asynccontextmanager
async def started(folder: Path, first_port: int, rate: float) -> AsyncIterator[World]:
    ports = free_ports(first_port)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        postgres = Postgres(folder / "postgres", next(ports))
        redis = RedisServer(folder / "redis", next(ports), next(ports))
        port = next(ports)
        command = [sys.executable, "-m", "bot", "sandbox", "--port", str(port), "--no-reports"]
        provider = Process("provider", command, folder / "provider.log")
        url = f"http://127.0.0.1:{port}"
        environment = {
            "ENVIRONMENT": "development",
            "HOST": "127.0.0.1",
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
            "MSG91_BASE_URL": f"{url}/api/v5",
            "MSG91_AUTH_KEY": "bulk",
            "MSG91_SENDER_ID": "919000000001",
            "MSG91_WEBHOOK_SECRET": SECRET,
            "MSG91_RATE": str(rate),
            "ADMIN_TOKEN": TOKEN,
            "FLOWS_DIR": str(ROOT / "loadtest" / "flows"),
            "SQL_DIR": str(ROOT / "sql"),
        }
        replica = Replica(0, next(ports), environment, folder, session)
        try:
            provider.launch()
            await asyncio.gather(postgres.start(), redis.launch())
            replica.launch()
            assert await replica.stands(60.0), f"the replica does not stand: {folder}"
            yield World(session, f"http://127.0.0.1:{replica.port}", url)
        finally:
            await replica.kill()
            await provider.stop(signal.SIGTERM, 5.0)
            await redis.stop()
            await postgres.process.kill()


async def run(arguments: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="bulk-", ignore_cleanup_errors=True) as folder:
        async with started(Path(folder), arguments.port, arguments.rate) as world:
            return await measure(world, arguments.recipients, arguments.seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0, help="without a bulk send")
    parser.add_argument("--rate", type=float, default=80.0, help="MSG91_RATE")
    parser.add_argument("--port", type=int, default=19_100, help="the first of six ports")
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
