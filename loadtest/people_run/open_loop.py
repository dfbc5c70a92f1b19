"""Messages at times that were drawn beforehand, whatever the answers do: no kindness of a closed loop.

Every latency counts from the moment at which the message was due. So what waited because the driver was late, or for a
new connection, waited for the customer too; how late the driver was stands beside the figures. Each customer writes
again only after everybody else has, so that a customer's messages are far enough apart to keep their order on
different connections. Connections are made as they are needed: no message waits for another's answer.
"""

import argparse
import asyncio
import gc
import random
import time
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import msgspec

from loadtest.bench import cpu_seconds
from loadtest.driver import Connection, Message, build, phones
from loadtest.people_run.count import Verdict, judged
from loadtest.people_run.report import Figures, document, figures, text, write
from loadtest.people_run.said import LIST, Heard, Said, Story
from loadtest.people_run.vitals import waited
from loadtest.people_run.world import SECRET, World

ACK_TARGET: Final = 0.020
END_TARGET: Final = 0.060
"""Seconds; the 99th percentiles must be shorter."""
REST_SECONDS: Final = 30.0
ANSWER_SECONDS: Final = 30.0
"""How long a message may stay without an answer before it counts as refused."""
LATE_SECONDS: Final = 0.005
"""Lateness of the driver (p99) from which on the times say as much of the machine as of the service."""
HEAD_START: Final = 0.5
"""Seconds from the first look at the clock to the first message."""


class Shot(msgspec.Struct):
    """A message and when it is due, in seconds from the beginning."""

    said: Said
    request: bytes
    due: float
    late: float = 0.0
    """Seconds after its time that the driver wrote it."""


class Spent(msgspec.Struct, frozen=True):
    """Seconds of processor time: what the service used, what it had to wait for, and what the driver used."""

    service: float
    waited: float
    driver: float

    def since(self, before: "Spent") -> "Spent":
        return Spent(self.service - before.service, self.waited - before.waited, self.driver - before.driver)


def spent(pid: int) -> Spent:
    """Until now, by the service `pid` and by this process."""
    return Spent(cpu_seconds(pid), waited(pid), time.process_time())


async def run(world: World, arguments: argparse.Namespace) -> int:
    """The open loop against a world; 0 when promises and targets were kept."""
    port, rate, pid = world.service.port, arguments.rate, world.service.process.pid
    everybody = phones(2 * arguments.phones)
    await fire(planned(everybody[: arguments.phones], rate, arguments.warm_up, "warm", port), port)
    shots = planned(everybody[arguments.phones :], rate, arguments.seconds, f"{arguments.seed}", port)
    gc.freeze()
    before = spent(pid)
    seconds = await fire(shots, port)
    used = spent(pid).since(before)
    heard = await _rested(world, frozenset(everybody[arguments.phones :]), len(shots))
    story = Story(
        said=[one.said for one in shots],
        heard=heard,
        seconds=seconds,
        late=[one.late for one in shots],
        busy=used.driver / seconds,
    )
    verdict = judged(story)
    found = figures(story, verdict)
    missed = misses(found)
    print(shown(found, verdict, used, missed))
    write(arguments.json, document(found, verdict))
    return 1 if verdict.broken or (missed and not arguments.no_targets) else 0


def planned(numbers: Sequence[str], rate: float, seconds: float, seed: str, port: int) -> list[Shot]:
    """Everybody once, then everybody again with the next of their texts, at exponentially distributed distances."""
    total = max(1, round(rate * seconds))
    rounds = build(numbers, range(-(-total // len(numbers))), port=port, secret=SECRET)
    messages = [message for messages in rounds for message in messages][:total]
    chance = random.Random(f"{seed} open loop")
    moments = accumulate(chance.expovariate(rate) for _ in messages)
    return [Shot(_said(message), message.request, due) for message, due in zip(messages, moments, strict=True)]


def _said(message: Message) -> Said:
    """What `loadtest/flows/echo.yaml` must answer."""
    word, _, number = message.text.partition(" ")
    wants = (f"{'Heard' if word == 'hello' else 'Echo'} {message.text}",)
    return Said(phone=message.phone, place=int(number), text=message.text, kind="flow", wants=wants)


async def fire(shots: Sequence[Shot], port: int) -> float:
    """Write each message at its time, over a connection that is free; seconds until the last acknowledgement."""
    loop = asyncio.get_running_loop()
    free: list[Connection] = []
    tasks: set[asyncio.Task[None]] = set()
    began = time.time() + HEAD_START
    for shot in shots:
        await asyncio.sleep(began + shot.due - time.time())
        task = loop.create_task(_one(shot, began + shot.due, free, port))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    seconds = time.time() - began
    for connection in free:
        connection.close()
    return seconds


async def _one(shot: Shot, due: float, free: list[Connection], port: int) -> None:
    """One attempt, no more: what is refused, or not answered in time, counts as such."""
    said, said.attempts = shot.said, 1
    said.sent = min(due, time.time())  # the loop's timers are exact to a millisecond and may be early
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            connection = free.pop() if free else await _connected(port)
            shot.late = time.time() - said.sent
            status = await connection.request(shot.request)
    except OSError:
        return
    if status == 200:
        said.acked = time.time()
        said.ack_seconds = said.acked - said.sent
    free.append(connection)


async def _connected(port: int) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return connection


async def _rested(world: World, numbers: frozenset[str], wanted: int) -> list[Heard]:
    """What the provider took for these phones, once all is there and a moment has passed in which more could come."""
    end = time.monotonic() + REST_SECONDS
    while True:
        heard = [one for one in LIST.decode(await world.heard()) if one.to in numbers]
        if len(heard) >= wanted or time.monotonic() > end:
            break
        await asyncio.sleep(0.2)
    await asyncio.sleep(1.0)
    return [one for one in LIST.decode(await world.heard()) if one.to in numbers]


def misses(found: Figures) -> list[str]:
    """A sentence for each target that was missed."""
    given = (("acknowledgement", found.ack, ACK_TARGET), ("end to end", found.ends["flow"], END_TARGET))
    return [
        f"MISSED: {name} p99 is {one.p99 * 1000:.1f} ms, the target {target * 1000:.0f} ms"
        for name, one, target in given
        if one.p99 >= target
    ]


def shown(found: Figures, verdict: Verdict, used: Spent, missed: Sequence[str]) -> str:
    """For a reader. What the machine did to both sides stands before what was missed."""
    lines = [
        text(found, verdict),
        f"the service used {used.service / found.said * 1e6:.0f} us of processor time for a message, with its reports",
        f"it was ready to run and had no processor for {used.waited / found.seconds:.1%} of the time",
    ]
    if found.late.p99 > LATE_SECONDS:
        lines.append(
            f"THE DRIVER WAS LATE by {found.late.p99 * 1000:.1f} ms (p99): the times are the machine's as well"
        )
    return "\n".join([*lines, *missed])
