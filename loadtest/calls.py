"""What one call of the provider costs: aiohttp's client beside ours, against the sandbox. `python -m loadtest.calls`.

CPU is that of this process, which does nothing but the calls: `WORKERS` of them at once over kept connections, in
alternating rounds. The figure to look at is the ratio.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import uvloop

from bot.adapters.msg91 import client_of
from bot.core.messages import Text
from bot.wire.msg91.requests import Request, build_request
from loadtest.bench import answers, started

WORKERS = 64
TIMEOUT = 10.0
"""Seconds for one call."""
KEPT = 15.0
"""Seconds an idle connection is kept."""

Post = Callable[[], Awaitable[int]]


async def cost(post: Post, calls: int) -> float:
    """Microseconds of CPU for one call."""
    left = calls

    async def work() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            status = await post()
            if status != 200:
                raise RuntimeError(f"the sandbox answered {status}")

    before = time.process_time()
    await asyncio.gather(*(work() for _ in range(WORKERS)))
    return (time.process_time() - before) / calls * 1e6


async def measure(base_url: str, rounds: int, calls: int) -> None:
    request = build_request(
        Text(text="Hello"), dialect="v5", number="919000000001", recipient="919000000002", reference="m-1"
    )
    lean = client_of(base_url, auth_key="key", connections=WORKERS, rest=KEPT, timeout=TIMEOUT)
    connector = aiohttp.TCPConnector(limit=WORKERS, keepalive_timeout=KEPT)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ours() -> int:
            return (await lean.post(request.path, request.body)).status

        figures: dict[str, list[float]] = {"aiohttp": [], "ours": []}
        for number in range(rounds + 1):  # the first one warms up
            for name, post in (("aiohttp", theirs(session, base_url, request)), ("ours", ours)):
                used = await cost(post, calls)
                figures[name] += [used] if number else []
    await lean.close()
    show(figures)


def theirs(session: aiohttp.ClientSession, base_url: str, request: Request) -> Post:
    headers = {"authkey": "key", "content-type": "application/json", "accept": "application/json"}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT, sock_connect=TIMEOUT / 2)

    async def post() -> int:
        async with session.post(
            base_url + request.path, data=request.body, headers=headers, timeout=timeout, allow_redirects=False
        ) as response:
            await response.read()
            return response.status

    return post


def show(figures: dict[str, list[float]]) -> None:
    for name, used in figures.items():
        print(f"{name:8} {statistics.median(used):5.1f} µs a call   ({' '.join(f'{one:.1f}' for one in used)})")
    ratios = [one / other for one, other in zip(figures["ours"], figures["aiohttp"], strict=True)]
    print(f"ratio    {statistics.median(ratios):5.2f}            ({' '.join(f'{one:.2f}' for one in ratios)})")


async def run(rounds: int, calls: int, port: int) -> None:
    command = [sys.executable, "-m", "bot", "sandbox", "--port", str(port), "--no-reports"]
    with started("sandbox", command, port):
        await answers(f"http://127.0.0.1:{port}/sandbox/counters")
        await measure(f"http://127.0.0.1:{port}/api/v5", rounds, calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="after one round of warming up")
    parser.add_argument("--calls", type=int, default=5_000, help="of each round")
    parser.add_argument("--port", type=int, default=18_010, help="of the sandbox")
    given = parser.parse_args()
    uvloop.run(run(given.rounds, given.calls, given.port))


if __name__ == "__main__":
    main()
