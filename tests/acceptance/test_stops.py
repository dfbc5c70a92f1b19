"""A stop in good order loses and doubles nothing, and whoever starts next goes on at once (P6); timers survive it."""

import asyncio
import random
import time
from pathlib import Path

import pytest

from tests.acceptance.stage import PHONE, Stage, echoes, staged
from tests.acceptance.world import until

TEXTS = ("hello", "1", "2", "3", "4")
FLOW = """
flow_id: welcome
version: 1
triggers: [{type: first_message}]
steps:
  - {id: ask, type: input, variable: name, text: "Welcome! Your name?"}
  - {id: again, type: input, variable: more, text: "Hello {name}."}
"""


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_stop_under_traffic_loses_and_doubles_nothing_and_leaves_every_seat(
    database_url: str, redis_url: str, tmp_path: Path, seed: int
) -> None:
    phones = [f"9198000004{n:02}" for n in range(20)]
    answers = random.Random(seed).randrange(1, 80)
    async with staged(
        database_url, redis_url, tmp_path, LEASE_SECONDS="60", MSG91_RATE="1000", DRAIN_SECONDS="5"
    ) as stage:
        await stage.sandbox.behave(msg91={"latency": {"uniform": [0.0, 0.1]}})
        talking = asyncio.gather(*(_talk(stage, phone) for phone in phones))
        await until(lambda: _told(stage, answers), f"{answers} replies are out")
        began = time.monotonic()
        assert await stage.service.terminate() == 0
        assert time.monotonic() - began < 5 + 3
        await stage.service.start()
        await talking
        for phone in phones:
            await stage.told(*echoes(TEXTS), phone=phone, seconds=20)


async def _talk(stage: Stage, phone: str) -> None:
    for text in TEXTS:
        await stage.insist(stage.message(phone, text))


async def _told(stage: Stage, count: int) -> bool:
    return bool((await stage.sandbox.call("GET", "/sandbox/counters")).get("accepted", 0) >= count)


async def test_a_stop_while_the_provider_hangs_ends_within_its_time(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with staged(
        database_url, redis_url, tmp_path, LEASE_SECONDS="60", DRAIN_SECONDS="2", RECIPIENT_INTERVAL="0.5"
    ) as stage:
        await stage.sandbox.behave(msg91={"fault": "hang", "seconds": 60, "count": 1})
        await stage.hear("hello")
        await until(
            lambda: stage.count("select count(*) from messages where delivery_status = 'sending'"), "it goes out"
        )
        await stage.hear("1")
        began = time.monotonic()
        assert await stage.service.terminate() == 0
        assert time.monotonic() - began < 2 + 5
        await stage.service.start()
        await stage.told("Heard hello", "Echo 1", seconds=20)


async def test_silence_ends_the_flow_and_then_the_conversation_also_while_nobody_was_running(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "welcome.yaml").write_text(FLOW)
    async with staged(
        database_url, redis_url, tmp_path, FLOWS_DIR=str(flows), SESSION_TIMEOUT="1", CONVERSATION_TIMEOUT="2"
    ) as stage:
        await stage.hear("hi")
        await stage.told("Welcome! Your name?")
        assert (await stage.conversation())["current_flow"] == "welcome"
        await until(lambda: _no_flow(stage), "the flow is over")
        await stage.hear("hi again")
        await stage.told(*["Welcome! Your name?"] * 2)
        first = (await stage.conversation())["id"]
        await until(lambda: stage.has_status("closed"), "the conversation is closed")

        await stage.hear("me once more")
        await stage.told(*["Welcome! Your name?"] * 3)
        assert (await stage.conversation())["id"] != first
        await stage.service.kill()
        await until(lambda: stage.count("select count(*) from timers where due_at < now()"), "a timer is due")
        await stage.service.start()
        await until(lambda: stage.has_status("closed"), "the conversation is closed after the start")


async def _no_flow(stage: Stage) -> bool:
    return not (await stage.conversation(PHONE))["current_flow"]
