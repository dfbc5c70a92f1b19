"""The provider is down, slow or lies: messages wait, arrive once and in order, and what cannot arrive is told (P9)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.acceptance.sharing import new_phone, shared_stage
from tests.acceptance.stage import Stage, echoes
from tests.acceptance.world import until
from tests.conftest import Servers

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXTS = ("hello", "1", "2")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("provider")
    async with shared_stage(servers, folder, MSG91_TIMEOUT="1", UNANSWERED_AFTER="0.5") as stage:
        yield stage


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _well(stage: Stage) -> AsyncIterator[None]:
    yield
    await stage.sandbox.behave(msg91=None, reports=None)
    await until(lambda: _breaker_is(stage, 0), "the breaker is closed")


async def _breaker_is(stage: Stage, state: int) -> bool:
    return bool(await stage.service.metric("bot_breaker_state") == state)


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 503, "count": 2},
        {"status": 500, "count": 2},
        {"status": 429, "headers": {"Retry-After": "1"}, "count": 1},
        {"fault": "error_in_200", "body": {"hasError": True, "errors": "Something went wrong"}, "count": 1},
    ],
    ids=lambda trouble: str(trouble.get("fault") or trouble.get("status")),
)
async def test_what_fails_for_now_is_tried_again_and_arrives_once_and_in_order(
    stage: Stage, trouble: dict[str, Any]
) -> None:
    phone = new_phone()
    await stage.sandbox.behave(msg91={"to": phone, **trouble})
    for text in TEXTS:
        await stage.hear(text, phone)
    await stage.told(*echoes(TEXTS), phone=phone)


async def test_a_report_spares_the_repetition_of_a_send_whose_answer_was_cut(stage: Stage) -> None:
    phone = new_phone()
    await stage.sandbox.behave(msg91={"to": phone, "fault": "cut", "count": 1})
    before = await stage.service.metric("bot_uncertain_sends_total")
    for text in TEXTS:
        await stage.hear(text, phone)
    await stage.told(*echoes(TEXTS), phone=phone)
    assert await stage.service.metric("bot_uncertain_sends_total") == before


async def test_a_send_that_may_have_arrived_is_repeated_without_a_report_and_counted(stage: Stage) -> None:
    cut, hung, garbled = phones = [new_phone() for _ in range(3)]
    faults = {cut: "cut", hung: "hang", garbled: "html"}
    rules = [{"to": phone, "fault": fault, "seconds": 5, "count": 1} for phone, fault in faults.items()]
    await stage.sandbox.behave(msg91=rules, reports={"to": cut, "off": True})
    before = await stage.service.metric("bot_uncertain_sends_total")
    for phone in phones:
        for text in TEXTS:
            await stage.hear(text, phone)
    await stage.told("Heard hello", *echoes(TEXTS), phone=cut)
    await stage.told(*echoes(TEXTS), phone=hung)
    await stage.told(*echoes(TEXTS), phone=garbled)
    assert await stage.service.metric("bot_uncertain_sends_total") == before + 3


async def test_a_provider_that_is_down_opens_the_breaker_and_everything_waits_for_it(stage: Stage) -> None:
    phones = [new_phone() for _ in range(12)]
    sends = await _sends(stage)
    await stage.sandbox.behave(msg91={"status": 503})
    for phone in phones:
        for text in TEXTS:
            await stage.hear(text, phone)
    await until(lambda: _breaker_is(stage, 2), "the breaker opens")
    status, ready = await stage.service.ready()
    assert (status, ready["degraded"]) == (200, ["provider"])
    await until(lambda: _unanswered(stage, len(phones)), "the customers without a reply are counted")
    assert await _sends(stage) - sends < 2 * len(phones)
    await stage.sandbox.behave(msg91=None)
    for phone in phones:
        await stage.told(*echoes(TEXTS), phone=phone, seconds=60)
    await until(lambda: _breaker_is(stage, 0), "the breaker closes")
    await until(lambda: _unanswered(stage, 0), "nobody is left without a reply")


async def _sends(stage: Stage) -> int:
    return int((await stage.sandbox.call("GET", "/sandbox/counters")).get("sends", 0))


async def _unanswered(stage: Stage, count: int) -> bool:
    return bool(await stage.service.metric("bot_unanswered_customers") == count)


@pytest.mark.parametrize(
    "refusal",
    [
        {"status": 400, "body": {"hasError": True, "errors": "(#131009) Parameter value is not valid"}},
        {"fault": "error_in_200", "body": {"hasError": True, "errors": "131026 Message undeliverable"}},
    ],
    ids=["4xx", "in 200"],
)
async def test_what_fails_for_good_is_marked_the_next_goes_out_and_a_person_is_asked_to_look(
    stage: Stage, refusal: dict[str, Any]
) -> None:
    phone = new_phone()
    await stage.sandbox.behave(msg91=({"to": phone, "latency": {"fixed": 0.5}, "count": 1, **refusal},))
    for text in TEXTS:
        await stage.hear(text, phone)
    await stage.told(*echoes(TEXTS)[1:], phone=phone)
    await until(lambda: stage.has_status("queue", phone), "a person is asked to look")
    shown = await stage.conversation(phone)
    sent = [one for one in shown["messages"] if one["direction"] == "outbound"]
    await until(lambda: _statuses(stage, phone, ["failed", "delivered", "delivered"]), "what became of each is shown")
    assert str(refusal["body"]["errors"]) in sent[0]["failure_reason"]


async def _statuses(stage: Stage, phone: str, expected: list[str]) -> bool:
    shown = await stage.conversation(phone)
    return [one["delivery_status"] for one in shown["messages"] if one["direction"] == "outbound"] == expected


@pytest.mark.parametrize(
    "how",
    [
        {"duplicate": True, "read": True},
        {"out_of_order": True, "read": True},
        {"late": 0.5, "read": True},
    ],
    ids=lambda how: next(iter(how)),
)
async def test_reports_in_any_order_end_in_the_furthest_status(stage: Stage, how: dict[str, Any]) -> None:
    phone = new_phone()
    await stage.sandbox.behave(reports={"to": phone, **how})
    for text in TEXTS:
        await stage.hear(text, phone)
    await stage.told(*echoes(TEXTS), phone=phone)
    await until(lambda: _statuses(stage, phone, ["read"] * 3), "all are read")


async def test_a_report_may_come_before_the_send_call_returns(stage: Stage) -> None:
    phone = new_phone()
    await stage.sandbox.behave(msg91={"to": phone, "fault": "trickle", "seconds": 0.5, "count": 1})
    await stage.hear("hello", phone)
    await stage.reached(1, phone)
    await until(lambda: _statuses(stage, phone, ["delivered"]), "the report is applied")
    await stage.hear("1", phone)
    await stage.told("Heard hello", "Echo 1", phone=phone)
    await until(lambda: _statuses(stage, phone, ["delivered"] * 2), "nothing went backwards")
