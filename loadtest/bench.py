"""What one message costs the service, beside a bare aiohttp process in the same run. `make bench`.

Both get the same pre-built requests in alternating rounds and post to the same provider stand-in (the sandbox). CPU is
the kernel's own account of the process (`/proc/PID/task/*/schedstat`), so noise of the machine moves both alike; the
figure to look at is the ratio. Replies are compared with what was asked: lost, doubled and out of order are counted.
"""

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import msgspec
import orjson
import uvloop

ROOT = Path(__file__).resolve().parent.parent
if not __package__:
    sys.path[0] = str(ROOT)  # started as a file: find the package as `python -m loadtest.bench` does

from loadtest.driver import Message, Sent, build, drive, phones  # noqa: E402 - after the path is known

SECRET = "bench-secret"
QUIET_SECONDS = 60.0
"""How long replies may take after the last request before they count as lost."""


class Process(msgspec.Struct):
    name: str
    pid: int
    port: int


class Round(msgspec.Struct):
    """Figures of one round; times in seconds, CPU in microseconds for each message, memory in bytes."""

    rate: float
    cpu: float
    ack_p50: float
    ack_p99: float
    end_p50: float
    end_p99: float
    memory: int
    lost: int
    doubled: int
    disordered: int
    refused: int


def cpu_seconds(pid: int) -> float:
    """Time on a processor of all threads of a process, from the kernel's scheduler."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def peak_memory(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


@contextmanager
def started(name: str, command: Sequence[str], port: int, **environment: str) -> Iterator[Process]:
    """A process of its own group, with its output in a file that is shown when it fails to start."""
    log = Path(tempfile.mkdtemp()) / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            start_new_session=True,
        )
    try:
        yield Process(name, process.pid, port)
        if process.poll() not in {None, 0}:
            print(log.read_text()[-4000:])
    except BaseException:
        print(f"--- {name}\n{log.read_text()[-4000:]}")
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()


async def answers(url: str, seconds: float = 60.0) -> None:
    """Return when something answers there."""
    end = time.monotonic() + seconds
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url) as answer:
                    if answer.status < 500:
                        return
            except aiohttp.ClientError:
                pass
            if time.monotonic() > end:
                raise TimeoutError(f"nothing answers at {url}")
            await asyncio.sleep(0.1)


async def one_round(process: Process, sandbox: str, rounds: Sequence[Sequence[Message]], connections: int) -> Round:
    async with aiohttp.ClientSession() as session:
        await (await session.post(f"{sandbox}/sandbox/reset")).read()
        expected = sum(len(messages) for messages in rounds)
        before, began = cpu_seconds(process.pid), time.monotonic()
        sent = await drive(rounds, port=process.port, connections=connections)
        took = await replies_in(session, sandbox, expected, began)
        await asyncio.sleep(0.5)
        used = cpu_seconds(process.pid) - before
        seen = orjson.loads(await (await session.get(f"{sandbox}/sandbox/messages")).read())
    return judged(sent, seen, took, used, peak_memory(process.pid))


async def replies_in(session: aiohttp.ClientSession, sandbox: str, expected: int, began: float) -> float:
    """Seconds from the first request until all replies had arrived, or until nothing more came."""
    last, changed = -1, time.monotonic()
    while True:
        counters = orjson.loads(await (await session.get(f"{sandbox}/sandbox/counters")).read())
        count = counters["kept"]
        now = time.monotonic()
        if count != last:
            last, changed = count, now
        if count >= expected or now - changed > QUIET_SECONDS:
            return changed - began
        await asyncio.sleep(0.02)


def judged(sent: Sequence[Sent], seen: Sequence[dict[str, object]], took: float, used: float, memory: int) -> Round:
    replies: dict[str, list[str]] = {}
    arrived: dict[tuple[str, str], float] = {}
    for message in seen:
        phone, text = str(message["to"]), str(message["text"]).split(" ", 1)[1]
        replies.setdefault(phone, []).append(text)
        arrived.setdefault((phone, text), float(str(message["at"])))
    asked: dict[str, list[str]] = {}
    for one in sent:
        asked.setdefault(one.message.phone, []).append(one.message.text)
    lost = sum(text not in replies.get(phone, []) for phone, texts in asked.items() for text in texts)
    doubled = sum(len(texts) - len(set(texts)) for texts in replies.values())
    disordered = sum(
        [text for text in texts if text in set(replies.get(phone, []))] != list(dict.fromkeys(replies.get(phone, [])))
        for phone, texts in asked.items()
    )
    ends = [
        arrived[one.message.phone, one.message.text] - one.at
        for one in sent
        if (one.message.phone, one.message.text) in arrived
    ]
    acks = [one.seconds for one in sent]
    return Round(
        rate=len(sent) / took,
        cpu=used / len(sent) * 1e6,
        ack_p50=quantile(acks, 50),
        ack_p99=quantile(acks, 99),
        end_p50=quantile(ends, 50),
        end_p99=quantile(ends, 99),
        memory=memory,
        lost=lost,
        doubled=doubled,
        disordered=disordered,
        refused=sum(one.status != 200 for one in sent),
    )


def quantile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1] if len(values) > 1 else float("nan")


def shown(name: str, rounds: Sequence[Round]) -> str:
    def middle(field: str) -> float:
        return float(statistics.median(getattr(one, field) for one in rounds))

    return (
        f"{name:<8} {middle('rate'):7.0f} msg/s   {middle('cpu'):6.0f} us CPU/msg   "
        f"ack p50 {middle('ack_p50') * 1000:6.1f} ms p99 {middle('ack_p99') * 1000:6.1f} ms   "
        f"end to end p50 {middle('end_p50') * 1000:6.1f} ms p99 {middle('end_p99') * 1000:6.1f} ms   "
        f"peak {max(one.memory for one in rounds) / 2**20:5.0f} MiB   "
        f"lost {sum(one.lost for one in rounds)} doubled {sum(one.doubled for one in rounds)} "
        f"out of order {sum(one.disordered for one in rounds)} refused {sum(one.refused for one in rounds)}"
    )


Groups = tuple[float, float]


async def groups(service: Process) -> Groups:
    """How many commits there were, and how many conversations in them."""
    async with aiohttp.ClientSession() as session:
        text = await (await session.get(f"http://127.0.0.1:{service.port}/metrics")).text()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("bot_commit"))
    return float(values["bot_commits_total"]), float(values["bot_committed_conversations_total"])


async def measure(arguments: argparse.Namespace, bare: Process, service: Process, sandbox: str) -> int:
    numbers = phones(arguments.phones)
    turns = max(2, arguments.messages // arguments.phones)
    await answers(f"http://127.0.0.1:{service.port}/ready")
    await answers(f"http://127.0.0.1:{bare.port}/webhook/msg91")
    results: dict[str, list[Round]] = {"bare": [], "service": []}
    grouped = await groups(service)
    for index in range(arguments.rounds + 1):
        for process in (bare, service):
            first = index * turns
            requests = build(numbers, range(first, first + turns), port=process.port, secret=SECRET)
            figures = await one_round(process, sandbox, requests, arguments.connections)
            if index or not arguments.rounds:
                results[process.name].append(figures)
            print(f"round {index} {'(warm-up) ' if not index else ''}{shown(process.name, [figures])}", flush=True)
    print()
    for name, rounds in results.items():
        print(shown(name, rounds))
    commits, conversations = await groups(service)
    print(f"conversations in one commit: {(conversations - grouped[1]) / (commits - grouped[0]):.1f}")
    ratios = [mine.cpu / its.cpu for mine, its in zip(results["service"], results["bare"], strict=True)]
    print(
        f"\nCPU per message, service / bare: {statistics.median(ratios):.2f} "
        f"(rounds: {', '.join(f'{ratio:.2f}' for ratio in ratios)})"
    )
    broken = sum(one.lost + one.doubled + one.disordered for one in results["service"])
    return 1 if broken else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phones", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=10_000, help="of each round")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3, help="after one round of warming up")
    parser.add_argument("--port", type=int, default=18_000, help="the first of three ports")
    arguments = parser.parse_args()
    port = arguments.port
    provider = f"http://127.0.0.1:{port}"
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as data,
        started("sandbox", [sys.executable, "-m", "bot", "sandbox", "--port", str(port), "--no-reports"], port),
        started(
            "bare",
            [sys.executable, "-m", "loadtest.bare", str(port + 1), f"{provider}/api/v5", SECRET],
            port + 1,
        ) as bare,
        started(
            "service",
            [sys.executable, "-m", "bot", "serve", "--embedded", data],
            port + 2,
            ENVIRONMENT="production",
            HOST="127.0.0.1",
            PORT=str(port + 2),
            MSG91_BASE_URL=f"{provider}/api/v5",
            MSG91_AUTH_KEY="bench",
            MSG91_SENDER_ID="919000000001",
            MSG91_WEBHOOK_SECRET=SECRET,
            MSG91_RATE="1000000",
            RECIPIENT_BURST="1000000",
            ENCRYPTION_KEYS="bench:" + "QUFB" * 10 + "QUE=",
            FLOWS_DIR=str(ROOT / "loadtest" / "flows"),
        ) as service,
    ):
        return uvloop.run(measure(arguments, bare, service, provider))


if __name__ == "__main__":
    sys.exit(main())
