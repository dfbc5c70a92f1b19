"""Models fail, hang, answer too late: the customer hears one answer, or an apology and the offer of a person (P9)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.acceptance.sharing import new_phone, shared_stage
from tests.acceptance.stage import PHONE, Stage, staged
from tests.acceptance.world import until
from tests.conftest import Servers

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOURS = "We are open Monday to Saturday, 9 am to 6 pm. (simulated)"
APOLOGY = "Sorry, I cannot answer that right now. Would you like to talk to a person?"
SLOW = {"latency": {"fixed": 1.5}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("model")
    async with shared_stage(servers, folder, OPENROUTER_TIMEOUT="4") as stage:
        yield stage


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _well(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    yield
    if "stage" in request.fixturenames:
        await request.getfixturevalue("stage").sandbox.behave(openrouter=None)


async def _calls(stage: Stage) -> int:
    return int((await stage.sandbox.call("GET", "/sandbox/counters")).get("model_calls", 0))


async def _asked(stage: Stage) -> list[dict[str, Any]]:
    """The answered calls of the model, oldest first."""
    found: list[dict[str, Any]] = await stage.sandbox.call("GET", "/sandbox/model_calls")
    return found


async def test_the_fallback_answers_when_the_first_model_is_down(stage: Stage) -> None:
    phone = new_phone()
    await stage.sandbox.behave(openrouter={"model": "stand-in/first", "status": 502})
    await stage.hear("What are your opening hours?", phone)
    await stage.told(HOURS, phone=phone)
    shown = await stage.conversation(phone)
    assert shown["messages"][-1]["llm_model_used"] == "stand-in/second"


async def test_a_model_that_hangs_leaves_time_for_the_fallback(stage: Stage) -> None:
    phone = new_phone()
    await stage.sandbox.behave(openrouter={"model": "stand-in/first", "fault": "hang", "count": 1})
    await stage.hear("What are your opening hours?", phone)
    await stage.told(HOURS, phone=phone, seconds=8)


async def test_when_no_model_answers_the_customer_hears_so_and_a_tap_brings_a_person(stage: Stage) -> None:
    phone = new_phone()
    await stage.sandbox.behave(openrouter={"fault": "hang"})
    await stage.hear("What are your opening hours?", phone)
    await stage.told(APOLOGY, phone=phone, seconds=10)
    offer = (await stage.sandbox.messages(phone))[0]["content"]["buttons"][0]
    tap = {**stage.message(phone, offer["title"]), "type": "button", "payload": offer["id"]}
    await stage.insist(tap)
    await until(lambda: stage.has_status("queue", phone), "a person is asked")


async def test_a_burst_of_short_messages_is_one_question_and_one_answer(stage: Stage) -> None:
    phone = new_phone()
    before = await _calls(stage)
    for text in ("Hi there", "quick one", "what are your opening hours?"):
        await stage.hear(text, phone)
    await stage.told(HOURS, phone=phone)
    assert await _calls(stage) == before + 1
    said = str((await _asked(stage))[-1]["body"]["messages"])
    assert "Hi there" in said
    assert "quick one" in said


async def test_a_message_while_the_model_thinks_gets_one_answer_to_both(stage: Stage) -> None:
    phone = new_phone()
    before = await _calls(stage)
    await stage.sandbox.behave(openrouter={**SLOW, "count": 1})
    await stage.hear("Are you there?", phone)
    await until(lambda: _called(stage, before + 1), "the model is asked")
    await stage.hear("I mean your opening hours", phone)
    await stage.told(HOURS, phone=phone)
    said = str((await _asked(stage))[-1]["body"]["messages"])
    assert "Are you there?" in said


async def _called(stage: Stage, count: int) -> bool:
    return await _calls(stage) >= count


async def test_an_answer_that_comes_after_a_person_took_over_is_kept_and_not_sent(stage: Stage) -> None:
    phone = new_phone()
    before = await _calls(stage)
    await stage.sandbox.behave(openrouter={**SLOW, "count": 1})
    await stage.hear("What are your opening hours?", phone)
    await until(lambda: _called(stage, before + 1), "the model is asked")
    conversation = (await stage.conversation(phone))["id"]
    status, _ = await stage.service.api("POST", f"/conversations/{conversation}/assign", {"agent": "asha"})
    assert status == 200
    await stage.rest()
    kept = (await stage.conversation(phone))["messages"][-1]
    assert (kept["delivery_status"], kept["text"]) == ("withheld", HOURS)
    assert await stage.replies(phone) == []


async def test_dying_while_the_model_thinks_asks_again_and_gives_one_answer(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with staged(database_url, redis_url, tmp_path) as stage:
        await stage.sandbox.behave(openrouter={"fault": "hang", "count": 1})
        await stage.hear("What are your opening hours?")
        await until(lambda: _called(stage, 1), "the model is asked")
        await stage.service.kill()
        await stage.service.start()
        await stage.told(HOURS)
        assert await _calls(stage) == 2


async def test_spent_money_and_a_refused_key_end_in_an_apology(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with staged(database_url, redis_url, tmp_path, MODEL_CONVERSATION_CAP="0.000001") as stage:
        await stage.hear("What are your opening hours?")
        await stage.told(HOURS)
        await stage.hear("And on Sunday, which hours?")
        await stage.told(HOURS, APOLOGY)
        assert await _calls(stage) == 1
        assert (await stage.service.ready())[1]["degraded"] == []
        await stage.sandbox.behave(openrouter={"status": 401})
        other = PHONE[:-1] + "2"
        await stage.hear("What are your opening hours?", other)
        await stage.told(APOLOGY, phone=other)
        status, ready = await stage.service.ready()
        assert (status, ready["degraded"]) == (200, ["model"])
