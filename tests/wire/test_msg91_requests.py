"""The calls that send: their shapes, and that no content makes one that must be refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.messages import Buttons, Choice, ListMenu, Location, Media, Outbound, Template, TemplatePart, Text
from bot.wire.msg91.requests import BULK_PATH, SESSION_PATH, SIMPLE_PATH, Dialect, build_request
from tests.wire.msg91_bodies import OURS, THEIRS


def call(content: Outbound, dialect: Dialect = "v5", reference: str = "m-1") -> tuple[str, dict[str, Any]]:
    request = build_request(content, dialect=dialect, number=OURS, recipient=THEIRS, reference=reference)
    return request.path, json.loads(request.body)


def session(content: Outbound) -> dict[str, Any]:
    path, body = call(content, reference="")
    assert path == SESSION_PATH
    assert (body.pop("integrated_number"), body.pop("recipient_number")) == (OURS, THEIRS)
    return body


def simple(content: Outbound) -> dict[str, Any]:
    path, body = call(content, "simple", reference="")
    assert path == SIMPLE_PATH
    (item,) = body["recipient"]
    assert item.pop("phone") == THEIRS
    assert isinstance(item, dict)
    return item


def choices(count: int, title: str = "Choice") -> tuple[Choice, ...]:
    return tuple(Choice(id=f"id{place}", title=f"{title} {place}") for place in range(count))


def test_a_text_is_flat_and_carries_our_reference_in_both_spellings() -> None:
    assert call(Text(text="Hello")) == (
        "/whatsapp/whatsapp-outbound-message/",
        {
            "integrated_number": OURS,
            "recipient_number": THEIRS,
            "content_type": "text",
            "text": "Hello",
            "crqid": "m-1",
            "CRQID": "m-1",
        },
    )


def test_buttons_are_metas_reply_buttons() -> None:
    body = session(Buttons(text="Which?", buttons=(Choice(id="a", title="A"), Choice(id="b", title="B"))))
    assert body == {
        "content_type": "interactive",
        "interactive": {
            "type": "button",
            "body": {"text": "Which?"},
            "action": {
                "buttons": [
                    {"type": "reply", "reply": {"id": "a", "title": "A"}},
                    {"type": "reply", "reply": {"id": "b", "title": "B"}},
                ]
            },
        },
    }


def test_a_list_has_one_section() -> None:
    rows = (Choice(id="a", title="A", description="first"), Choice(id="b", title="B"))
    body = session(ListMenu(text="Which?", button="Open", rows=rows))
    assert body["interactive"]["action"] == {
        "button": "Open",
        "sections": [
            {"title": "Open", "rows": [{"id": "a", "title": "A", "description": "first"}, {"id": "b", "title": "B"}]}
        ],
    }


def test_too_many_buttons_become_a_list_and_too_many_rows_a_numbered_text() -> None:
    assert session(Buttons(text="Which?", buttons=choices(4)))["interactive"]["type"] == "list"
    text = session(ListMenu(text="Which?", button="", rows=choices(11)))["text"]
    assert text.splitlines()[0] == "Which?"
    assert text.splitlines()[11] == "11. Choice 10"
    assert session(Buttons(text="Which?", buttons=()))["text"] == "Which?"


def test_cut_titles_and_ids_stay_distinct() -> None:
    long = tuple(Choice(id="i" * 300 + f"{place}", title="t" * 30 + f"{place}") for place in range(10))
    rows = session(ListMenu(text="x", button="b" * 30, rows=long))["interactive"]["action"]["sections"][0]["rows"]
    assert len({row["title"] for row in rows}) == len({row["id"] for row in rows}) == 10
    tricky = tuple(Choice(id=title, title=title) for title in ("A", "A", "A 2"))
    buttons = session(Buttons(text="x", buttons=tricky))["interactive"]["action"]["buttons"]
    assert [one["reply"]["title"] for one in buttons] == ["A", "A 2", "A 2 2"]


def test_media_go_by_address() -> None:
    url = "https://a.example/b.pdf"
    assert session(Media(kind="document", url=url, caption="c", filename="b.pdf")) == {
        "content_type": "document",
        "attachment_url": url,
        "caption": "c",
        "filename": "b.pdf",
    }
    assert session(Media(kind="audio", url=url, caption="c")) == {"content_type": "audio", "attachment_url": url}


@pytest.mark.parametrize(
    "media",
    [Media(kind="sticker", url="https://a.example/b"), Media(kind="image", url="file:///b", caption="Look")],
)
def test_media_without_a_proven_form_or_address_become_text(media: Media) -> None:
    body = session(media)
    assert body["content_type"] == "text"
    assert media.url in body["text"]


def test_a_location_is_a_text_with_a_link_to_the_map() -> None:
    body = session(Location(latitude=19.0, longitude=72.8, name="Shop", address="MG Road"))
    assert body == {
        "content_type": "text",
        "text": "Shop\nMG Road\nhttps://maps.google.com/?q=19.000000,72.800000",
    }


@pytest.mark.parametrize("dialect", ["v5", "simple"])
def test_a_template_takes_the_bulk_call_in_either_dialect(dialect: Dialect) -> None:
    parts = (
        TemplatePart(key="header_1", type="document", value="https://a.example/b", filename="b.pdf"),
        TemplatePart(key="body_1", value="one\r\n two\t  three"),
        TemplatePart(key="body_2", value=" "),
        TemplatePart(key="button_1", value="x"),
        TemplatePart(key="button_2", value="y", subtype="quick_reply"),
    )
    path, body = call(Template(name="otp", language="en_US", parts=parts, namespace="n"), dialect)
    assert path == BULK_PATH == "/whatsapp/whatsapp-outbound-message/bulk/"
    assert (body["integrated_number"], body["content_type"], body["CRQID"]) == (OURS, "template", "m-1")
    template = body["payload"]["template"]
    assert (template["name"], template["namespace"]) == ("otp", "n")
    assert template["language"] == {"code": "en_US", "policy": "deterministic"}
    assert template["to_and_components"] == [
        {
            "to": [THEIRS],
            "components": {
                "header_1": {"type": "document", "value": "https://a.example/b", "filename": "b.pdf"},
                "body_1": {"type": "text", "value": "one two three"},
                "body_2": {"type": "text", "value": "-"},
                "button_1": {"type": "text", "value": "x", "subtype": "url"},
                "button_2": {"type": "text", "value": "y", "subtype": "quick_reply"},
            },
        }
    ]


def test_a_template_without_variables_has_empty_components_and_no_namespace() -> None:
    template = call(Template(name="hello", language="en"))[1]["payload"]["template"]
    assert template["to_and_components"][0]["components"] == {}
    assert "namespace" not in template


def test_the_plain_dialect_says_everything_in_message_and_quick_replies() -> None:
    assert simple(Text(text="Hello")) == {"message": "Hello"}
    assert simple(Buttons(text="Which?", buttons=choices(2))) == {
        "message": "Which?",
        "quick_replies": ["Choice 0", "Choice 1"],
    }
    assert simple(ListMenu(text="Which?", button="b", rows=choices(4)))["message"].endswith("\n4. Choice 3")
    assert (
        simple(Media(kind="image", url="https://a.example/b", caption="Look"))["message"] == "Look\nhttps://a.example/b"
    )
    assert "maps" in simple(Location(latitude=1.0, longitude=2.0))["message"]


def test_the_plain_dialect_carries_our_reference_with_the_recipient() -> None:
    assert call(Text(text="Hello"), "simple")[1]["recipient"][0]["crqid"] == "m-1"


_text = st.text(st.characters(codec=None), max_size=30) | st.sampled_from(["", " ", "x" * 5000, "\ud800", "e" * 19])
_choices = st.lists(st.builds(Choice, id=_text, title=_text, description=_text), max_size=12).map(tuple)
_parts = st.lists(st.builds(TemplatePart, key=_text, value=_text, filename=_text), max_size=3).map(tuple)
_contents = st.one_of(
    st.builds(Text, text=_text),
    st.builds(Buttons, text=_text, buttons=_choices),
    st.builds(ListMenu, text=_text, button=_text, rows=_choices),
    st.builds(Media, url=_text, caption=_text, filename=_text),
    st.builds(Location, name=_text, address=_text),
    st.builds(Template, name=_text, language=_text, parts=_parts, namespace=_text),
)


@given(_contents)
def test_no_content_makes_a_request_that_must_be_refused(content: Outbound) -> None:
    call(content, "simple")
    _, body = call(content)
    if body["content_type"] == "text":
        assert body["text"].strip()
        assert len(body["text"]) <= 4096
    if body["content_type"] == "interactive":
        _within_limits(body["interactive"])


def _within_limits(message: dict[str, Any]) -> None:
    assert message["body"]["text"].strip()
    assert len(message["body"]["text"]) <= 1024
    if message["type"] == "button":
        replies, title, name = [one["reply"] for one in message["action"]["buttons"]], 20, 256
        assert len({one["title"] for one in replies}) == len(replies) <= 3
    else:
        replies, title, name = message["action"]["sections"][0]["rows"], 24, 200
        assert len(replies) <= 10
        assert 0 < len(message["action"]["button"]) <= 20
    assert len({one["id"] for one in replies}) == len(replies)
    for one in replies:
        assert one["title"].strip()
        assert one["id"].strip()
        assert len(one["title"]) <= title
        assert len(one["id"]) <= name
        assert len(one.get("description", "")) <= 72
