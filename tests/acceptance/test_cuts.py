"""The database's answers are lost: nothing acknowledged is lost or doubled.

What happens while the database is away for longer is in `tests/acceptance/test_postgres_away.py`.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.acceptance.sharing import new_phone, shared_stage
from tests.acceptance.stage import APPEND, COMMIT, NOTE, REPORT, Stage, echoes
from tests.acceptance.world import until
from tests.conftest import Servers

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("cuts")
    async with shared_stage(servers, folder, DATABASE_TIMEOUT="1", QUIET_MOMENT="0.1") as stage:
        yield stage


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_lost_answer_to_the_journal_is_none_to_the_provider_and_a_repetition_has_one_effect(
    stage: Stage, moment: str
) -> None:
    phone = new_phone()
    await stage.hear("hello", phone)
    await stage.told("Heard hello", phone=phone)
    trap = stage.proxy.trap(APPEND, "before" if moment == "before" else "after", cut=True)
    body = stage.message(phone, "one")
    status, _ = await stage.service.post(body)
    assert (trap.sprung.is_set(), status) == (True, 200)
    await stage.insist(body)
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
    assert (trap.sprung.is_set(), status) == (True, 200)
    await stage.insist(report)
    await until(lambda: stage.has_status("queue", phone), "a person is asked to look")
    assert (await stage.conversation(phone))["messages"][-1]["delivery_status"] == "failed"
