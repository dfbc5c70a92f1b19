"""Does retention disturb customers? Old messages are removed while others write, and webhooks are timed.

Windows with removal and without it take turns, so that both see the same machine. Removal runs in this process, with
the service's own statements and pauses, against the service's database.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import aiohttp
import asyncpg
import uvloop

from bot.adapters.embedded import Embedded
from bot.adapters.postgres.retention import PostgresRemovals
from bot.adapters.postgres.stores import opened
from bot.ports.retention import Removed
from bot.runtime.retention import PAGE, SHARE, SHORTEST_PAUSE
from loadtest.bench import ROOT, SECRET, answers, quantile, started

FILL = """
insert into messages (
  id, conversation_id, user_id, direction, message_type, kind, content, sender_number, recipient_number,
  delivery_status, msg91_message_id, caused_at, created_at
)
select
  (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
  md5((n / 10)::text)::uuid, 1 + n / 20, 'outbound', 'text', 'flow', decode(repeat(md5(n::text), 8), 'hex'),
  decode(md5(n::text), 'hex'), decode(md5(n::text), 'hex'), 'read', md5(n::text), at, at
from (select n, now() - interval '400 days' + n * interval '1 second' as at from generate_series(1, $1::int) n) s
"""
KEPT_SECONDS = 365 * 86_400.0


async def remove(url: str) -> None:
    """Remove until cancelled."""
    async with opened(url, sql_dir=ROOT / "sql", size=1) as base:
        removals, page = PostgresRemovals(base.database), Removed(rows=0, after=None)
        while True:
            began = time.monotonic()
            before = time.time() - KEPT_SECONDS
            page = await removals.remove("messages", before=before, after=page.after, limit=PAGE)
            await asyncio.sleep(max(SHORTEST_PAUSE, (time.monotonic() - began) * (1 / SHARE - 1)))


async def write(port: int, rate: float, seconds: float, tag: str) -> list[float]:
    """Customers write at a fixed rate, however long answers take; seconds to each acknowledgement."""
    took: list[float] = []
    url, start = f"http://127.0.0.1:{port}/webhook/msg91", time.monotonic()

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        body = {
            "from": f"9198{number % 500:08d}",
            "text": "hello",
            "messageId": f"{tag}-{number}",
            "timestamp": time.time(),
        }
        began = time.monotonic()
        async with session.post(url, json=body, headers={"X-Webhook-Secret": SECRET}) as answer:
            await answer.read()
            took.append(time.monotonic() - began if answer.status == 200 else float("inf"))

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session, asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, start + number / rate - time.monotonic()))
            group.create_task(one(session, number))
    return took


async def measure(arguments: argparse.Namespace, url: str, port: int) -> None:
    database = await asyncpg.connect(url)
    await answers(f"http://127.0.0.1:{port}/ready")
    await database.execute("set statement_timeout = 0")
    await database.fetch(FILL, arguments.messages, timeout=3600)
    await database.execute("analyze messages")
    found: dict[str, list[list[float]]] = {"without": [], "with": []}
    for window in range(2 * arguments.windows + 1):
        name = "with" if window // 2 % 2 else "without"
        task = asyncio.ensure_future(remove(url)) if name == "with" else None
        took = await write(port, arguments.rate, arguments.seconds, f"w{window}")
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if window:  # the first one warms up
            found[name].append(took)
    left = await database.fetchval("select count(*) from messages where created_at < now() - interval '365 days'")
    for name, windows in found.items():
        p50, p99 = (statistics.median(1000 * quantile(took, percent) for took in windows) for percent in (50, 99))
        print(f"{name:>8}: p50 {p50:.0f} ms, p99 {p99:.0f} ms (medians of {len(windows)} windows)")
    print(f"removed {arguments.messages - left:,} of {arguments.messages:,}")
    await database.close()


async def run(arguments: argparse.Namespace, data: Path) -> None:
    port = arguments.port
    provider = f"http://127.0.0.1:{port}"
    sandbox = [sys.executable, "-m", "bot", "sandbox", "--port", str(port), "--no-reports"]
    async with Embedded(data) as urls:
        settings = {
            "ENVIRONMENT": "production",
            "HOST": "127.0.0.1",
            "PORT": str(port + 1),
            "MSG91_BASE_URL": f"{provider}/api/v5",
            "MSG91_AUTH_KEY": "load",
            "MSG91_SENDER_ID": "919000000001",
            "MSG91_WEBHOOK_SECRET": SECRET,
            "MSG91_RATE": "1000000",
            "RECIPIENT_BURST": "1000000",
            "ENCRYPTION_KEYS": "load:" + "QUFB" * 10 + "QUE=",
            "FLOWS_DIR": str(ROOT / "loadtest" / "flows"),
        }
        serve = [sys.executable, "-m", "bot", "serve", "--embedded", str(data)]
        with started("sandbox", sandbox, port), started("service", serve, port + 1, **settings):
            await measure(arguments, urls.database, port + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000, help="old ones to remove")
    parser.add_argument("--rate", type=float, default=200.0, help="messages a second that customers write")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each window")
    parser.add_argument("--windows", type=int, default=8, help="of each kind")
    parser.add_argument("--port", type=int, default=18_010, help="the first of two ports")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as data:
        uvloop.run(run(arguments, Path(data)))


if __name__ == "__main__":
    main()
