"""The database's answers are lost, the database goes away or freezes: nothing acknowledged is lost or doubled."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.acceptance.sharing import new_phone, shared_stage
from tests.acceptance.stage import APPEND, COMMIT, NOTE, REPORT, Stage, echoes
from tests.acceptance.world import until
from tests.conftest import Servers

REFUSAL_SECONDS = 9.0
"""A refusal comes within this when a statement may take one: a call under way, its own, and room for a slow machine."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("cuts")
    async with shared_stage(servers, folder, DATABASE_TIMEOUT="1", QUIET_MOMENT="0.1") as stage:
        yield stage


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_lost_answer_to_the_journal_is_a_refusal_and_its_repetition_has_one_effect(
    stage: Stage, moment: str
) -> None:
    phone = new_phone()
    await stage.hear("hello", phone)
    await stage.told("Heard hello", phone=phone)
    trap = stage.proxy.trap(APPEND, "before" if moment == "before" else "after", cut=True)
    body = stage.message(phone, "one")
    status, _ = await stage.service.post(body)
    assert trap.sprung.is_set()
    assert status == 503
    again = await stage.insist(body)
    assert (again["accepted"], again["duplicates"]) == ((1, 0) if moment == "before" else (0, 1))
    await stage.hear("two", phone)
    await stage.told(*echoes(["hello", "one", "two"]), phone=phone)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_lost_answer_to_the_services_own_event_is_recognised(stage: Stage, moment: str) -> None:
    phone = new_phone()
    await stage.hear("what are your opening hours?", phone)
    trap = stage.proxy.trap(APPEND, "before" if moment == "before" else "after", cut=True)
    replies = await stage.reached(1, phone)
    await stage.rest()
    assert trap.sprung.is_set()
    assert replies == await stage.replies(phone)
    assert "9 am" in replies[0]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("statement", [COMMIT, NOTE])
async def test_a_lost_answer_to_a_commit_or_a_note_is_recognised_as_own_work(
    stage: Stage, moment: str, statement: str
) -> None:
    phone = new_phone()
    await stage.hear("hello", phone)
    await stage.told("Heard hello", phone=phone)
    trap = stage.proxy.trap(statement, "before" if moment == "before" else "after", cut=True)
    for text in ("one", "two"):
        await stage.hear(text, phone)
    await stage.told(*echoes(["hello", "one", "two"]), phone=phone)
    assert trap.sprung.is_set()
    await until(lambda: _all_delivered(stage, phone), "every reply is noted as delivered")


async def _all_delivered(stage: Stage, phone: str) -> bool:
    messages = (await stage.conversation(phone))["messages"]
    return [one["delivery_status"] for one in messages if one["direction"] == "outbound"] == ["delivered"] * 3


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_lost_answer_to_a_report_of_failure_still_brings_in_a_person(stage: Stage, moment: str) -> None:
    phone = new_phone()
    await stage.sandbox.behave(reports={"to": phone, "off": True})
    await stage.hear("hello", phone)
    await stage.told("Heard hello", phone=phone)
    message = (await stage.sandbox.messages(phone))[0]["id"]
    trap = stage.proxy.trap(REPORT, "before" if moment == "before" else "after", cut=True)
    report = {"messageId": message, "status": "failed", "reason": "131026 Message undeliverable", "timestamp": "1"}
    status, _ = await stage.service.post(report)
    assert (trap.sprung.is_set(), status) == (True, 503)
    await stage.insist(report)
    await stage.insist(report)
    await until(lambda: stage.has_status("queue", phone), "a person is asked to look")
    assert (await stage.conversation(phone))["messages"][-1]["delivery_status"] == "failed"


@pytest.mark.parametrize("how", ["cut", "freeze"])
async def test_while_the_database_is_away_webhooks_are_refused_and_afterwards_everything_is_answered(
    stage: Stage, how: str
) -> None:
    phones = [new_phone() for _ in range(5)]
    texts = ["hello", *(str(n) for n in range(1, 6))]
    for phone in phones:
        await stage.hear("hello", phone)
    talking = asyncio.gather(*(_talk(stage, phone, texts[1:3]) for phone in phones))
    stage.proxy.cut() if how == "cut" else stage.proxy.freeze()
    refusal = await asyncio.wait_for(_refused(stage, new_phone()), REFUSAL_SECONDS)
    assert refusal.isdigit()
    assert await stage.service.healthy()
    status, ready = await stage.service.ready()
    assert (status, "database" in ready["degraded"]) == (503, True)
    stage.proxy.mend()
    await talking
    await asyncio.gather(*(_talk(stage, phone, texts[3:]) for phone in phones))
    for phone in phones:
        await stage.told(*echoes(texts), phone=phone)
    await until(lambda: _is_ready(stage), "ready again")


async def _talk(stage: Stage, phone: str, texts: list[str]) -> None:
    for text in texts:
        await stage.insist(stage.message(phone, text))


async def _refused(stage: Stage, phone: str) -> str:
    """The `Retry-After` of a webhook that comes while nothing can be stored."""
    async with stage.session.post(
        f"{stage.service.url}/webhook/msg91",
        json=stage.message(phone, "hello"),
        headers={"X-Webhook-Secret": "acceptance-secret"},
    ) as answer:
        assert answer.status == 503
        return answer.headers["Retry-After"]


async def _is_ready(stage: Stage) -> bool:
    status, ready = await stage.service.ready()
    return status == 200 and not ready["degraded"]
