"""Webhook bodies of every shape: what is read, refused, quarantined, and that no bytes make it raise."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.events import MessageReceived
from bot.core.messages import Location, Media, Other, Tap, Text
from bot.wire.msg91.callbacks import MOST_EVENTS, read_webhook
from bot.wire.msg91.deliveries import Delivery, Ignored, Quarantined, Received, Reported
from bot.wire.msg91.fields import ID_LIMIT, NAME_LIMIT, REASON_LIMIT, URL_LIMIT
from bot.wire.msg91.identity import dedup_key, report_key
from bot.wire.msg91.reports import DeliveryReport
from tests.wire.msg91_bodies import OURS, PLAIN, SAMPLES, THEIRS, heard, only, read, refused, reported, sample

NAMES = sorted(path.stem for path in SAMPLES.glob("*.json"))


def raw(body: bytes, content_type: str = "application/json") -> Delivery:
    return read_webhook(body, our_numbers=frozenset({OURS}), content_type=content_type)


# --- plain shapes -----------------------------------------------------------------------------------------------------


def test_a_plain_text_is_read_and_its_number_brought_into_form() -> None:
    event = heard(sample("simple-text"))
    assert event == MessageReceived(
        provider_id="m-1001", sender=event.sender, content=Text(text="I need help"), sent_at=1714510003.0
    )
    assert event.sender.phone == THEIRS


@pytest.mark.parametrize(
    ("fields", "content"),
    [
        ({"type": ""}, Text(text="Hi")),
        ({"text": 5}, Text(text="5")),
        ({"type": "button", "payload": "yes"}, Tap(id="yes", title="Hi")),
        ({"type": "button", "text": "Yes"}, Tap(id="Yes", title="Yes")),
        ({"type": "list_reply", "payload": "row", "text": ""}, Tap(id="row", title="row")),
        ({"type": "image", "url": "https://a.example/b"}, Media(kind="image", url="https://a.example/b", caption="Hi")),
        (
            {"type": "audio", "audio": {"link": "https://a.example/b"}, "text": ""},
            Media(kind="audio", url="https://a.example/b"),
        ),
        ({"type": "video", "text": ""}, Media(kind="video", url="")),
        ({"type": "location", "latitude": 1.5, "longitude": "2"}, Location(latitude=1.5, longitude=2.0)),
        ({"type": "location", "location": {"latitude": 1, "longitude": 2}}, Location(latitude=1.0, longitude=2.0)),
        ({"type": "hologram"}, Other(kind="hologram", text="Hi")),
    ],
)
def test_every_plain_type_is_read(fields: dict[str, Any], content: object) -> None:
    assert heard(PLAIN | fields).content == content


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"from": ""}, "from is missing"),
        ({"from": None}, "from is missing"),
        ({"from": "12345"}, "phone number"),
        ({"from": "9" * 16}, "phone number"),
        ({"from": "91900000000x"}, "phone number"),
        ({"from": ["919000000002"]}, "phone number"),
        ({"from": 9.19000000002e11}, "phone number"),
        ({"from": True}, "phone number"),
        ({"text": ""}, "text"),
        ({"text": {"a": 1}}, "text"),
        ({"messageId": ""}, "messageId"),
        ({"messageId": {}}, "messageId"),
        ({"timestamp": None}, "timestamp"),
        ({"type": "button", "text": ""}, "payload"),
        ({"type": "location"}, "latitude"),
    ],
)
def test_a_plain_message_that_misses_something_is_refused_by_name(fields: dict[str, Any], word: str) -> None:
    assert word in refused(PLAIN | fields)


@pytest.mark.parametrize("field", ["from", "text", "timestamp", "messageId"])
def test_a_plain_message_without_a_field_is_refused(field: str) -> None:
    assert refused({key: value for key, value in PLAIN.items() if key != field}) == f"{field} is missing"


@pytest.mark.parametrize("written", ["+91 90000-00002", "00919000000002", "(91) 90000.00002", 919000000002])
def test_a_number_may_be_written_in_many_ways(written: object) -> None:
    assert heard(PLAIN | {"from": written}).sender.phone == THEIRS


@pytest.mark.parametrize("fields", [{"from_user_id": "IN.26"}, {"user_id": "IN.26", "from": ""}, {"from": "IN.26"}])
def test_a_plain_message_may_come_from_a_user_id_alone(fields: dict[str, Any]) -> None:
    body = {key: value for key, value in PLAIN.items() if key != "from"} | fields
    assert heard(body).sender.user_id == "IN.26"


def test_a_plain_message_from_our_own_number_is_an_echo() -> None:
    assert only(PLAIN | {"from": f"+{OURS}"}) == Ignored(reason="echo")


@pytest.mark.parametrize("stamp", ["never", -5, 0, [], {}, True, 1e300, "0001-01-01T00:00:00", "2026-13-45T00:00:00Z"])
def test_an_impossible_time_is_none(stamp: object) -> None:
    assert heard(PLAIN | {"timestamp": stamp}).sent_at is None


@pytest.mark.parametrize(
    "stamp",
    [
        1714510003,
        "1714510003",
        1714510003000,
        "1714510003000",
        1714510003000000,
        1714510003.0,
        "2024-04-30T20:46:43",
        "2024-04-30T20:46:43Z",
        "2024-05-01T02:16:43+05:30",
    ],
)
def test_a_time_is_read_in_every_form(stamp: object) -> None:
    assert heard(PLAIN | {"timestamp": stamp}).sent_at == 1714510003.0


def test_a_plain_report_is_read() -> None:
    body = {"messageId": "m-1", "status": "failed", "reason": "131026 gone", "timestamp": 1714510003}
    report = DeliveryReport(
        status="failed", message_id="m-1", provider_id="m-1", reason="131026 gone", code=131026, at=1714510003.0
    )
    assert reported(body) == report


def test_a_plain_report_that_misses_something_is_refused() -> None:
    assert "status" in refused({"messageId": "m-1", "status": "flown"})
    assert "messageId" in refused({"status": "read"})


# --- around the event -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nope", b"\xff\xfe", b"null", b'"x"', b"5", b"[" * 100_000, b'{"a":' * 5000]
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    delivery = raw(body)
    assert delivery.problem is not None
    assert delivery.problem.code == "not_json"


def test_an_empty_array_holds_nothing() -> None:
    assert raw(b"[]") == Delivery()


@pytest.mark.parametrize("value", [{}, {"foo": 1}, [5], [[[[[[PLAIN]]]]]], {"data": "x"}])
def test_what_is_no_event_at_all_is_refused(value: object) -> None:
    assert refused(value)


@pytest.mark.parametrize("name", NAMES)
def test_an_event_is_the_same_in_every_wrapping(name: str) -> None:
    body = sample(name)
    expected = read(body).items
    text = json.dumps(body)
    assert read([body]).items == expected
    assert read({"data": [body]}).items == expected
    assert read({"data": body}).items == expected
    assert (
        raw(urlencode({"payload": text}).encode(), "application/x-www-form-urlencoded; charset=utf-8").items == expected
    )
    assert raw(urlencode({"payload": text}).encode()).items == expected
    assert raw(text.encode(), "application/x-www-form-urlencoded").items == expected
    assert raw(b"\xef\xbb\xbf" + text.encode()).items == expected


def test_a_form_may_carry_the_fields_themselves() -> None:
    body = urlencode({"customerNumber": THEIRS, "text": "Hi & bye", "uuid": "wamid.A"}).encode()
    (item,) = raw(body, "application/x-www-form-urlencoded").items
    assert isinstance(item, Received)
    assert item.event.content == Text(text="Hi & bye")


def test_a_form_of_too_many_fields_is_refused() -> None:
    assert raw(b"a=1&" * 300, "application/x-www-form-urlencoded").problem is not None


def test_of_an_array_the_good_is_accepted_and_the_bad_is_quarantined() -> None:
    bad = {"from": "12", "text": "\ud83d", "messageId": "m-2", "timestamp": 1}
    items = read([PLAIN, bad, 5, sample("report-delivered")]).items
    assert [type(item) for item in items] == [Received, Reported, Quarantined, Quarantined]
    assert isinstance(items[2], Quarantined)
    assert json.loads(items[2].body) == bad


def test_an_array_of_nothing_but_bad_plain_events_is_refused() -> None:
    assert refused([{"from": "12"}, {}])


def test_a_quarantined_event_that_cannot_be_written_again_keeps_the_whole_body() -> None:
    body = (
        json.dumps([PLAIN, {"x": "\ud800", "deep": 0}])
        .replace('"deep": 0', '"deep": ' + "[" * 800 + "]" * 800)
        .encode()
    )
    (received, quarantined) = raw(body).items
    assert isinstance(received, Received)
    assert isinstance(quarantined, Quarantined)
    assert b'"deep"' in quarantined.body


def test_too_many_events_are_refused_as_a_whole() -> None:
    assert "more than" in refused([0] * (MOST_EVENTS + 1))
    echoes: dict[str, Any] = {"entry": [{"changes": [{"value": {"message_echoes": [{}] * (MOST_EVENTS + 1)}}]}]}
    assert "more than" in refused(echoes)


def test_raw_line_breaks_inside_strings_are_forgiven() -> None:
    body = json.dumps(PLAIN | {"text": "a|b"}).replace("|", "\n").encode()
    (item,) = raw(body).items
    assert isinstance(item, Received)
    assert item.event.content == Text(text="a\nb")


# --- Meta's own bodies ------------------------------------------------------------------------------------------------


def graph(value: dict[str, Any]) -> dict[str, Any]:
    value = {"messaging_product": "whatsapp", "metadata": {"display_phone_number": f"+{OURS}"}} | value
    return {"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": value}]}]}


def test_metas_message_and_status_are_read() -> None:
    message = {"from": THEIRS, "id": "wamid.M", "timestamp": "1714510003", "type": "text", "text": {"body": "Hi"}}
    contact = {"wa_id": THEIRS, "user_id": "IN.26", "profile": {"name": "Asha"}}
    error = {"code": 131026, "title": "Undeliverable", "error_data": {"details": "Not on WhatsApp"}}
    status = {"id": "wamid.O", "status": "failed", "timestamp": "1714510003", "recipient_id": THEIRS, "errors": [error]}
    items = read(graph({"messages": [message], "contacts": [contact], "statuses": [status]})).items
    assert isinstance(items[0], Received)
    assert (items[0].event.number, items[0].event.sender.user_id, items[0].event.sender.name) == (OURS, "IN.26", "Asha")
    assert isinstance(items[1], Reported)
    assert (items[1].report.code, items[1].report.reason, items[1].report.at) == (
        131026,
        "Not on WhatsApp",
        1714510003.0,
    )


def test_metas_value_alone_is_read() -> None:
    assert heard({"messaging_product": "whatsapp", "messages": [{"from": THEIRS, "id": "wamid.M"}]}).content == Other(
        kind="unknown"
    )


def test_metas_customer_without_a_number_has_the_profile_in_the_same_place() -> None:
    event = heard(graph({"messages": [{"id": "wamid.M", "text": {"body": "Hi"}}], "contacts": [{"user_id": "IN.26"}]}))
    assert event.sender.user_id == "IN.26"


def test_metas_echoes_are_ignored_and_the_unusable_is_quarantined() -> None:
    assert only(graph({"message_echoes": [{"from": OURS}]})) == Ignored(reason="echo")
    assert only(graph({"messages": [{"from": OURS, "id": "wamid.M"}]})) == Ignored(reason="echo")
    assert isinstance(only(graph({"messages": [{"id": "wamid.M"}]})), Quarantined)
    assert isinstance(only(graph({"statuses": [{"id": "wamid.M", "status": "flown"}]})), Quarantined)
    assert isinstance(only(graph({"statuses": [{"status": "read"}]})), Quarantined)
    assert isinstance(only(graph({})), Quarantined)
    assert isinstance(only({"entry": []}), Quarantined)


# --- odd text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("a\0b", "a\0b"),
        ("a\ud800b", "a\ufffdb"),
        ("\u202eabc\u200f", "\u202eabc\u200f"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        ("नमस्ते", "नमस्ते"),
        ("x" * 60_000, "x" * 60_000),
    ],
)
def test_a_customers_text_is_kept_whole(written: str, kept: str) -> None:
    assert heard(PLAIN | {"text": written}).content == Text(text=kept)
    messages = json.dumps([{"from": THEIRS, "id": "wamid.M", "text": {"body": written}}])
    assert heard({"integratedNumber": OURS, "messages": messages}).content == Text(text=kept)


def test_bytes_that_are_no_utf_8_become_replacement_characters() -> None:
    (item,) = raw(json.dumps(PLAIN | {"text": "a|b"}).encode().replace(b"|", b"\xed\xa0\x80")).items
    assert isinstance(item, Received)
    assert item.event.content == Text(text="a\ufffd\ufffd\ufffdb")


def test_names_and_ids_are_bounded_and_free_of_control_characters() -> None:
    event = heard(PLAIN | {"name": "A\0\u202e\r\nB" + "x" * 999, "messageId": "i\0d" + "y" * 999})
    assert event.sender.name.startswith("A B")
    assert len(event.sender.name) <= NAME_LIMIT
    assert event.provider_id.startswith("idyyy")
    assert len(event.provider_id) == ID_LIMIT


def test_long_ids_stay_distinct() -> None:
    first, second = (heard(PLAIN | {"messageId": "y" * 999 + end}) for end in "ab")
    assert first.provider_id != second.provider_id


def test_huge_numbers_and_equal_keys_are_borne() -> None:
    body = b'{"from":"919000000002","text":"a","text":"b","messageId":' + b"9" * 5000 + b',"timestamp":NaN}'
    assert raw(body).problem is not None
    body = b'{"from":"919000000002","text":"a","text":"b","messageId":1,"timestamp":' + b"9" * 5000 + b"}"
    (item,) = raw(body).items
    assert isinstance(item, Received)
    assert (item.event.content, item.event.sent_at) == (Text(text="b"), None)


# --- any bytes --------------------------------------------------------------------------------------------------------

_keys = st.sampled_from(
    sorted(
        {key for name in NAMES for key in sample(name)}
        | {
            "entry",
            "changes",
            "value",
            "data",
            "statuses",
            "metadata",
            "contacts",
            "image",
            "location",
            "latitude",
            "longitude",
            "context",
            "errors",
        }
    )
)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.sampled_from(
        ["0", "1", THEIRS, OURS, "wamid.A_callback", "delivered", "failed", "text", "image", "location", "[{}]", "{}"]
    )
)
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_keys | st.text(max_size=3), inner, max_size=8)
        | st.dictionaries(_keys, inner, max_size=8).map(json.dumps)
    ),
    max_leaves=25,
)


def sound(delivery: Delivery) -> None:
    assert delivery.problem is None or delivery.items == ()
    for item in delivery.items:
        if isinstance(item, Received):
            sender = item.event.sender
            assert sender.phone or sender.user_id
            assert sender.phone == "" or (sender.phone.isdigit() and 10 <= len(sender.phone) <= 15)
            _clean(item.event.provider_id, ID_LIMIT)
            _clean(sender.name, NAME_LIMIT)
            _clean(item.event.reply_to, ID_LIMIT)
            assert len(dedup_key(item.event)) == 16
            if isinstance(item.event.content, Media):
                _clean(item.event.content.url, URL_LIMIT)
        if isinstance(item, Reported):
            assert len(report_key(item.report)) == 16
            _clean(item.report.reason, REASON_LIMIT)
            _clean(item.report.message_id + item.report.provider_id, 2 * ID_LIMIT)


def _clean(value: str, limit: int) -> None:
    assert len(value) <= limit
    assert not any(ord(one) < 32 or 0x7F <= ord(one) < 0xA0 for one in value)
    value.encode()


@given(st.binary(max_size=400), st.sampled_from(["application/json", "application/x-www-form-urlencoded", ""]))
def test_any_bytes_give_a_delivery(body: bytes, content_type: str) -> None:
    sound(raw(body, content_type))


@given(_values)
def test_any_json_gives_a_delivery(value: object) -> None:
    sound(raw(json.dumps(value).encode()))


@given(st.sampled_from(NAMES), st.dictionaries(_keys, _values, max_size=4), st.sets(_keys, max_size=4))
def test_a_sample_with_other_values_and_missing_keys_gives_a_delivery(
    name: str, other: dict[str, Any], missing: set[str]
) -> None:
    body = {key: value for key, value in (sample(name) | other).items() if key not in missing}
    sound(raw(json.dumps(body).encode()))


@given(st.sampled_from(NAMES), st.integers(0, 2000), st.binary(max_size=3))
def test_a_damaged_sample_gives_a_delivery(name: str, at: int, damage: bytes) -> None:
    body = (SAMPLES / f"{name}.json").read_bytes()
    sound(raw(body[:at] + damage + body[at + 1 :]))


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_every_unicode_text_arrives_as_it_was_written(words: str) -> None:
    assert heard(PLAIN | {"text": words}).content == Text(text=words)
