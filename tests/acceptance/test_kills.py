"""Wherever the process dies, what it had acknowledged is answered, once and in order (P1 to P5)."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.acceptance.stage import APPEND, COMMIT, NOTE, PHONE, Stage, echoes, staged
from tests.acceptance.world import until
from tests.conftest import Servers

TEXTS = ("hello", "1", "2", "3", "4")


async def test_dying_before_the_journal_row_means_no_acknowledgement_and_one_effect_of_the_repetition(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with staged(database_url, redis_url, tmp_path) as stage:
        await stage.hear("hello")
        await stage.told("Heard hello")
        body = stage.message(PHONE, "one")
        trap = stage.proxy.trap(APPEND, "before")
        first = asyncio.ensure_future(stage.service.post(body))
        await stage.die_at(trap)
        assert (await first)[0] == 0
        assert await stage.count("select count(*) from journal") == 1
        await stage.service.start()
        assert (await stage.insist(body))["accepted"] == 1
        assert (await stage.insist(body))["duplicates"] == 1
        await stage.hear("two")
        await stage.told("Heard hello", "Echo one", "Echo two")


@pytest.mark.parametrize("repeated", [True, False])
async def test_dying_after_the_journal_row_and_before_the_answer_costs_nothing(
    database_url: str, redis_url: str, tmp_path: Path, repeated: bool
) -> None:
    async with staged(database_url, redis_url, tmp_path) as stage:
        await stage.hear("hello")
        await stage.told("Heard hello")
        body = stage.message(PHONE, "one")
        trap = stage.proxy.trap(APPEND, "after")
        first = asyncio.ensure_future(stage.service.post(body))
        await stage.die_at(trap)
        assert (await first)[0] == 0
        await stage.service.start()
        if repeated:
            assert (await stage.insist(body))["duplicates"] == 1
            await stage.hear("two")
        else:
            await stage.reached(2)
            await stage.hear("two")
        await stage.told("Heard hello", "Echo one", "Echo two")


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_dying_around_the_commit_of_a_step_costs_nothing(
    database_url: str, redis_url: str, tmp_path: Path, moment: str
) -> None:
    async with staged(database_url, redis_url, tmp_path) as stage:
        await stage.hear("hello")
        await stage.told("Heard hello")
        trap = stage.proxy.trap(COMMIT, "before" if moment == "before" else "after")
        await stage.hear("one")
        await asyncio.wait_for(trap.sprung.wait(), 10)
        await stage.hear("two")
        await stage.die_at(trap)
        assert await stage.replies() == ["Heard hello"]
        await stage.service.start()
        await stage.told("Heard hello", "Echo one", "Echo two")
        await stage.hear("three")
        await stage.told("Heard hello", "Echo one", "Echo two", "Echo three")


async def test_what_the_dead_had_not_sent_goes_out_before_what_comes_next_even_without_redis(
    servers: Servers, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with staged(database_url, redis_url, tmp_path, LEASE_SECONDS="4") as stage:
        await stage.hear("hello")
        await stage.told("Heard hello")
        trap = stage.proxy.trap(COMMIT, "after")
        await stage.hear("one")
        await stage.die_at(trap)
        servers.flush_redis()
        await stage.service.start()
        await stage.hear("two")
        await stage.hear("three")
        await stage.told("Heard hello", "Echo one", "Echo two", "Echo three")


async def test_dying_between_sending_and_noting_it_may_double_that_one_message_and_counts_it(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with staged(database_url, redis_url, tmp_path, {"reports": False}) as stage:
        trap = stage.proxy.trap(NOTE, "before")
        await stage.hear("hello")
        await stage.reached(1)
        await stage.hear("one")
        await stage.hear("two")
        replies = "select count(*) = 3 from messages where direction = 'outbound'"
        await until(lambda: stage.count(replies), "every step is committed")
        await stage.die_at(trap)
        await stage.service.start()
        await stage.told("Heard hello", "Heard hello", "Echo one", "Echo two")
        assert await stage.service.metric("bot_uncertain_sends_total") == 1


async def test_a_delivery_report_that_came_before_the_death_prevents_the_double(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with staged(database_url, redis_url, tmp_path) as stage:
        trap = stage.proxy.trap(NOTE, "before")
        await stage.hear("hello")
        delivered = "select count(*) from messages where delivery_status = 'delivered'"
        await until(lambda: stage.count(delivered), "the report is applied")
        await stage.die_at(trap)
        await stage.service.start()
        await stage.hear("one")
        await stage.told("Heard hello", "Echo one")
        assert await stage.service.metric("bot_uncertain_sends_total") == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_dying_at_any_moment_of_a_burst_loses_and_doubles_nothing_beyond_uncertain_sends(
    database_url: str, redis_url: str, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    phones = [f"9198000001{n:02}" for n in range(30)]
    async with staged(database_url, redis_url, tmp_path, MSG91_RATE="2000") as stage:
        talking = asyncio.gather(*(_talk(stage, phone) for phone in phones))
        sent = chance.randrange(1, 120)
        await until(lambda: _anybody_told(stage, sent), f"{sent} replies are out")
        await stage.service.kill()
        await stage.service.start()
        await talking
        for phone in phones:
            await stage.reached(len(TEXTS), phone)
        await stage.rest()
        doubles = 0
        for phone in phones:
            replies = await stage.replies(phone)
            once = [text for text, before in zip(replies, [None, *replies], strict=False) if text != before]
            assert once == echoes(TEXTS)
            doubles += len(replies) - len(once)
        assert doubles <= await stage.service.metric("bot_uncertain_sends_total")


async def _talk(stage: Stage, phone: str) -> None:
    """A customer in a hurry: the next message as soon as the one before was acknowledged."""
    for text in TEXTS:
        await stage.insist(stage.message(phone, text))


async def _anybody_told(stage: Stage, count: int) -> bool:
    return bool((await stage.sandbox.call("GET", "/sandbox/counters")).get("accepted", 0) >= count)


async def test_the_same_webhook_at_once_and_again_after_a_death_has_one_effect(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with staged(database_url, redis_url, tmp_path) as stage:
        hello = stage.message(PHONE, "hello")
        answers = await asyncio.gather(*(stage.insist(hello) for _ in range(10)), stage.insist([hello, hello]))
        assert sum(answer["accepted"] for answer in answers) == 1
        assert sum(answer["duplicates"] for answer in answers) == 11
        await stage.told("Heard hello")
        await stage.service.kill()
        await stage.service.start()
        assert (await stage.insist(hello))["duplicates"] == 1
        await stage.hear("one")
        await stage.told("Heard hello", "Echo one")
