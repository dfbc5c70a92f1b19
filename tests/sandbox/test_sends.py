"""MSG91's calls: what is accepted, what is refused and in which words."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.sandbox.limits import Refused
from bot.sandbox.sends import bulk_orders, decode, session_order, simple_orders
from tests.sandbox.conftest import CUSTOMER, KEY, OURS, SEND, Client, Start, customer_says, send, sent_to, text_to

BULK = SEND + "bulk/"
SIMPLE = "/api/v5/whatsapp/send"


def interactive(message: Any) -> dict[str, Any]:
    head = {"integrated_number": OURS, "recipient_number": CUSTOMER, "content_type": "interactive"}
    return {**head, "interactive": message}


def buttons(*pairs: tuple[str, str], body: str = "Choose") -> dict[str, Any]:
    listed = [{"type": "reply", "reply": {"id": key, "title": title}} for key, title in pairs]
    return interactive({"type": "button", "body": {"text": body}, "action": {"buttons": listed}})


def menu(*sections: Any, button: str = "Open", body: str = "Choose", **more: Any) -> dict[str, Any]:
    action = {"button": button, "sections": list(sections)}
    return interactive({"type": "list", "body": {"text": body}, "action": action, **more})


def section(*rows: dict[str, Any], title: str = "") -> dict[str, Any]:
    return {"title": title, "rows": list(rows)}


def row(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"r{number}", "title": f"Row {number}", **more}


def media(kind: str, **more: Any) -> dict[str, Any]:
    head = {"integrated_number": OURS, "recipient_number": CUSTOMER, "content_type": kind}
    return {**head, "attachment_url": "https://example.com/a.jpg", **more}


def location(place: Any) -> dict[str, Any]:
    head = {"integrated_number": OURS, "recipient_number": CUSTOMER, "content_type": "location"}
    return {**head, "location": place}


def template(*items: Any, **more: Any) -> dict[str, Any]:
    body = {
        "name": "otp",
        "language": {"code": "en", "policy": "deterministic"},
        "to_and_components": list(items),
        **more,
    }
    payload = {"messaging_product": "whatsapp", "type": "template", "template": body}
    return {"integrated_number": OURS, "content_type": "template", "payload": payload}


GOOD = [
    text_to(),
    text_to(text="x" * 4096),
    buttons(("a", "A")),
    buttons(("a" * 256, "t" * 20), ("b", "B"), ("c", "C"), body="x" * 1024),
    menu(section(*(row(n) for n in range(10)))),
    menu(section(row(1, description="d" * 72), title="One"), section(row(2, id="i" * 200), title="Two")),
    menu(section(row(1)), header={"type": "text", "text": "Head"}, footer={"text": "Foot"}),
    interactive(
        {**buttons(("a", "A"))["interactive"], "header": {"type": "image", "image": {"link": "https://x.y/z"}}}
    ),
    media("image", caption="c" * 1024),
    media("document", filename="a.pdf"),
    media("audio"),
    location({"latitude": 19.0, "longitude": 72.8, "name": "Shop", "address": "MG Road"}),
    {**location(None), "payload": {"type": "location", "location": {"latitude": 1, "longitude": 2}}},
]

BAD = [
    ({**text_to(), "recipient_number": ""}, "recipient_number not found in request"),
    ({"payload": {"to": CUSTOMER, "type": "text"}}, "recipient_number not found in request"),
    (text_to("+919000000002"), "recipient_number must be 10 to 15 digits"),
    (text_to("٩١٩٠٠٠٠٠٠٠٠٠٢"), "recipient_number must be 10 to 15 digits"),
    ({**text_to(), "recipient_number": 919000000002}, "recipient_number not found"),
    ({**text_to(), "integrated_number": "918888888888"}, "not integrated"),
    ({**text_to(), "content_type": None}, "content_type not found"),
    ({**text_to(), "content_type": "hologram"}, "content_type hologram is not supported"),
    ({**text_to(), "crqid": 17}, "crqid must be a string"),
    (text_to(text=""), "text not found in request"),
    (text_to(text="x" * 4097), "text is longer than 4096"),
    (interactive(None), "interactive must be an object"),
    (interactive({"type": "flow"}), "interactive.type must be button or list"),
    (buttons(), "must have 1 to 3 items"),
    (buttons(("a", "A"), ("b", "B"), ("c", "C"), ("d", "D")), "must have 1 to 3 items"),
    (buttons(("a", "t" * 21)), "buttons[0].reply.title is longer than 20"),
    (buttons(("a" * 257, "A")), "buttons[0].reply.id is longer than 256"),
    (buttons(("a", "Same"), ("b", "Same")), "button titles must be unique"),
    (buttons(("a", "A"), ("a", "B")), "button ids must be unique"),
    (buttons(("a", "A"), body="x" * 1025), "body.text is longer than 1024"),
    (interactive({"type": "button", "action": {"buttons": [{"type": "url"}]}}), "buttons[0].type must be reply"),
    (interactive({"type": "button", "body": {"text": "x"}, "action": []}), "interactive.action must be an object"),
    (menu(), "sections must have 1 to 10 items"),
    (menu(section()), "rows must have 1 to 10 items"),
    (
        menu(section(*(row(n) for n in range(6)), title="A"), section(*(row(n) for n in range(6, 12)), title="B")),
        "10 rows",
    ),
    (menu(section(row(1), title="A"), section(row(2))), "sections[1].title not found"),
    (menu(section(row(1), row(1))), "row ids must be unique"),
    (menu(section(row(1, title="t" * 25))), "rows[0].title is longer than 24"),
    (menu(section(row(1, description="d" * 73))), "rows[0].description is longer than 72"),
    (menu(section(row(1, id="i" * 201))), "rows[0].id is longer than 200"),
    (menu(section(row(1)), button="b" * 21), "action.button is longer than 20"),
    (menu(section(row(1)), header={"type": "image"}), "the header of a list must be text"),
    (menu(section(row(1)), footer={"text": "f" * 61}), "footer.text is longer than 60"),
    (interactive({**buttons(("a", "A"))["interactive"], "header": {"type": "sound"}}), "header.type is not known"),
    (media("image", attachment_url="ftp://example.com/a"), "attachment_url is not a valid URL"),
    (media("image", attachment_url="https://exa mple.com/a"), "attachment_url is not a valid URL"),
    (media("image", attachment_url="http://[::1/a"), "attachment_url is not a valid URL"),
    (media("image", attachment_url=None), "attachment_url not found"),
    (media("image", caption="c" * 1025), "caption is longer than 1024"),
    (media("audio", caption="no"), "caption is not allowed for audio"),
    (location({"latitude": "19", "longitude": 2}), "location.latitude must be a number"),
    (location({"latitude": 1, "longitude": 181}), "location.longitude is out of range"),
    (location(None), "location must be an object"),
]


@pytest.mark.parametrize("body", GOOD)
async def test_a_well_formed_message_is_accepted_and_kept(box: Client, body: dict[str, Any]) -> None:
    status, answer = await send(box, body)
    assert (status, answer["status"], answer["hasError"], answer["errors"]) == (200, "success", False, None)
    (kept,) = await sent_to(box)
    assert answer["data"] == {"message_uuid": kept["id"], "status": "message submitted successfully"}
    assert (kept["from"], kept["body"], kept["kind"]) == (OURS, body, body["content_type"])


@pytest.mark.parametrize(("body", "problem"), BAD)
async def test_an_ill_formed_message_is_refused_in_msg91s_shape(
    box: Client, body: dict[str, Any], problem: str
) -> None:
    status, answer = await send(box, body)
    assert (status, answer["status"], answer["hasError"]) == (400, "fail", True)
    assert problem in answer["errors"]
    assert await sent_to(box) == []


async def test_refusals_can_come_with_status_200_as_they_have_been_seen_to(start: Start) -> None:
    status, answer = await send(await start(refusal_status=200), text_to(text=""))
    assert (status, answer["hasError"]) == (200, True)


@pytest.mark.parametrize("raw", [b"{", b"[]", b"\xff\xfe"])
async def test_a_body_that_is_no_json_object_is_refused(box: Client, raw: bytes) -> None:
    async with box.post(SEND, data=raw, headers=KEY) as response:
        assert response.status == 400
        assert (await response.json())["status"] == "fail"


async def test_without_the_right_key_it_is_401_as_json_under_text_html(start: Start) -> None:
    box = await start(auth_key="right")
    for headers in ({}, {"authkey": ""}, {"authkey": "wrong"}):
        async with box.post(SEND, json=text_to(), headers=headers) as response:
            assert (response.status, response.content_type) == (401, "text/html")
            assert orjson.loads(await response.read())["apiError"] == "201"
    async with box.post(SEND, json=text_to(), headers={"Authkey": "right"}) as response:
        assert response.status == 200


@pytest.mark.parametrize("path", [SEND[:-1], SEND + "more/", "/api/v5/whatsapp/", "/nowhere"])
async def test_a_wrong_path_is_route_missing(box: Client, path: str) -> None:
    async with box.post(path, json=text_to(), headers=KEY) as response:
        assert (response.status, await response.json()) == (404, {"type": "error", "msg": "Route Missing"})
    async with box.get(SEND, headers=KEY) as response:
        assert response.status == 404


async def test_the_query_form_and_the_mixed_form_are_accepted(box: Client) -> None:
    async with box.post(SEND, params=text_to(), headers=KEY) as response:
        assert response.status == 200
    query = {key: value for key, value in text_to().items() if key != "text"}
    async with box.post(SEND, params=query, json={"text": "from the body"}, headers=KEY) as response:
        assert response.status == 200
    assert [message["text"] for message in await sent_to(box)] == ["Hello", "from the body"]


async def test_a_template_goes_to_many_with_one_request_id(box: Client) -> None:
    parts = {"body_1": {"type": "text", "value": "1234"}, "button_1": {"subtype": "url", "type": "text", "value": "1"}}
    body = template(
        {"to": ["919000000002", "919000000003"], "components": parts}, {"to": ["919000000004"], "components": {}}
    )
    body["payload"]["template"]["to_and_components"][1]["CRQID"] = "mine"
    status, answer = await send(box, {**body, "CRQID": "all"}, BULK)
    assert (status, "data" in answer, len(answer["request_id"])) == (200, True, 32)
    async with box.get("/sandbox/messages") as response:
        kept = await response.json()
    assert [(one["to"][-1], one["crqid"], one["text"]) for one in kept] == [
        ("2", "all", "[otp] 1234 | 1"),
        ("3", "all", "[otp] 1234 | 1"),
        ("4", "mine", "[otp]"),
    ]
    assert {one["request_id"] for one in kept} == {answer["request_id"]}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({**template(), "content_type": "text"}, "content_type must be template"),
        ({**template(), "payload": {"type": "text"}}, "payload.type must be template"),
        (template(), "to_and_components must have 1 to 1000 items"),
        (template({"to": [CUSTOMER]}), "components must be an object"),
        (template({"to": CUSTOMER, "components": {}}), "to must have 1 to 1000 items"),
        (template({"to": ["12"], "components": {}}), "to must be 10 to 15 digits"),
        (template({"to": [CUSTOMER], "components": {"head": {}}}), "components.head is not known"),
        (template({"to": [CUSTOMER], "components": {"body_1": {"value": "x"}}}), "body_1.type not found"),
        (template({"to": [CUSTOMER], "components": {"body_1": {"type": "text", "value": "a\nb"}}}), "newlines"),
        (template({"to": [CUSTOMER], "components": {"button_1": {"type": "text", "value": "a"}}}), "button_1.subtype"),
        (template({"to": [CUSTOMER], "components": {}}, name=""), "template.name not found"),
        (template({"to": [CUSTOMER], "components": {}}, language={}), "language.code not found"),
    ],
)
async def test_an_ill_formed_template_is_refused(box: Client, body: dict[str, Any], problem: str) -> None:
    status, answer = await send(box, body, BULK)
    assert status == 400
    assert problem in answer["errors"]


async def test_the_simple_dialect_takes_texts_and_quick_replies(box: Client) -> None:
    replies = ["Yes", {"title": "No", "id": "no"}, {"text": "Later", "payload": "later"}]
    body = {"recipient": [{"phone": CUSTOMER, "message": "Well?", "quick_replies": replies}]}
    status, answer = await send(box, body, SIMPLE)
    (kept,) = await sent_to(box)
    assert (status, answer["messageId"], answer["data"]["message_uuid"]) == (200, kept["id"], kept["id"])
    assert [(one["id"], one["title"]) for one in kept["content"]["buttons"]] == [
        ("Yes", "Yes"),
        ("no", "No"),
        ("later", "Later"),
    ]
    await send(box, {"recipient": [{"phone": CUSTOMER, "message": "Plain"}]}, SIMPLE)
    assert [one["kind"] for one in await sent_to(box)] == ["interactive", "text"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"recipient": [{"phone": CUSTOMER}]},
        {"recipient": [{"phone": "+91", "message": "x"}]},
        {"recipient": [{"phone": CUSTOMER, "message": "x", "quick_replies": ["1", "2", "3", "4"]}]},
        {"recipient": [{"phone": CUSTOMER, "message": "x", "quick_replies": [{"id": "no title"}]}]},
    ],
)
async def test_the_simple_dialect_is_strict_too(box: Client, body: dict[str, Any]) -> None:
    assert (await send(box, body, SIMPLE))[0] == 400


async def test_outside_the_24_hours_only_templates_go_when_that_is_played(start: Start) -> None:
    box = await start(session_window=True)
    assert "131047" in (await send(box, text_to()))[1]["errors"]
    simple = {"recipient": [{"phone": CUSTOMER, "message": "x"}]}
    assert "131047" in (await send(box, simple, SIMPLE))[1]["errors"]
    assert (await send(box, template({"to": [CUSTOMER], "components": {}}), BULK))[0] == 200
    await customer_says(box, text="hi", at=1_000_000.0)
    assert (await send(box, text_to()))[0] == 400
    await customer_says(box, text="hi")
    assert (await send(box, text_to()))[0] == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30) | st.just(CUSTOMER),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.dictionaries(
    st.sampled_from(
        [
            "integrated_number",
            "recipient_number",
            "content_type",
            "text",
            "interactive",
            "location",
            "payload",
            "recipient",
        ]
    ),
    JSON,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FIELDS, st.sampled_from(["text", "interactive", "location", "image", "template"]))
def test_whatever_comes_is_an_order_or_a_refusal(fields: dict[str, Any], kind: str) -> None:
    body = {**fields, "integrated_number": OURS, "recipient_number": CUSTOMER, "content_type": kind}
    for parse in (session_order, bulk_orders, simple_orders):
        with suppress(Refused):
            assert parse(body, (OURS,))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=60))
def test_any_bytes_are_an_object_or_a_refusal(raw: bytes) -> None:
    with suppress(Refused):
        assert isinstance(decode(raw), dict)


async def test_our_own_numbers_are_listed_for_the_right_key(start: Start) -> None:
    client = await start(auth_key="right")
    path = "/api/v5/whatsapp/whatsapp-activation/"
    async with client.get(path, headers={"authkey": "right"}) as answer:
        assert answer.status == 200
        assert [one["integrated_number"] for one in orjson.loads(await answer.read())["data"]] == [OURS]
    async with client.get(path, headers={"authkey": "wrong"}) as answer:
        assert answer.status == 401
