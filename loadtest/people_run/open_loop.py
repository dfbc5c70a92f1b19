"""Messages at times that were drawn beforehand, whatever the answers do: no kindness of a closed loop.

Each customer writes again only after everybody else has, so that a customer's messages are far enough apart to keep
their order on different connections. Connections are made as they are needed: no message waits for another's answer.
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
from loadtest.people_run.report import Figures, Spread, document, figures, spread, text, write
from loadtest.people_run.said import LIST, Heard, Said, Story
from loadtest.people_run.world import SECRET, World

ACK_TARGET: Final = 0.020
END_TARGET: Final = 0.060
"""Seconds; the 99th percentiles must be shorter."""
REST_SECONDS: Final = 30.0
HEAD_START: Final = 0.5
"""Seconds from the first look at the clock to the first message."""


class Shot(msgspec.Struct):
    """A message and when it is due, in seconds from the beginning."""

    said: Said
    request: bytes
    due: float
    late: float = 0.0
    """Seconds after its time that the driver wrote it."""


async def run(world: World, arguments: argparse.Namespace) -> int:
    """The open loop against a world; 0 when promises and targets were kept."""
    port, rate = world.service.port, arguments.rate
    everybody = phones(2 * arguments.phones)
    await fire(planned(everybody[: arguments.phones], rate, arguments.warm_up, "warm", port), port)
    shots = planned(everybody[arguments.phones :], rate, arguments.seconds, f"{arguments.seed}", port)
    gc.freeze()
    before = cpu_seconds(world.service.process.pid)
    seconds = await fire(shots, port)
    used = cpu_seconds(world.service.process.pid) - before
    heard = await _rested(world, frozenset(everybody[arguments.phones :]), len(shots))
    story = Story(said=[one.said for one in shots], heard=heard, seconds=seconds, people=arguments.phones)
    verdict = judged(story)
    found = figures(story, verdict)
    late = spread([one.late for one in shots])
    missed = misses(found)
    print(shown(found, verdict, late, used / len(shots), missed))
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

    async def one(shot: Shot) -> None:
        connection = free.pop() if free else (await loop.create_connection(Connection, "127.0.0.1", port))[1]
        if await _acknowledged(shot.said, connection, shot.request):
            free.append(connection)

    began = time.time() + HEAD_START
    for shot in shots:
        await asyncio.sleep(began + shot.due - time.time())
        shot.late = max(0.0, time.time() - began - shot.due)
        task = loop.create_task(one(shot))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    return time.time() - began


async def _acknowledged(said: Said, connection: Connection, request: bytes) -> bool:
    """One attempt, no more: what is refused counts as such. Whether the connection can be used again."""
    said.sent, started, said.attempts = time.time(), time.perf_counter(), 1
    try:
        status = await connection.request(request)
    except OSError:
        return False
    if status == 200:
        said.acked, said.ack_seconds = time.time(), time.perf_counter() - started
    return True


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


def shown(found: Figures, verdict: Verdict, late: Spread, processor: float, missed: Sequence[str]) -> str:
    """For a reader. `processor`: seconds of the service for a message."""
    driver = f"the driver wrote late by p50 {late.p50 * 1000:.1f} ms, p99 {late.p99 * 1000:.1f} ms"
    ack, end = found.ack, found.ends["flow"]
    exact = f"acknowledged p99 {ack.p99 * 1000:.1f} ms, end to end p99 {end.p99 * 1000:.1f} ms"
    cost = f"the service used {processor * 1e6:.0f} us of processor time for a message, delivery reports included"
    return "\n".join([text(found, verdict), exact, cost, driver, *missed])
