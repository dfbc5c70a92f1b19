"""Wherever the process dies, a conversation hears of a message that will never arrive, and a person looks (P1, P5)."""

import asyncio
from pathlib import Path
from typing import Any

from tests.acceptance.stage import APPEND, PHONE, Stage, staged
from tests.acceptance.world import until

REFUSAL = "(#131009) Parameter value is not valid"
FAILED = "131026 Message undeliverable"


async def test_dying_before_the_event_of_a_refused_send_is_durable_loses_neither_the_event_nor_the_reason(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with staged(database_url, redis_url, tmp_path, {"reports": False}) as stage:
        refused = {"status": 400, "body": {"hasError": True, "errors": REFUSAL}}
        await stage.sandbox.behave(msg91={"to": PHONE, "latency": {"fixed": 0.5}, **refused})
        await stage.hear("hello")
        await stage.die_at(stage.proxy.trap(APPEND, "before"))
        assert await stage.count("select count(*) from journal") == 1
        assert await _statuses(stage, "sending")
        await stage.service.start()
        await until(lambda: stage.has_status("queue"), "a person is asked to look")
        await stage.rest()
        (failed,) = await _sent(stage)
        assert failed["delivery_status"] == "failed"
        assert REFUSAL in failed["failure_reason"]
        assert await stage.replies() == []


async def test_dying_before_the_event_of_a_failed_report_is_durable_leaves_the_report_unacknowledged(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with staged(database_url, redis_url, tmp_path, {"reports": False}) as stage:
        await stage.hear("hello")
        await stage.told("Heard hello")
        (message,) = await _sent(stage)
        report = {"messageId": message["msg91_message_id"], "status": "failed", "reason": FAILED, "timestamp": "1"}
        trap = stage.proxy.trap(APPEND, "before")
        reporting = asyncio.ensure_future(stage.service.post(report))
        await asyncio.wait_for(trap.sprung.wait(), 10)
        assert await _statuses(stage, "failed")
        assert not reporting.done()
        await stage.die_at(trap)
        assert (await reporting)[0] == 0
        assert await stage.count("select count(*) from journal") == 1
        await stage.service.start()
        await stage.insist(report)
        await until(lambda: stage.has_status("queue"), "a person is asked to look")
        await stage.rest()
        (failed,) = await _sent(stage)
        assert (failed["delivery_status"], failed["failure_reason"]) == ("failed", FAILED)
        assert (await stage.insist(report))["duplicates"] == 1
        assert await stage.count("select count(*) from journal") == 2


async def _sent(stage: Stage) -> list[dict[str, Any]]:
    return [one for one in (await stage.conversation())["messages"] if one["direction"] == "outbound"]


async def _statuses(stage: Stage, status: str) -> bool:
    """Whether the one message to the customer has this status in the database."""
    found = await stage.database.fetch("select delivery_status from messages where direction = 'outbound'")
    return [row[0] for row in found] == [status]
