"""A bulk send that dies in the middle is repeated at another replica: everybody hears once, every result is true."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import aiohttp

from tests.acceptance.pair import Pair, paired
from tests.acceptance.postgres_proxy import PostgresProxy, proxied
from tests.acceptance.stage import APPEND
from tests.acceptance.world import PATIENCE, ROOT, Service

RECIPIENTS = [f"9187{number:08d}" for number in range(199)]
BAD = "12"
FLOW = ROOT / "tests" / "acceptance" / "flows" / "count.yaml"
REQUEST = {
    "recipients": [*({"phone_number": phone} for phone in RECIPIENTS), {"phone_number": BAD}],
    "template": {"name": "welcome", "variables": ["there"]},
}
BEGUN = 2
"""Statements that journal recipients until the replica dies; its answer to the last of them never comes."""
NOTHING_UNDER_WAY = """
select (select count(*) from messages where claimed_by = '')
  = (select count(*) from journal where consumed_at is not null)
  and exists (select from journal where consumed_at is null)
"""


async def bulk(replica: Service) -> tuple[int, Any]:
    return await replica.api("POST", "/messages/bulk", REQUEST, **{"Idempotency-Key": "bulk-1"})


async def die_in_the_middle(pair: Pair, proxy: PostgresProxy) -> None:
    """Let some handfuls in one by one, and kill the first replica when the last is journalled and those before sent."""
    trap = proxy.trap(APPEND, "after")
    asking = asyncio.create_task(bulk(pair.first))
    for _ in range(BEGUN - 1):
        await asyncio.wait_for(trap.sprung.wait(), PATIENCE)
        following = proxy.trap(APPEND, "after")
        trap.release()
        trap = following
    await asyncio.wait_for(trap.sprung.wait(), PATIENCE)
    await pair.holds(NOTHING_UNDER_WAY, what="what was let in is sent, and more is journalled")
    await pair.first.kill()
    with contextlib.suppress(aiohttp.ClientError):
        await asking


async def test_a_bulk_send_that_died_in_the_middle_reaches_everybody_once(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    flows = {"count": FLOW.read_text(encoding="utf-8")}
    async with (
        proxied(database_url) as proxy,
        paired(proxy.url, redis_url, tmp_path, flows, MSG91_RATE="1000") as pair,
    ):
        await die_in_the_middle(pair, proxy)
        status, answer = await bulk(pair.second)
        assert (status, len(answer["results"])) == (200, len(REQUEST["recipients"]))
        assert [result["phone_number"] for result in answer["results"]] == [*RECIPIENTS, BAD]
        assert [result["status"] for result in answer["results"]] == ["done"] * len(RECIPIENTS) + ["refused"]
        await pair.rest()
        heard = await asyncio.gather(*(pair.sandbox.replies(phone) for phone in RECIPIENTS))
        assert [len(messages) for messages in heard] == [1] * len(RECIPIENTS)
        made = await pair.database.fetch("select id::text from messages where direction = 'outbound'")
        assert {row["id"] for row in made} == {result.get("message_id") for result in answer["results"][:-1]}
        await pair.first.start()
        assert await bulk(pair.first) == (200, answer)
        await pair.rest()
        assert await pair.value("select count(*) from messages") == len(RECIPIENTS)
