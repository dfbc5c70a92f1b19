"""What a second replica brings on two cores: throughput of one, and of two, in interleaved rounds of one run.

A closed loop: every connection sends its next message as soon as the one before is acknowledged, and a round ends when
the last reply has reached the provider. The driver, the provider, PostgreSQL and Redis share the two cores with the
replicas, so the pair cannot bring twice as much; processor time for each message, by process, says what it would cost
elsewhere. `any`: a customer's messages go to either replica in turn. `own`: each customer has a replica of their own.
"""

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
import orjson

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # started as a file

from loadtest.bench import SECRET, cpu_seconds, judged, replies_in
from loadtest.chaos_run.process import ROOT, Process
from loadtest.chaos_run.replicas import Replica
from loadtest.chaos_run.stores import Postgres, RedisServer
from loadtest.chaos_run.world import free_ports
from loadtest.driver import Message, Sent, build, drive, phones

WAYS: Final = ("one", "two, any", "two, own")


class World(msgspec.Struct):
    provider: Process
    provider_url: str
    postgres: Postgres
    redis: RedisServer
    replicas: list[Replica]
    session: aiohttp.ClientSession

    def processor_seconds(self) -> dict[str, float]:
        return {
            "replicas": sum(replica.process.cpu_seconds() for replica in self.replicas),
            "PostgreSQL": self.postgres.process.cpu_seconds(),
            "Redis": self.redis.process.cpu_seconds(),
            "provider": self.provider.cpu_seconds(),
            "driver": cpu_seconds(os.getpid()),
        }


class Round(msgspec.Struct):
    """`rate`: messages a second, end to end. `processor`: microseconds for a message, by process."""

    rate: float
    processor: dict[str, float]
    broken: int


async def measure(arguments: argparse.Namespace, world: World) -> int:
    rounds: dict[str, list[Round]] = {way: [] for way in WAYS}
    everybody = phones(arguments.phones * len(WAYS))
    crowds = {way: everybody[place :: len(WAYS)] for place, way in enumerate(WAYS)}  # nobody's seat has to move
    turns = max(2, arguments.messages // arguments.phones)
    for index in range(arguments.rounds + 1):
        for place, way in enumerate(WAYS):
            first = (index * len(WAYS) + place) * turns
            found = await one_round(world, way, crowds[way], range(first, first + turns), arguments.connections)
            print(f"round {index} {'(warm-up) ' if not index else ''}{shown(way, [found])}", flush=True)
            if index:
                rounds[way].append(found)
    print()
    for way in WAYS:
        print(shown(way, rounds[way]))
    for way in WAYS[1:]:
        ratios = [two.rate / one.rate for two, one in zip(rounds[way], rounds["one"], strict=True)]
        listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"messages a second, {way} / one: {statistics.median(ratios):.2f} (rounds: {listed})")
    return 1 if any(one.broken for found in rounds.values() for one in found) else 0


async def one_round(world: World, way: str, numbers: Sequence[str], turns: range, connections: int) -> Round:
    """Every phone once for each turn. The phones are split in halves, each of which has connections of its own."""
    await (await world.session.post(f"{world.provider_url}/sandbox/reset")).read()
    before, began = world.processor_seconds(), time.monotonic()
    sent = await driven(world, way, numbers, turns, connections)
    took = await replies_in(world.session, world.provider_url, len(sent), began)
    after = world.processor_seconds()
    async with world.session.get(f"{world.provider_url}/sandbox/messages") as answer:
        figures = judged(sent, orjson.loads(await answer.read()), took, 0.0, 0)
    processor = {name: (after[name] - before[name]) / len(sent) * 1e6 for name in before}
    broken = figures.lost + figures.doubled + figures.disordered + figures.refused
    return Round(figures.rate, processor, broken)


async def driven(world: World, way: str, numbers: Sequence[str], turns: range, connections: int) -> list[Sent]:
    ports = [replica.port for replica in world.replicas]
    halves = numbers[::2], numbers[1::2]
    if way == "two, any":
        return await _in_turn(ports, halves, turns, connections)
    chosen = ports[:1] * 2 if way == "one" else ports
    found = await asyncio.gather(
        *(
            drive(_built(half, turns, port), port=port, connections=connections // 2)
            for half, port in zip(halves, chosen, strict=True)
        )
    )
    return [one for some in found for one in some]


async def _in_turn(ports: Sequence[int], halves: Sequence[Sequence[str]], turns: range, connections: int) -> list[Sent]:
    """Each half goes to the other replica with every turn."""
    sent: list[Sent] = []
    for turn in turns:
        places = [ports[(turn + half) % 2] for half in range(2)]
        found = await asyncio.gather(
            *(
                drive(_built(half, range(turn, turn + 1), port), port=port, connections=connections // 2)
                for half, port in zip(halves, places, strict=True)
            )
        )
        sent += [one for some in found for one in some]
    return sent


def _built(numbers: Sequence[str], turns: range, port: int) -> list[list[Message]]:
    return build(numbers, turns, port=port, secret=SECRET)


def shown(way: str, rounds: Sequence[Round]) -> str:
    names = rounds[0].processor
    costs = ", ".join(f"{name} {statistics.median(one.processor[name] for one in rounds):.0f}" for name in names)
    rate = statistics.median(one.rate for one in rounds)
    return f"{way:<9} {rate:7.0f} msg/s   us CPU/msg: {costs}   broken {sum(one.broken for one in rounds)}"


@asynccontextmanager
async def started(folder: Path, first_port: int) -> AsyncIterator[World]:
    ports = free_ports(first_port)
    async with aiohttp.ClientSession() as session:
        postgres = Postgres(folder / "postgres", next(ports))
        redis = RedisServer(folder / "redis", next(ports), next(ports))
        port = next(ports)
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "bot", "sandbox", "--port", str(port), "--no-reports"]
        provider = Process("provider", command, folder / "provider.log")
        environment = _environment(postgres, redis, url)
        replicas = [Replica(index, next(ports), environment, folder, session) for index in range(2)]
        world = World(provider, url, postgres, redis, replicas, session)
        try:
            provider.launch()
            await asyncio.gather(postgres.start(), redis.launch())
            for replica in replicas:
                replica.launch()
            assert all([await replica.stands(60.0) for replica in replicas]), f"no replica stands: {folder}"
            yield world
        finally:
            for replica in replicas:
                await replica.kill()
            await provider.stop(signal.SIGTERM, 5.0)
            await redis.stop()
            await postgres.process.kill()


def _environment(postgres: Postgres, redis: RedisServer, provider: str) -> dict[str, str]:
    return {
        "ENVIRONMENT": "production",
        "HOST": "127.0.0.1",
        "DATABASE_URL": postgres.url,
        "REDIS_URL": redis.url,
        "MSG91_BASE_URL": f"{provider}/api/v5",
        "MSG91_AUTH_KEY": "bench",
        "MSG91_SENDER_ID": "919000000001",
        "MSG91_WEBHOOK_SECRET": SECRET,
        "MSG91_RATE": "1000000",
        "RECIPIENT_BURST": "1000000",
        "ENCRYPTION_KEYS": "bench:" + "QUFB" * 10 + "QUE=",
        "FLOWS_DIR": str(ROOT / "loadtest" / "flows"),
        "SQL_DIR": str(ROOT / "sql"),
    }


async def run(arguments: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="pair-", ignore_cleanup_errors=True) as folder:
        async with started(Path(folder), arguments.port) as world:
            return await measure(arguments, world)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phones", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=8000, help="of each round")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5, help="after one of warming up")
    parser.add_argument("--port", type=int, default=19_000, help="the first of seven ports")
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
