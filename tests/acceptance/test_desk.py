"""What operators do over REST, against the running service."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.acceptance.sharing import new_phone, shared_stage
from tests.acceptance.stage import Stage
from tests.acceptance.world import ROOT, until
from tests.conftest import Servers

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNT = (ROOT / "tests" / "acceptance" / "flows" / "count.yaml").read_text()
_keys = itertools.count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("desk")
    flows = folder / "flows"
    flows.mkdir()
    (flows / "count.yaml").write_text(COUNT)
    async with shared_stage(servers, folder, FLOWS_DIR=str(flows)) as stage:
        yield stage


async def api(stage: Stage, method: str, path: str, body: Any = None, *, status: int = 200, **headers: str) -> Any:
    got, answer = await stage.service.api(method, path, body, **headers)
    assert got == status, answer
    return answer


async def do(stage: Stage, conversation: str, deed: str, *, status: int = 200, key: str = "", **body: str) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return await api(stage, "POST", f"/conversations/{conversation}/{deed}", body, status=status, **headers)


async def begun(stage: Stage, name: str = "") -> tuple[str, str]:
    """A customer in the middle of a flow: the number and the conversation."""
    phone = new_phone()
    await stage.service.post({**stage.message(phone, "hello"), "name": name})
    await stage.told("Heard hello", phone=phone)
    return phone, (await stage.conversation(phone))["id"]


# --- reading ---------------------------------------------------------------------------------------------------------


async def test_conversations_are_found_by_number_by_name_and_by_who_holds_them(stage: Stage) -> None:
    phone, conversation = await begun(stage, "Meenakshi Sundaram")
    _, other = await begun(stage, "Bartholomew")
    await do(stage, other, "escalate", department="sales", reason="wants a discount")

    async def found(query: str) -> list[str]:
        return [item["id"] for item in (await api(stage, "GET", f"/conversations?{query}"))["items"]]

    for query in (f"q={phone}", f"q=%2B{phone[:2]}-{phone[2:]}", "q=meena", "q=SUNDAR", "q=sund+meen"):
        assert await found(query) == [conversation], query
    assert await found("q=eenakshi") == []
    assert await found("q=meen+barth") == []
    assert other in await found("status=queue")
    assert conversation not in await found("status=queue")
    assert conversation in await found("status=bot")
    shown = await api(stage, "GET", f"/conversations/{other}")
    assert (shown["department"], shown["escalation_reason"]) == ("sales", "wants a discount")
    first = await api(stage, "GET", "/conversations?limit=1")
    second = await api(stage, "GET", f"/conversations?limit=1&cursor={first['next']}")
    assert [first["items"][0]["id"], second["items"][0]["id"]] == (await found("limit=2"))


async def test_a_transcript_says_what_the_model_answered_and_cost(stage: Stage) -> None:
    phone = new_phone()
    await stage.hear("When are you open?", phone=phone)
    await stage.reached(1, phone)
    await stage.rest()
    shown = await stage.conversation(phone)
    asked, answered = shown["messages"]
    assert (asked["direction"], asked["text"]) == ("inbound", "When are you open?")
    assert "simulated" in answered["text"]
    assert (answered["is_from_llm"], answered["llm_model_used"]) == (True, "stand-in/first")
    assert answered["llm_cost"] > 0
    assert answered["processing_time"] > 0
    assert shown["model"]["calls"] == 1
    assert shown["model"]["cost_usd"] == pytest.approx(answered["llm_cost"])
    assert shown["status"] == "model"
    assert await stage.service.metric("bot_model_cost_usd_total") > 0


# --- acting ----------------------------------------------------------------------------------------------------------


async def test_while_a_person_holds_a_conversation_the_bot_is_silent(stage: Stage) -> None:
    phone, conversation = await begun(stage)
    await do(stage, conversation, "assign", agent="Ann", by="Bob")
    await stage.hear("hello", phone=phone)
    await do(stage, conversation, "reply", agent="Ann", message="Ann here.")
    await stage.hear("hello again", phone=phone)
    await stage.told("Heard hello", "Ann here.", phone=phone)
    shown = await stage.conversation(phone)
    assert (shown["status"], shown["agent"], shown["id"]) == ("agent", "Ann", conversation)
    unanswered = [one["unanswered"] for one in shown["messages"] if one["direction"] == "inbound"]
    assert unanswered == ["", "person", "person"]
    await do(stage, conversation, "return_to_bot", by="Ann")
    await stage.hear("hello 3", phone=phone)
    await stage.told("Heard hello", "Ann here.", "Heard hello 3", phone=phone)


async def test_a_models_answer_that_comes_after_a_person_took_over_is_kept_and_not_sent(stage: Stage) -> None:
    phone = new_phone()
    await stage.sandbox.behave(openrouter={"latency": {"fixed": 1.5}, "count": 1})
    await stage.hear("When are you open?", phone=phone)
    await until(lambda: stage.count("select count(*) from effects where done_at is null"), "the model is being asked")
    conversation = (await stage.conversation(phone))["id"]
    await do(stage, conversation, "reply", agent="Ann", message="Ann here.")
    await stage.told("Ann here.", phone=phone)
    await until(lambda: _withheld(stage, conversation), "the late answer is kept")
    await stage.told("Ann here.", phone=phone)


async def _withheld(stage: Stage, conversation: str) -> bool:
    messages = (await api(stage, "GET", f"/conversations/{conversation}"))["messages"]
    return any(one["delivery_status"] == "withheld" and "simulated" in one["text"] for one in messages)


async def test_a_resolved_conversation_is_closed_and_the_next_message_begins_another(stage: Stage) -> None:
    phone, conversation = await begun(stage)
    await do(stage, conversation, "reply", agent="Ann", message="Done.")
    await do(stage, conversation, "resolve", by="Ann", note="was easy")
    shown = await api(stage, "GET", f"/conversations/{conversation}")
    assert (shown["status"], shown["resolution_time"] > 0) == ("closed", True)
    for deed in ("resolve", "escalate", "return_to_bot"):
        refused = await do(stage, conversation, deed, status=409)
        assert refused["error"]["message"], deed
    await stage.hear("hello", phone=phone)
    await stage.told("Heard hello", "Done.", "Heard hello", phone=phone)
    assert (await stage.conversation(phone))["id"] != conversation
    late = await do(stage, conversation, "reply", agent="Ann", message="Too late.", status=409)
    assert "present conversation" in late["error"]["message"]
    await stage.told("Heard hello", "Done.", "Heard hello", phone=phone)


async def test_who_is_unknown_is_404_and_what_is_wrong_is_400(stage: Stage) -> None:
    await do(stage, "00000000-0000-7000-8000-000000000000", "resolve", status=404)
    await api(stage, "GET", "/conversations/00000000-0000-7000-8000-000000000000", status=404)
    await api(stage, "GET", "/users/919999999999", status=404)
    await api(stage, "POST", "/parked/999999/retry", status=404)
    await api(stage, "GET", "/conversations/7", status=404)
    wrong = await api(stage, "GET", "/conversations?status=nobody", status=400)
    assert set(wrong["error"]["fields"]) == {"status"}
    _, conversation = await begun(stage)
    for body in ({}, {"message": " "}, {"message": "a", "template": {"name": "b"}}, {"message": "a\x00b"}):
        await api(stage, "POST", f"/conversations/{conversation}/reply", body, status=400)


async def test_a_key_used_again_has_no_second_effect(stage: Stage) -> None:
    phone, conversation = await begun(stage)
    key = f"key-{next(_keys)}"
    first = await do(stage, conversation, "reply", key=key, agent="Ann", message="Once.")
    assert await do(stage, conversation, "reply", key=key, agent="Ann", message="Once.") == first
    key = f"key-{next(_keys)}"
    path = f"/conversations/{conversation}/reply"
    together = asyncio.gather(*(stage.service.api("POST", path, _says("Both."), **_key(key)) for _ in range(4)))
    answers = await asyncio.wait_for(together, 4.0)
    assert [status for status, _ in answers] == [200] * 4
    assert all(answer == answers[0][1] for _, answer in answers)
    await stage.told("Heard hello", "Once.", "Both.", phone=phone)


def _says(text: str) -> dict[str, str]:
    return {"agent": "Ann", "message": text}


def _key(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


async def test_a_customer_who_opted_out_hears_nothing_until_opted_in(stage: Stage) -> None:
    phone, _ = await begun(stage)
    assert (await api(stage, "PATCH", f"/users/{phone}", {"opted_out": True, "language": "hi"}))["opted_out"] is True
    await stage.hear("hello", phone=phone)
    refused = await api(stage, "POST", "/messages", {"phone_number": phone, "message": "News!"}, status=409)
    assert "opted out" in refused["error"]["message"]
    await stage.told("Heard hello", phone=phone)
    user = await api(stage, "GET", f"/users/{phone}")
    assert (user["opted_out"], user["language"], user["phone_number"]) == (True, "hi", phone)
    await api(stage, "PATCH", f"/users/{phone}", {"opted_out": False})
    await api(stage, "POST", "/messages", {"phone_number": f"+{phone}", "message": "News!"}, status=201)
    await stage.told("Heard hello", "News!", phone=phone)
    await api(stage, "PATCH", f"/users/{phone}", {}, status=400)


async def test_a_message_to_somebody_who_never_wrote_must_be_a_template(stage: Stage) -> None:
    phone = new_phone()
    refused = await api(stage, "POST", "/messages", {"phone_number": phone, "message": "Hello?"}, status=409)
    assert "template" in refused["error"]["message"]
    body = {"phone_number": phone, "template": {"name": "welcome_offer", "language": "en", "variables": ["Asha"]}}
    sent = await api(stage, "POST", "/messages", body, status=201)
    await stage.reached(1, phone)
    await stage.rest()
    message = await api(stage, "GET", f"/messages/{sent['message_id']}")
    assert message["recipient_number"] == phone
    assert message["message_type"] == "template"
    assert message["delivery_status"] in {"sent", "delivered"}
    await stage.hear("hello", phone=phone)
    await stage.reached(2, phone)
    assert (await stage.replies(phone))[1] == "Heard hello"


# --- parked ----------------------------------------------------------------------------------------------------------


async def _user(stage: Stage, phone: str) -> int:
    conversation = (await stage.conversation(phone))["id"]
    return await stage.count("select user_id from conversations where id = $1", conversation)


async def _parked(stage: Stage, phone: str) -> Any:
    items = (await api(stage, "GET", "/parked"))["items"]
    return next((item for item in items if item["phone_number"] == phone), None)


async def test_an_unreadable_state_is_parked_and_after_repair_nothing_is_lost(stage: Stage) -> None:
    phone, conversation = await begun(stage)
    user = await _user(stage, phone)
    state = await stage.database.fetchval("select state from users where id = $1", user)
    await stage.database.execute("update users set state = 'damaged', version = version + 1 where id = $1", user)
    await stage.hear("a", phone=phone)
    parked = await until(lambda: _parked(stage, phone), "the customer is parked")
    assert (parked["error"], parked["attempts"]) == ("the state cannot be opened", 3)
    assert parked["conversation_id"] == conversation
    await until(lambda: _gauge(stage, "bot_parked_conversations"), "the gauge tells")
    await stage.hear("b", phone=phone)
    other = new_phone()
    await stage.hear("hello", phone=other)
    await stage.reached(1, other)
    assert await stage.replies(phone) == ["Heard hello"]

    await stage.database.execute("update users set state = $2 where id = $1", user, state)
    await api(stage, "POST", f"/parked/{parked['id']}/retry")
    await stage.told("Heard hello", "Echo a", "Echo b", phone=phone)
    await api(stage, "POST", f"/parked/{parked['id']}/retry", status=404)


async def _gauge(stage: Stage, name: str) -> bool:
    return await stage.service.metric(name) > 0


async def test_an_unreadable_event_is_parked_and_discarding_it_lets_the_customer_go_on(stage: Stage) -> None:
    phone, _ = await begun(stage)
    user = await _user(stage, phone)
    await stage.database.execute(
        f"""
        create function damage() returns trigger language plpgsql as
          $$ begin if new.user_id = {user} then new.sealed := 'damaged'; end if; return new; end $$;
        create trigger damage before insert on journal for each row execute function damage();
        update users set version = version + 1 where id = {user}
        """
    )
    await stage.hear("damaged", phone=phone)
    await stage.database.execute("drop trigger damage on journal; drop function damage")
    parked = await until(lambda: _parked(stage, phone), "the customer is parked")
    assert parked["error"] == "the journal row cannot be opened"
    await stage.hear("a", phone=phone)
    await stage.hear("b", phone=phone)
    assert await stage.replies(phone) == ["Heard hello"]
    await api(stage, "POST", f"/parked/{parked['id']}/discard")
    await stage.told("Heard hello", "Echo a", "Echo b", phone=phone)
    assert await stage.count("select count(*) from audit where action = 'event_discarded' and user_id = $1", user) == 1
    assert await _parked(stage, phone) is None


# --- how it is doing -------------------------------------------------------------------------------------------------

PROMISED = {
    "bot_unanswered_customers": "gauge",
    "bot_journal_backlog": "gauge",
    "bot_journal_oldest_seconds": "gauge",
    "bot_uncertain_sends_total": "counter",
    "bot_parked_conversations": "gauge",
    "bot_quarantined_total": "counter",
    "bot_duplicates_total": "counter",
    "bot_reply_seconds": "histogram",
    "bot_model_cost_usd_total": "counter",
    "bot_breaker_state": "gauge",
}
"""What dashboards and alerts of operators are built on."""


async def test_after_traffic_every_promised_metric_is_there_and_names_nobody(stage: Stage) -> None:
    phone, conversation = await begun(stage, "Ephraim Metricus")
    await do(stage, conversation, "reply", agent="Ann", message="Hi.")
    asker = new_phone()
    await stage.hear("What is it?", phone=asker)
    await stage.reached(1, asker)
    await stage.rest()
    async with stage.session.get(f"{stage.service.url}/metrics") as answer:
        assert answer.content_type == "text/plain"
        text = await answer.text()
    kinds = dict(line.split(" ")[2:] for line in text.splitlines() if line.startswith("# TYPE bot_"))
    assert {name: kinds.get(name) for name in PROMISED} == PROMISED
    for kind in ("flow", "model", "agent"):
        count = next(line for line in text.splitlines() if line.startswith(f'bot_reply_seconds_count{{kind="{kind}"}}'))
        assert float(count.split(" ")[1]) > 0, count
    assert 'bot_breaker_state{name="msg91"} 0.0' in text
    assert await stage.service.metric("bot_unanswered_customers") == 0
    assert await stage.service.metric("bot_uncertain_sends_total") == 0
    labels = re.findall(r"\{(.*)\}", text)
    assert labels
    assert not [label for label in labels if re.search(r"\d{10,}", label)]
    assert not [name for name in (phone, asker, "Ephraim", conversation) if name in text]


async def test_readiness_names_every_part(stage: Stage) -> None:
    status, said = await stage.service.ready()
    assert (status, said["status"], said["degraded"]) == (200, "ready", [])
    assert set(said["checks"]) >= {"database", "redis", "schema", "flows", "provider", "model", "intake"}
    assert all(check["ok"] and check["detail"] for check in said["checks"].values())
