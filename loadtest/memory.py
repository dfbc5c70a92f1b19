"""What an idle conversation costs in memory, and whether a process with very many of them goes on serving.

`python -m loadtest.memory --conversations 100000`: everybody writes two messages through the real webhook, then the
service rests with all conversations in memory (`ACTOR_IDLE` is an hour). Then: resident memory for each, processor time
while nothing happens, messages to random ones of them at a fixed rate, and the stop. `--traced` says instead which
lines hold the memory, `--retire` lets all leave memory in the same second, `--kill` kills the process beside another.
It ends with 1 when an answer was lost, doubled or out of order, or when the bound was missed.
"""

import argparse
import asyncio
import random
import signal
import sys
import time
from itertools import accumulate
from pathlib import Path
from typing import Final

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # started as a file

from loadtest.chaos_run.process import ROOT, holds
from loadtest.chaos_run.replicas import Replica
from loadtest.driver import build, phones
from loadtest.memory_run.fill import Fill
from loadtest.memory_run.shown import Held, Line, grown, lines, told
from loadtest.people import in_folder
from loadtest.people_run.open_loop import Shot, fire
from loadtest.people_run.report import spread
from loadtest.people_run.said import LIST, Said
from loadtest.people_run.vitals import Look, gauges, look
from loadtest.people_run.world import SECRET, World, started

BOUND: Final = 3072.0
"""Bytes for a conversation."""
FIRST: Final = 12_000
"""Customers who write before anything is measured: more than the service remembers keys of."""
REST_SECONDS: Final = 600.0
LOOK_SECONDS: Final = 1.0
CALM_LOOKS: Final = 8
"""Looks in a row at which nothing happened any more; longer than a lease is relied on."""
LIVE: Final = "bot_live_conversations"
STOP_TARGET: Final = 10.0
"""Seconds a stop may take."""
STAY_SECONDS: Final = 3600.0
"""`ACTOR_IDLE` of a run in which nobody is to leave."""


class Run:
    """One run against a world; `failed` gathers sentences."""

    def __init__(self, world: World, arguments: argparse.Namespace, folder: Path) -> None:
        self.world = world
        self.arguments = arguments
        self.folder = folder
        self.everybody = phones(arguments.conversations)
        self.fill = Fill()
        self.failed: list[str] = []
        self._chance = random.Random(arguments.seed)

    async def hold(self) -> None:
        """Fill, rest, and compare memory before and after."""
        begun = (await look(self.world)).memory * 1024
        first = [f"9197{number:08d}" for number in range(FIRST)]
        await self.fill.drive(first, range(2), self.world.service.port)
        before = (await self.calm(FIRST)).memory * 1024
        traced = await self.trace("before")
        began = time.monotonic()
        await self.fill.drive(self.everybody, range(2), self.world.service.port)
        seconds = time.monotonic() - began
        count = 2 * len(self.everybody)
        print(f"{count} messages in {seconds:.0f} s: {count / seconds:.0f} a second")
        after = (await self.calm(FIRST + len(self.everybody))).memory * 1024
        held = Held(first=FIRST, conversations=len(self.everybody), begun=begun, before=before, after=after)
        if self.arguments.traced:
            print("\n".join(grown(traced, await self.trace("after"), len(self.everybody))))
            return
        print(told(held, self.arguments.bound), flush=True)
        if held.each > self.arguments.bound:
            self.failed.append("an idle conversation holds more than the bound")

    async def talk(self) -> None:
        """Everybody writes two messages, and all answers are out."""
        await self.fill.drive(self.everybody, range(2), self.world.service.port)
        await self.out()
        live = (await look(self.world)).gauges.get(LIVE, 0.0)
        print(f"{self.fill.count} messages are answered, {live:.0f} conversations live", flush=True)

    async def out(self) -> None:
        """All answers are at the provider, or too long a time has passed."""
        end = time.monotonic() + REST_SECONDS
        while (await self.world.counters())["kept"] < self.fill.count:
            await asyncio.sleep(LOOK_SECONDS)
            if time.monotonic() > end:
                break
        await asyncio.sleep(LOOK_SECONDS)

    async def calm(self, live: int) -> Look:
        """The service at rest: all answers and all reports of them are there, nothing happens at the provider, so many
        conversations are live, and everybody had the time to fall asleep.
        """
        end, calm, before = time.monotonic() + REST_SECONDS, 0, {"kept": -1}
        now = await look(self.world)
        while calm < CALM_LOOKS:
            await asyncio.sleep(LOOK_SECONDS)
            now, counters = await look(self.world), await self.world.counters()
            rests = counters == before and counters["kept"] >= self.fill.count and now.gauges.get(LIVE, 0.0) >= live
            calm, before = (calm + 1 if rests else 0), counters
            if time.monotonic() > end:
                raise TimeoutError(f"the service does not rest: {now}, {counters}, {self.fill.count} messages said")
        return now

    async def trace(self, name: str) -> dict[str, Line]:
        """Which lines hold the memory; nothing unless the run is traced."""
        if not self.arguments.traced:
            return {}
        written = self.folder / "trace"
        self.world.service.process.send(signal.SIGUSR1)
        if not await holds(written.exists, REST_SECONDS):
            raise TimeoutError("the service does not write down its memory")
        return lines(written.rename(self.folder / f"trace-{name}"))

    async def rest(self) -> None:
        """Processor time of the service and of Redis while nothing happens."""
        seconds = self.arguments.rest
        parts = {"service": self.world.service.process, "Redis": self.world.redis.process}
        before = {name: process.cpu_seconds() for name, process in parts.items()}
        await asyncio.sleep(seconds)
        used = {name: (process.cpu_seconds() - before[name]) / seconds for name, process in parts.items()}
        shown = ", ".join(f"{name} {one * 1000:.1f} ms" for name, one in used.items())
        print(f"idle, processor time in a second: {shown}", flush=True)

    async def serve(self, port: int, rate: float, seconds: float) -> None:
        """Messages to random ones of them, whatever the answers do."""
        shots = self.planned(rate, seconds, port)
        took = await fire(shots, port)
        acks = spread([one.said.ack_seconds for one in shots if one.said.acked])
        late = spread([one.late for one in shots])
        refused = sum(not one.said.acked for one in shots)
        print(
            f"{len(shots)} messages to random ones of them, {len(shots) / took:.0f} a second: acknowledged "
            f"p50 {acks.p50 * 1000:.1f}, p99 {acks.p99 * 1000:.1f}, most {acks.most * 1000:.0f} ms; refused {refused}; "
            f"the driver late by p99 {late.p99 * 1000:.1f} ms",
            flush=True,
        )
        if refused:
            self.failed.append(f"{refused} messages were refused")

    def planned(self, rate: float, seconds: float, port: int) -> list[Shot]:
        """Nobody writes twice, so that order does not depend on connections."""
        count = min(len(self.everybody), round(rate * seconds))
        chosen = self._chance.sample(self.everybody, count)
        (messages,) = build(chosen, range(2, 3), port=port, secret=SECRET)
        moments = accumulate(self._chance.expovariate(rate) for _ in messages)
        for message in messages:
            self.fill.note(message)
        return [
            Shot(Said(phone=one.phone, place=0, text=one.text, kind="flow"), one.request, due)
            for one, due in zip(messages, moments, strict=True)
        ]

    async def answered(self) -> None:
        """Every answer came, once and in order."""
        await self.out()
        broken = self.fill.broken(LIST.decode(await self.world.heard()))
        print(
            f"{self.fill.count} messages in all, {self.fill.refused} refused; "
            f"customers not answered once and in order: {len(broken)}"
        )
        self.failed += broken[:5]

    async def stop(self) -> None:
        began = time.monotonic()
        ended = await self.world.service.terminate()
        seconds = time.monotonic() - began
        print(f"stopped after {seconds:.1f} s")
        if not ended or seconds > STOP_TARGET:
            self.failed.append("the stop took too long, or did not end well")

    async def retire(self) -> None:
        """All leave memory in the same second: the process is held until everybody has been idle for long enough."""
        process = self.world.service.process
        process.pause()
        await asyncio.sleep(self.arguments.idle)
        process.resume()
        await asyncio.sleep(0.5)
        await self.serve(self.world.service.port, self.arguments.rate, 10.0)
        print(f"live afterwards: {(await look(self.world)).gauges.get(LIVE, 0.0):.0f}")

    async def die(self, other: Replica) -> None:
        """Kill the process with all of them, and write to some of them through the other one at once."""
        before = await self.live(other)
        await self.world.service.kill()
        began = time.time()
        await self.serve(other.port, self.arguments.rate, 5.0)
        await self.answered()
        heard = [one.at - began for one in LIST.decode(await self.world.heard()) if one.at > began]
        print(f"after the kill: the last answer {max(heard):.1f} s later")
        print(f"the other replica held {before:.0f} conversations before, {await self.live(other):.0f} afterwards")

    async def live(self, replica: Replica) -> float:
        """Conversations in memory there."""
        async with self.world.session.get(f"{replica.url}/metrics") as answer:
            return gauges(await answer.text()).get(LIVE, 0.0)


async def run(arguments: argparse.Namespace, folder: Path) -> int:
    settings = {"SESSION_TIMEOUT": "3600", "ACTOR_IDLE": str(arguments.idle if arguments.retire else STAY_SECONDS)}
    if arguments.traced:
        inside = Path(__file__).parent / "memory_run" / "inside"
        settings |= {
            "PYTHONPATH": f"{inside}:{ROOT}",
            "PYTHONTRACEMALLOC": "1",
            "MEMORY_TRACE": str(folder / "trace"),
        }
    async with started(folder, flows=ROOT / "loadtest" / "flows", **settings) as world:
        one = Run(world, arguments, folder)
        await measure(one, arguments)
    print("\n".join(one.failed) or "All was kept.")
    return 1 if one.failed else 0


async def measure(one: Run, arguments: argparse.Namespace) -> None:
    """What the arguments ask for."""
    if arguments.kill:
        await beside_another(one)
        return
    if arguments.retire:
        await one.talk()
        await one.retire()
    else:
        await one.hold()
        if arguments.traced:
            return
        await one.rest()
        await one.serve(one.world.service.port, arguments.rate, arguments.seconds)
    await one.answered()
    await one.stop()


async def beside_another(one: Run) -> None:
    other = one.world.another()
    other.launch()
    try:
        await one.talk()
        if await other.stands(REST_SECONDS):
            await one.die(other)
    finally:
        await other.terminate()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--bound", type=float, default=BOUND, help="bytes of resident memory for each")
    parser.add_argument("--rest", type=float, default=20.0, help="seconds of idleness that are measured")
    parser.add_argument("--rate", type=float, default=200.0, help="messages a second to random ones of them")
    parser.add_argument("--seconds", type=float, default=30.0, help="of those messages")
    parser.add_argument("--seed", type=int, default=7, help="of who writes then")
    parser.add_argument("--traced", action="store_true", help="say which lines hold the memory, and no more")
    parser.add_argument("--retire", action="store_true", help="let all leave memory in the same second")
    parser.add_argument("--idle", type=float, default=240.0, help="ACTOR_IDLE then; longer than their messages take")
    parser.add_argument("--kill", action="store_true", help="kill the process beside another one")
    parser.add_argument("--folder", type=Path, help="for logs and stores; it is kept")
    return in_folder(run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
