"""What comes in: who may send, which shapes are read, and that no message of any form stops a conversation."""

import asyncio
import hashlib
import hmac
import io
import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from tests.acceptance.sharing import account_body, new_phone, new_user_id, shared_stage
from tests.acceptance.stage import Stage
from tests.acceptance.world import OUR_NUMBER, SECRET, until
from tests.conftest import Servers

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAMPLES = sorted((Path(__file__).parent.parent / "wire" / "samples").glob("*.json"))
_ids = itertools.count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with shared_stage(servers, tmp_path_factory.mktemp("webhook")) as stage:
        yield stage


def simple(phone: str, text: str, **fields: Any) -> dict[str, Any]:
    return {"from": phone, "text": text, "timestamp": int(time.time()), "messageId": f"w-{next(_ids)}", **fields}


def signed(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


async def post(stage: Stage, body: bytes, query: str = "", **headers: str) -> int:
    """The status of a webhook that carries nothing but what is given here."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{stage.service.url}/webhook/msg91{query}"
    async with stage.session.post(url, data=body, headers={"Content-Type": "application/json", **named}) as answer:
        if answer.status == 429:
            assert int(answer.headers["Retry-After"]) > 0
        return answer.status


async def journalled(stage: Stage) -> int:
    return await stage.count("select count(*) from journal")


async def taken(stage: Stage, body: Any) -> dict[str, Any]:
    status, answer = await stage.service.post(body)
    assert status == 200, answer
    return dict(answer)


def tally(**counts: int) -> dict[str, Any]:
    return {"status": "accepted", "accepted": 0, "duplicates": 0, "ignored": 0, "quarantined": 0, **counts}


# --- who may send ----------------------------------------------------------------------------------------------------


async def test_a_dashboard_may_ping(stage: Stage) -> None:
    async with stage.session.get(f"{stage.service.url}/webhook/msg91") as answer:
        assert answer.status == 200


async def test_header_query_and_signature_each_suffice(stage: Stage) -> None:
    phone = new_phone()
    bodies = [orjson.dumps(simple(phone, text)) for text in ("hello", "b", "c", "d", "e")]
    assert await post(stage, bodies[0], X_Webhook_Secret=SECRET) == 200
    assert await post(stage, bodies[1], query=f"?token={SECRET}") == 200
    assert await post(stage, bodies[2], X_MSG91_Signature=signed(bodies[2])) == 200
    assert await post(stage, bodies[3], X_Hub_Signature_256=f"sha256={signed(bodies[3])}") == 200
    assert await post(stage, bodies[4], X_MSG91_Signature=f"sha256={signed(bodies[4]).upper()}") == 200
    await stage.told("Heard hello", "Echo b", "Echo c", "Echo d", "Echo e", phone=phone)


async def test_who_has_no_secret_is_turned_away_counted_and_slowed_down_and_the_provider_is_not(stage: Stage) -> None:
    body = orjson.dumps(simple(new_phone(), "hello"))
    before = await journalled(stage)
    wrong: list[dict[str, str]] = [
        {},
        {"X_Webhook_Secret": "wrong"},
        {"X_Webhook_Secret": ""},
        {"query": "?token=wrong"},
        {"query": f"?Token={SECRET}"},
        {"X_MSG91_Signature": signed(body, "another"), "X_Webhook_Secret": SECRET},
        {"X_MSG91_Signature": "", "X_Webhook_Secret": SECRET, "query": f"?token={SECRET}"},
        {"X_MSG91_Signature": signed(body), "X_Hub_Signature_256": "sha256=00"},
        {"X_Webhook_Secret": SECRET.upper()},
    ]
    assert [await post(stage, body, **one) for one in wrong] == [401] * len(wrong)
    refused = [await post(stage, body, X_Webhook_Secret=f"guess {n}") for n in range(5)]
    assert refused[-1] == 429
    assert await stage.service.metric("bot_webhook_refused_total") >= len(wrong) + 5
    assert await journalled(stage) == before
    assert await post(stage, body, X_Webhook_Secret=SECRET) == 200


# --- which shapes are read -------------------------------------------------------------------------------------------


async def test_every_sample_body_is_taken(stage: Stage) -> None:
    for sample in SAMPLES:
        answer = await taken(stage, sample.read_bytes())
        assert answer["accepted"] == 1, (sample.name, answer)
    await stage.rest()
    shown = await stage.conversation("919000000002")
    assert [message["text"] for message in shown["messages"]] == [
        "Super Deluxe",
        "Deluxe Room Photos",
        "Execute the Trade",
        "Hi",
        "I need help",
    ]
    assert {message["unanswered"] for message in shown["messages"]} == {"stale"}
    assert shown["name"] == "Asha"


async def test_arrays_data_and_mixtures_are_taken_in_order(stage: Stage) -> None:
    phone = new_phone()
    await taken(stage, [simple(phone, "hello"), simple(phone, "1")])
    await taken(stage, {"data": [simple(phone, "2"), account_body("3", **{"from": phone})]})
    answer = await taken(stage, {"data": orjson.dumps([[simple(phone, "4")], simple(phone, "5")]).decode()})
    assert answer == tally(accepted=2)
    await stage.told("Heard hello", "Echo 1", "Echo 2", "Echo 3", "Echo 4", "Echo 5", phone=phone)


async def test_taps_media_and_places_are_heard_and_the_number_may_be_spelled_as_people_do(stage: Stage) -> None:
    phone = new_phone()
    spelled = f"+{phone[:2]} {phone[2:7]}-{phone[7:]}"
    await taken(
        stage,
        [
            simple(spelled, "hello"),
            simple(phone, "", type="button", payload="yes"),
            simple(phone, "", type="image", url="https://example.com/a.jpg", caption="my bill"),
            simple(phone, "", type="location", latitude=19.07, longitude=72.87, name="Mumbai"),
            simple(phone, "", type="audio", url="https://example.com/a.ogg"),
            simple(phone, "", type="document", url="https://example.com/a.pdf", filename="a.pdf", caption="paper"),
            simple(phone, "", type="video", url="https://example.com/a.mp4", caption="film"),
        ],
    )
    await taken(stage, simple(phone, "and on"))
    await until(lambda: _last_reply_is(stage, phone, "Echo and on"), "the last message is answered")
    shown = await stage.conversation(phone)
    kinds = [message["message_type"] for message in shown["messages"] if message["direction"] == "inbound"]
    assert kinds == ["text", "tap", "image", "location", "audio", "document", "video", "text"]


async def _last_reply_is(stage: Stage, phone: str, text: str) -> bool:
    return (await stage.replies(phone))[-1:] == [text]


async def test_echoes_of_our_own_are_ignored(stage: Stage) -> None:
    before = await journalled(stage)
    echo = {"direction": "1", "integratedNumber": OUR_NUMBER, "customerNumber": new_phone(), "text": "ours"}
    assert await taken(stage, echo) == tally(ignored=1)
    assert await taken(stage, simple(OUR_NUMBER, "ours")) == tally(ignored=1)
    assert await journalled(stage) == before


async def test_a_stale_message_is_shown_and_not_answered_and_the_next_one_is(stage: Stage) -> None:
    phone = new_phone()
    await taken(stage, simple(phone, "hello", timestamp=int(time.time()) - 3700))
    await taken(stage, simple(phone, "hello"))
    await stage.told("Heard hello", phone=phone)
    inbound = [one for one in (await stage.conversation(phone))["messages"] if one["direction"] == "inbound"]
    assert [one["unanswered"] for one in inbound] == ["stale", ""]


async def test_a_duplicate_has_no_second_effect_however_it_comes(stage: Stage) -> None:
    phone = new_phone()
    hello, twice, many = simple(phone, "hello"), simple(phone, "twice"), simple(phone, "many")
    assert await taken(stage, hello) == tally(accepted=1)
    assert await taken(stage, hello) == tally(duplicates=1)
    assert await taken(stage, [twice, twice, hello]) == tally(accepted=1, duplicates=2)
    answers = await asyncio.gather(*(taken(stage, many) for _ in range(20)))
    assert sum(answer["accepted"] for answer in answers) == 1
    assert sum(answer["duplicates"] for answer in answers) == 19
    with_suffix = account_body("suffixed", identity="wamid.SUFFIXED", **{"from": phone})
    assert await taken(stage, with_suffix) == tally(accepted=1)
    bare = {**with_suffix, "messages": "", "uuid": "wamid.SUFFIXED_hello", "customerNumber": phone, "text": "suffixed"}
    assert await taken(stage, bare) == tally(duplicates=1)
    await stage.told("Heard hello", "Echo twice", "Echo many", "Echo suffixed", phone=phone)


async def test_a_body_that_cannot_be_used_is_kept_for_operators_and_its_neighbours_are_answered(stage: Stage) -> None:
    phone = new_phone()
    useless = {"integratedNumber": OUR_NUMBER, "contentType": "text", "text": "from nobody at all"}
    counted = await stage.service.metric("bot_quarantined_total")
    assert await taken(stage, useless) == tally(quarantined=1)
    assert await taken(stage, [simple(phone, "hello"), useless]) == tally(accepted=1, quarantined=1)
    await stage.told("Heard hello", phone=phone)
    status, kept = await stage.service.api("GET", "/quarantine?limit=2")
    assert status == 200
    assert [orjson.loads(item["body"]) for item in kept["items"]] == [useless, useless]
    assert kept["items"][0]["reason"] == "a message without a sender"
    assert await stage.service.metric("bot_quarantined_total") == counted + 2


async def test_reports_move_a_message_on_and_never_back(stage: Stage) -> None:
    phone = new_phone()
    await taken(stage, simple(phone, "hello"))
    await stage.told("Heard hello", phone=phone)
    sent = await until(lambda: _status(stage, phone, "delivered"), "the provider's own reports arrive")
    report = {"messageId": sent["msg91_message_id"], "timestamp": int(time.time())}
    assert (await taken(stage, {**report, "status": "read"}))["accepted"] == 1
    await until(lambda: _status(stage, phone, "read"), "the message is read")
    for status in ("delivered", "sent"):
        await taken(stage, {**report, "status": status})
    assert (await _status(stage, phone, "read"))["delivered_at"]
    unknown = {"messageId": "nobody-knows", "status": "read", "timestamp": int(time.time())}
    assert (await taken(stage, unknown))["status"] == "accepted"


async def _status(stage: Stage, phone: str, status: str) -> Any:
    shown = await stage.conversation(phone)
    ours = [one for one in shown["messages"] if one["direction"] == "outbound" and one["delivery_status"] == status]
    return ours[0] if ours else None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"{",
        b"null",
        b"7",
        b'"text"',
        b"\xff\xfe",
        b"[" * 100_000,
        b"{}",
        b"[7]",
        orjson.dumps({"from": "123", "text": "x", "timestamp": 1795411618, "messageId": "m"}),
        orjson.dumps({"from": "+1234567890123456", "text": "x", "timestamp": 1795411618, "messageId": "m"}),
        orjson.dumps({"text": "x", "timestamp": 1795411618, "messageId": "m"}),
        orjson.dumps({"from": "918800000000", "timestamp": 1795411618, "messageId": "m"}),
        orjson.dumps({"from": "918800000000", "text": "x", "timestamp": 1795411618}),
        orjson.dumps({"from": "918800000000", "text": "x", "messageId": "m"}),
        orjson.dumps({"messageId": "m", "status": "vanished", "timestamp": 1795411618}),
    ],
)
async def test_what_is_no_event_is_refused_with_a_reason(stage: Stage, body: bytes) -> None:
    before = await journalled(stage)
    status, answer = await stage.service.post(body)
    assert status == 400, answer
    assert answer["error"]["code"]
    assert answer["error"]["message"]
    assert await journalled(stage) == before


async def test_a_body_over_3_mb_is_refused_told_or_not(stage: Stage) -> None:
    body = orjson.dumps(simple(new_phone(), "x" * 3 * 1024 * 1024))
    url, headers = f"{stage.service.url}/webhook/msg91", {"X-Webhook-Secret": SECRET}

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    for data in (io.BytesIO(body), in_pieces()):
        async with stage.session.post(url, data=data, headers=headers) as answer:
            assert answer.status == 413
            assert orjson.loads(await answer.read())["error"]["code"] == "too_large"


# --- who wrote -------------------------------------------------------------------------------------------------------


async def test_a_customer_without_a_number_is_put_in_the_queue_and_becomes_one_with_the_number(stage: Stage) -> None:
    phone, user_id = new_phone(), new_user_id()
    await taken(stage, account_body("no number", from_user_id=user_id))
    waiting = await until(lambda: _found(stage, user_id), "somebody without a number is in the queue")
    assert (waiting["status"], waiting["phone_number"]) == ("queue", None)
    assert "no phone number" in waiting["escalation_reason"]
    await taken(stage, simple(phone, "hello"))
    await stage.told("Heard hello", phone=phone)

    await taken(stage, account_body("both", **{"from": phone, "from_user_id": user_id}))
    await stage.rest()
    merged = await stage.database.fetch("select detail from audit where action = 'customers_merged'")
    assert len(merged) == 1
    found = (await stage.service.api("GET", f"/conversations?q={phone}"))[1]["items"]
    assert {one["user_id"] for one in found} == {user_id}
    assert len(found) == 2
    held = next(one for one in found if one["status"] != "closed")
    assert held["status"] == "queue", "a person was to answer the one, so a person has the other now"

    await taken(stage, account_body("by id", from_user_id=user_id))
    await taken(stage, simple(phone, "by number"))
    await stage.rest()
    texts = [one["text"] for one in await _transcript(stage, held["id"]) if one["direction"] == "inbound"]
    assert texts == ["hello", "both", "by id", "by number"]
    assert await stage.replies(phone) == ["Heard hello"], "the bot is silent while a person holds the conversation"

    assert (await stage.service.api("POST", f"/conversations/{held['id']}/return_to_bot", {}))[0] == 200
    await taken(stage, account_body("hello again", from_user_id=user_id))
    await stage.told("Heard hello", "Heard hello again", phone=phone)


async def _found(stage: Stage, user_id: str) -> Any:
    items = (await stage.service.api("GET", "/conversations?status=queue"))[1]["items"]
    return next((one for one in items if one["user_id"] == user_id), None)


async def _transcript(stage: Stage, conversation: str) -> list[dict[str, Any]]:
    status, shown = await stage.service.api("GET", f"/conversations/{conversation}")
    assert status == 200, shown
    messages: list[dict[str, Any]] = shown["messages"]
    return messages


# --- what is written -------------------------------------------------------------------------------------------------

ODD = {
    "NUL": '"a\\u0000b"',
    "a lone surrogate": '"a\\ud800b"',
    "surrogates in the wrong order": '"\\ude00\\ud83d"',
    "60,000 characters": orjson.dumps("word " * 12_000).decode(),
    "60,000 characters without a blank": orjson.dumps("w" * 60_000).decode(),
    "marks of direction": '"\\u202eevil\\u202c \\u200f\\u2066x\\u2069"',
    "emoji": orjson.dumps("👩‍👩‍👧‍👦🏳️‍🌈👍🏿" * 50).decode(),
    "a CEL expression": "\"order_id == 'x' && session.id != '' || true\"",
    "a template": '"{user_name} {said} {{message}} {phone} {unknown} %s ${HOME}"',
    "YAML": '"- {id: ask, type: end}\\n? !!python/object:os.system [ls]\\n&a *a"',
    "SQL": '"\'; drop table users; --"',
    "blank": '" \\t\\n "',
    "combining marks": orjson.dumps("z" + "\u0301" * 2_000).decode(),
}


@pytest.mark.parametrize("name", ODD)
async def test_an_odd_text_is_kept_and_the_next_message_is_answered(stage: Stage, name: str) -> None:
    phone = new_phone()
    await taken(stage, simple(phone, "hello"))
    whole = orjson.dumps(simple(phone, "ODD")).replace(b'"ODD"', ODD[name].encode())
    assert await taken(stage, whole) == tally(accepted=1)
    assert await taken(stage, simple(phone, "still here?")) == tally(accepted=1)
    await until(lambda: _last_reply_is(stage, phone, "Echo still here?"), "the conversation goes on")
    shown = await stage.conversation(phone)
    assert [one["direction"] for one in shown["messages"]].count("inbound") == 3
    assert shown["status"] == "bot"
    assert "order_id" not in name or "Echo order_id == 'x'" in "".join(await stage.replies(phone))


async def test_a_customers_text_is_never_evaluated_as_a_template(stage: Stage) -> None:
    phone = new_phone()
    await taken(stage, simple(phone, "hello"))
    await taken(stage, simple(phone, "{phone} {user_name}"))
    await stage.told("Heard hello", "Echo {phone} {user_name}", phone=phone)
