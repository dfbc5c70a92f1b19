"""The table of modes, its drawing in the documents, and the small values beside it: ids, states, events."""

import os
import re
from pathlib import Path
from typing import get_args
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.events import decode_envelope
from bot.core.ids import new_id
from bot.core.messages import (
    Buttons,
    Choice,
    ListMenu,
    Location,
    Media,
    Other,
    Outbound,
    Tap,
    Template,
    Text,
    decode_content,
    decode_outbound,
    encode_content,
    spoken,
)
from bot.core.modes import TABLE, Mode, Move, drawing, held_by_person, moved
from bot.core.state import Conversation, decode_conversation, encode_conversation
from bot.core.window import WINDOW_SECONDS, may_send

ARCHITECTURE = Path(__file__).parent.parent.parent / "docs" / "architecture.md"
MARKED = re.compile(r"(<!-- modes -->\n).*?(<!-- /modes -->)", re.DOTALL)


def drawn() -> str:
    return f"```mermaid\n{drawing()}\n```\n"


def test_every_mode_can_be_reached_and_left() -> None:
    modes = set(get_args(Mode))
    assert set(TABLE.values()) == modes
    assert {source for source, _ in TABLE} == modes
    assert {move for _, move in TABLE} == set(get_args(Move))


def test_people_are_never_timed_out_and_nothing_speaks_over_them() -> None:
    for mode in ("queue", "agent"):
        assert held_by_person(mode)
        for move in ("expire", "ask", "flow", "message"):
            assert moved(mode, move) is None
    assert moved("closed", "message") == "bot"


def test_the_drawing_has_every_move_once() -> None:
    lines = drawing().splitlines()
    assert lines[0] == "stateDiagram-v2"
    moves = [
        (source, target, move)
        for source, target, names in re.findall(r"^    (\w+) --> (\w+): (.*)$", drawing(), re.MULTILINE)
        for move in names.split(", ")
    ]
    assert sorted(moves) == sorted((source, target, move) for (source, move), target in TABLE.items())


def test_the_drawing_in_the_documents_is_this_table() -> None:
    """Set `UPDATE_GOLDEN=1` to have it drawn anew."""
    text = ARCHITECTURE.read_text(encoding="utf-8") if ARCHITECTURE.exists() else ""
    if not MARKED.search(text):
        pytest.skip("docs/architecture.md has no place for the drawing")
    redrawn = MARKED.sub(lambda found: f"{found[1]}{drawn()}{found[2]}", text)
    if os.environ.get("UPDATE_GOLDEN") == "1":
        ARCHITECTURE.write_text(redrawn, encoding="utf-8")
    assert redrawn == ARCHITECTURE.read_text(encoding="utf-8")


@given(st.floats(0, 4e9), st.integers(0, 2**64 - 1), st.integers(0, 4095))
def test_an_id_is_a_uuid_of_version_7_that_depends_on_its_arguments_alone(at: float, seed: int, index: int) -> None:
    made = UUID(new_id(at, seed, index))
    assert str(made) == new_id(at, seed, index)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == int(at * 1000)


def test_ids_of_one_envelope_differ() -> None:
    assert len({new_id(1.0, 5, index) for index in range(4096)}) == 4096


CONTENTS = (
    (Text(text="hello"), "hello"),
    (Buttons(text="pick", buttons=(Choice(id="a", title="A"),)), "pick"),
    (ListMenu(text="choose", button="More", rows=(Choice(id="a", title="A"),)), "choose"),
    (Media(kind="video", url="https://x"), "[video]"),
    (Media(kind="image", url="https://x", caption="a cat"), "a cat"),
    (Location(latitude=1.0, longitude=2.0, name="home"), "[location home]"),
    (Location(latitude=1.0, longitude=2.0), "[location 1.00000, 2.00000]"),
    (Template(name="t", language="en"), "[template t]"),
    (Tap(id="a", title="A"), "A"),
    (Tap(id="a", title=""), "a"),
    (Other(kind="contacts"), "[contacts]"),
    (Other(kind="order", text="one shoe"), "one shoe"),
)


@pytest.mark.parametrize(("content", "words"), CONTENTS)
def test_every_content_has_words_and_is_read_back_as_it_was_written(content: Outbound | Tap, words: str) -> None:
    assert spoken(content) == words
    assert decode_content(encode_content(content)) == content
    if not isinstance(content, Tap | Other):
        assert decode_outbound(encode_content(content)) == content


def test_what_is_not_a_value_is_not_read_as_one() -> None:
    for read in (decode_conversation, decode_content, decode_outbound, decode_envelope):
        with pytest.raises(msgspec.DecodeError):
            read(b"\xc1")
    with pytest.raises(msgspec.DecodeError):
        decode_outbound(encode_content(Tap(id="a", title="A")))
    assert decode_conversation(encode_conversation(Conversation())) == Conversation()


def test_free_words_pass_within_a_day_and_templates_always() -> None:
    text, template = Text(text="hi"), Template(name="t", language="en")
    assert may_send(text, heard_at=0.0, at=WINDOW_SECONDS - 1)
    assert not may_send(text, heard_at=0.0, at=WINDOW_SECONDS)
    assert may_send(template, heard_at=0.0, at=WINDOW_SECONDS * 9)
