"""Overload is refused at the door, never dropped inside: small bounds everywhere, and every bound reached (P10)."""

import asyncio
from pathlib import Path

import pytest

from tests.acceptance.stage import APPEND, PHONE, Stage, echoes, staged
from tests.acceptance.world import SECRET, until

BURST = 40
TEXTS = ["hello", *(str(n) for n in range(1, BURST))]


async def test_more_webhooks_than_may_wait_are_refused_and_no_acknowledged_one_is_dropped(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    phones = [f"9198000002{n:02}" for n in range(BURST)]
    async with staged(database_url, redis_url, tmp_path, INTAKE_LIMIT="5", ACCEPT_TIMEOUT="30") as stage:
        trap = stage.proxy.trap(APPEND, "before")
        bodies = {phone: stage.message(phone, "hello") for phone in phones}
        posts = {phone: asyncio.ensure_future(_post(stage, body)) for phone, body in bodies.items()}
        await asyncio.wait_for(trap.sprung.wait(), 10)
        await until(lambda: sum(post.done() for post in posts.values()) >= BURST - 10, "what is too much is refused")
        refusals = [post.result() for post in posts.values() if post.done()]
        assert {status for status, _ in refusals} == {503}
        assert all(float(wait) > 0 for _, wait in refusals)
        status, ready = await stage.service.ready()
        assert (status, ready["degraded"]) == (503, ["intake"])
        trap.release()
        taken = [phone for phone, post in posts.items() if (await post)[0] == 200]
        for phone in taken:
            await stage.told("Heard hello", phone=phone)
        for phone in set(phones) - set(taken):
            assert (await stage.insist(bodies[phone]))["accepted"] == 1
            await stage.told("Heard hello", phone=phone)


async def _post(stage: Stage, body: dict[str, str]) -> tuple[int, str]:
    async with stage.session.post(
        f"{stage.service.url}/webhook/msg91", json=body, headers={"X-Webhook-Secret": SECRET}
    ) as answer:
        return answer.status, answer.headers.get("Retry-After", "")


@pytest.mark.parametrize("mailbox", ["1", "2"])
async def test_what_a_mailbox_has_no_room_for_waits_in_the_journal_in_order(
    database_url: str, redis_url: str, tmp_path: Path, mailbox: str
) -> None:
    async with staged(
        database_url, redis_url, tmp_path, MAILBOX_LIMIT=mailbox, RECIPIENT_BURST="100", MSG91_RATE="1000"
    ) as stage:
        await stage.insist([stage.message(PHONE, text) for text in TEXTS[:20]])
        for text in TEXTS[20:]:
            await stage.hear(text)
        await stage.told(*echoes(TEXTS))


async def test_what_the_outbox_has_no_room_for_waits_in_the_store_in_order(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    phones = [f"9198000003{n:02}" for n in range(8)]
    texts = TEXTS[:6]
    async with staged(
        database_url, redis_url, tmp_path, OUTBOX_LIMIT="3", MSG91_RATE="1000", MSG91_TIMEOUT="30"
    ) as stage:
        await stage.sandbox.behave(msg91={"latency": {"fixed": 1.0}, "count": 3})
        await asyncio.gather(*(_talk(stage, phone, texts) for phone in phones))
        await until(lambda: _committed(stage, len(phones) * len(texts)), "every step is committed")
        assert await stage.service.metric("bot_outbox_waiting") <= 3 + len(texts)
        for phone in phones:
            await stage.told(*echoes(texts), phone=phone, seconds=60)


async def _talk(stage: Stage, phone: str, texts: list[str]) -> None:
    for text in texts:
        await stage.hear(text, phone)


async def _committed(stage: Stage, count: int) -> bool:
    return await stage.count("select count(*) from messages where direction = 'outbound'") == count
