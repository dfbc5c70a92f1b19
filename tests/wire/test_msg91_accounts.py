"""MSG91's own bodies: what customers wrote, what became of our messages, and what is neither."""

import json
from typing import Any

import pytest

from bot.core.messages import Location, Media, Other, Tap, Text
from bot.wire.msg91.deliveries import Ignored, Quarantined, Received
from tests.wire.msg91_bodies import OURS, THEIRS, heard, only, read, reported, sample

FLAT = {
    "customerNumber": THEIRS,
    "integratedNumber": OURS,
    "uuid": "wamid.A_callback",
    "ts": "2026-06-30T18:28:23+05:30",
}


def flat(**fields: Any) -> dict[str, Any]:
    return FLAT | fields


def meta(message: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return FLAT | {"messages": json.dumps([{"from": THEIRS, "id": "wamid.M"} | message])} | fields


def test_a_text_is_read_though_its_event_name_says_delivered() -> None:
    event = heard(sample("inbound-text"))
    assert event.content == Text(text="Hi")
    assert (event.provider_id, event.number, event.sent_at) == ("wamid.HBgMOTE3AAAA", OURS, 1756115755.0)
    assert (event.sender.phone, event.sender.name, event.sender.user_id) == (THEIRS, "Asha", "")


def test_a_captured_template_tap_is_read_with_both_identities() -> None:
    event = heard(sample("inbound-template-button-capture"))
    assert event.content == Tap(id="Execute the Trade", title="Execute the Trade")
    assert (event.provider_id, event.reply_to) == ("wamid.HBgMOTE5AAAA", "wamid.HBgMOTE5BBBB")
    assert (event.sender.phone, event.sender.user_id) == (THEIRS, "IN.2600000000000001")
    assert event.sent_at == 1782824301.0


def test_a_tapped_button_is_read() -> None:
    event = heard(sample("inbound-button-reply"))
    assert event.content == Tap(id="hourly_super", title="Super Deluxe")
    assert event.reply_to == "wamid.OUT"


def test_a_tapped_row_is_read() -> None:
    assert heard(sample("inbound-list-reply")).content == Tap(id="deluxe_photos", title="Deluxe Room Photos")


def test_a_delivery_report_is_read() -> None:
    report = reported(sample("report-delivered"))
    assert (report.status, report.provider_id, report.recipient) == ("delivered", "wamid.OUT", THEIRS)
    assert (report.request_id, report.at) == ("b6b0c2d4e6f80123456789abcdef0123", 1780029072.0)


def test_a_failed_report_under_the_older_names_keeps_reference_reason_and_code() -> None:
    report = reported(sample("report-failed-older-names"))
    assert (report.status, report.message_id, report.code) == ("failed", "m-17", 131047)
    assert report.reason == "131047 Re-engagement message"
    assert report.recipient == THEIRS


@pytest.mark.parametrize("name", ["inbound-button-reply", "inbound-list-reply", "inbound-template-button-capture"])
def test_without_the_messages_the_flat_fields_say_the_same(name: str) -> None:
    whole = sample(name)
    bare = heard({key: value for key, value in whole.items() if key != "messages"})
    assert bare.content == heard(whole).content
    assert bare.provider_id == heard(whole).provider_id


def test_values_that_are_objects_already_are_taken_as_well() -> None:
    body = sample("inbound-list-reply")
    loose = body | {key: json.loads(body[key]) for key in ("messages", "interactive")}
    assert heard(loose) == heard(body)


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (flat(text="Hi"), Text(text="Hi")),
        (flat(text=5), Text(text="5")),
        (flat(content='{"text":"Hi"}'), Text(text="Hi")),
        (flat(content={"text": "Hi"}, eventName="received"), Text(text="Hi")),
        (flat(content="Hi"), Text(text="Hi")),
        (flat(button="Yes"), Tap(id="Yes", title="Yes")),
        (flat(contentType="text", text="Hi", url="https://a.example/b"), Text(text="Hi")),
        (
            flat(url="https://a.example/b", caption="c", filename="f"),
            Media(kind="document", url="https://a.example/b", caption="c", filename="f"),
        ),
        (flat(content='{"attachment_url":"https://a.example/b"}'), Media(kind="document", url="https://a.example/b")),
        (
            flat(contentType="image", url="https://a.example/b", caption="c"),
            Media(kind="image", url="https://a.example/b", caption="c"),
        ),
        (flat(contentType="voice", url="javascript:alert(1)"), Media(kind="audio", url="")),
        (
            flat(contentType="location", latitude="19.5", longitude="72.8", text="here"),
            Location(latitude=19.5, longitude=72.8),
        ),
        (flat(latitude="19.5", longitude="72.8"), Location(latitude=19.5, longitude=72.8)),
        (flat(contentType="location", latitude="190", longitude="72.8"), Other(kind="location")),
        (flat(contentType="reaction", reaction='{"emoji":"👍"}'), Other(kind="reaction", text="👍")),
        (flat(contentType="reaction", reaction="👍"), Other(kind="reaction", text="👍")),
        (flat(messageType="order"), Other(kind="order")),
    ],
)
def test_flat_fields_are_read(body: dict[str, Any], content: object) -> None:
    assert heard(body).content == content


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ({"type": "text", "text": "Hi"}, Text(text="Hi")),
        ({"text": {"body": "Hi"}}, Text(text="Hi")),
        ({"type": "image", "image": {"id": "1", "caption": "c"}}, Media(kind="image", url="", caption="c")),
        (
            {"type": "document", "document": {"link": "https://a.example/b", "filename": "f\0g"}},
            Media(kind="document", url="https://a.example/b", filename="f g"),
        ),
        (
            {"type": "location", "location": {"latitude": 19, "longitude": "72.5", "name": "n", "address": "a"}},
            Location(latitude=19.0, longitude=72.5, name="n", address="a"),
        ),
        ({"type": "location", "location": {"latitude": "x"}}, Other(kind="location")),
        ({"type": "reaction", "reaction": {"emoji": "👍"}}, Other(kind="reaction", text="👍")),
        (
            {"type": "contacts", "contacts": [{"name": {"formatted_name": "Ravi"}}, {}]},
            Other(kind="contacts", text="Ravi"),
        ),
        ({"type": "order", "order": {"text": "two"}}, Other(kind="order", text="two")),
        (
            {"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": {"body": "Sent"}}},
            Other(kind="interactive", text="Sent"),
        ),
        ({"type": "unsupported", "errors": [{"code": 131051}]}, Other(kind="unsupported")),
    ],
)
def test_metas_messages_are_read(message: dict[str, Any], content: object) -> None:
    event = heard(meta(message))
    assert event.content == content
    assert event.provider_id == "wamid.M"


def test_what_metas_message_leaves_out_comes_from_the_flat_fields() -> None:
    assert heard(meta({"type": "text"}, text="Hi")).content == Text(text="Hi")
    assert heard(meta({"type": "text"})).content == Other(kind="text")
    body = meta({"type": "image", "image": {"url": "https://meta.example/a"}}, url="https://copy.example/a")
    assert heard(body).content == Media(kind="image", url="https://copy.example/a")


def test_every_message_of_a_body_with_several_is_kept() -> None:
    messages = [{"from": THEIRS, "id": f"wamid.{n}", "text": {"body": f"{n}"}} for n in range(3)]
    items = read(flat(messages=json.dumps(messages), text="0")).items
    assert [item.event.provider_id for item in items if hasattr(item, "event")] == ["wamid.0", "wamid.1", "wamid.2"]


def test_only_the_first_of_several_messages_takes_its_id_and_words_from_the_body() -> None:
    messages = json.dumps([{"from": THEIRS}, {"from": THEIRS, "type": "unsupported"}])
    first, second = read(flat(messages=messages, text="Hi")).items
    assert isinstance(first, Received)
    assert isinstance(second, Received)
    assert (first.event.provider_id, first.event.content) == ("wamid.A", Text(text="Hi"))
    assert (second.event.provider_id, second.event.content) == ("", Other(kind="unsupported"))


def test_a_customer_without_a_number_is_known_by_the_user_id() -> None:
    message = {"from_user_id": "IN.26", "id": "wamid.M", "text": {"body": "Hi"}}
    event = heard({"integratedNumber": OURS, "customerNumber": "", "messages": json.dumps([message])})
    assert (event.sender.phone, event.sender.user_id) == ("", "IN.26")


@pytest.mark.parametrize(
    "fields",
    [
        {"customerNumber": "IN.26"},
        {"user_id": "IN.26"},
        {"contacts": '[{"user_id":"IN.26","profile":{"name":"Asha"}}]'},
        {"messages": '[{"from":"IN.26","text":{"body":"Hi"}}]'},
    ],
)
def test_a_user_id_is_found_wherever_it_stands(fields: dict[str, Any]) -> None:
    assert heard({"integratedNumber": OURS, "uuid": "wamid.A", "text": "Hi"} | fields).sender.user_id == "IN.26"


def test_a_profile_adds_the_user_id_and_the_name() -> None:
    contacts = json.dumps([{"profile": {"name": "Asha"}, "wa_id": THEIRS, "user_id": "IN.26"}])
    for fields in ({}, {"customerName": "Asha"}):
        sender = heard(flat(text="Hi", contacts=contacts, **fields)).sender
        assert (sender.phone, sender.user_id, sender.name) == (THEIRS, "IN.26", "Asha")


@pytest.mark.parametrize(
    "body",
    [
        flat(direction="1", text="Hi"),
        flat(direction=1, content="Hi"),
        flat(direction="Outbound", messages='[{"from":"919000000002","text":{"body":"x"}}]'),
        flat(customerNumber=OURS, text="Hi"),
        flat(customerNumber="+91 90000 00001", text="Hi", direction="0"),
        meta({"from": OURS, "text": {"body": "Hi"}}),
        {"integratedNumber": "919111111111", "customerNumber": "919111111111", "text": "Hi", "uuid": "wamid.A"},
        {"customerNumber": THEIRS, "integratedNumber": OURS, "crqid": "x", "text": "Hi", "uuid": "wamid.A"},
        {"customerNumber": THEIRS, "messageType": "template", "content": '{"body_1":{"text":"x"}}', "uuid": "wamid.A"},
        sample("inbound-text") | {"customerNumber": OURS, "messages": ""},
    ],
)
def test_an_echo_of_our_own_message_is_ignored(body: dict[str, Any]) -> None:
    assert only(body) == Ignored(reason="echo")


@pytest.mark.parametrize("word", ["clicked", "URL_Click", "submitted"])
def test_a_notice_about_our_message_is_ignored_under_its_name(word: str) -> None:
    assert only({"customerNumber": THEIRS, "requestId": "r", "eventName": word}) == Ignored(reason=word.lower())


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"eventName": "READ", "text": "Hi"}, "read"),
        ({"eventName": "sent", "text": "Hi", "contentType": "text"}, "sent"),
        ({"eventName": "delivered", "crqid": "x", "text": "Hi"}, "delivered"),
        ({"eventName": "delivered", "statusUpdatedAt": "2026-05-29T10:01:12+05:30", "text": "Hi"}, "delivered"),
        ({"status": "Failed", "failureReason": "code: 368 locked"}, "failed"),
        ({"eventName": "delivered"}, "delivered"),
        ({"eventName": "delivered", "direction": "1", "messages": '[{"from":"919000000002"}]'}, "delivered"),
    ],
)
def test_a_report_is_told_from_a_message_by_what_it_carries(fields: dict[str, Any], status: str) -> None:
    assert reported({"customerNumber": THEIRS, "requestId": "r", "uuid": "wamid.A"} | fields).status == status


@pytest.mark.parametrize(
    "fields",
    [
        {"eventName": "delivered", "text": "Hi"},
        {"eventName": "received", "text": "Hi"},
        {"eventName": "brand new", "text": "Hi"},
        {"eventName": "read", "text": "Hi", "uuid": "wamid.A_hello"},
        {"eventName": "read", "text": "Hi", "direction": "0"},
        {"eventName": "sent", "messages": '[{"from":"919000000002","text":{"body":"Hi"}}]'},
        {"crqid": "x", "messages": '[{"from":"919000000002","text":{"body":"Hi"}}]'},
        {"eventName": "delivered", "messages": '[{"text":{"body":"Hi"}}]'},
    ],
)
def test_a_customers_words_are_never_taken_for_a_report(fields: dict[str, Any]) -> None:
    assert heard({"customerNumber": THEIRS, "uuid": "wamid.A"} | fields).content == Text(text="Hi")


def test_a_code_is_found_in_the_reason_or_beside_it() -> None:
    base = {"customerNumber": THEIRS, "requestId": "r", "eventName": "failed"}
    assert reported(base | {"reason": "code: 368 locked"}).code == 368
    assert reported(base | {"reason": "unknown", "statusCode": "131026"}).code == 131026
    assert reported(base | {"reason": "room 12", "statusCode": "x"}).code == 0


@pytest.mark.parametrize(
    "body",
    [
        {"customerNumber": "abc", "text": "Hi", "uuid": "wamid.A"},
        {"customerNumber": THEIRS, "uuid": "wamid.A"},
        {"eventName": "delivered", "requestId": "r"},
        {"direction": "0", "customerNumber": THEIRS},
        {"companyId": "5"},
    ],
)
def test_a_body_of_msg91_that_cannot_be_used_is_quarantined_whole(body: dict[str, Any]) -> None:
    item = only(body)
    assert isinstance(item, Quarantined)
    assert json.loads(item.body) == body
    assert item.reason


def test_without_any_id_or_time_the_id_of_the_call_stands_in() -> None:
    assert heard({"customerNumber": THEIRS, "text": "Hi", "requestId": "r"}).provider_id == "r"
    timed = {"customerNumber": THEIRS, "text": "Hi", "requestId": "r", "ts": "1785060659"}
    assert heard(timed).provider_id == ""
