"""What earlier releases stored can be read: states, envelopes, contents and questions, one file of each kind.

A file holds values as they were stored, and what they say. Nothing in it is ever changed or taken out: a database, the
spool, or another replica in a rolling deploy may hold such a value. A change that makes a test here fail breaks
deployed services; docs/decisions/0010-rolling-deploy.md tells how to make it in two releases. Samples of what is new
are added with `UPDATE_GOLDEN=1`.
"""

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot.core.effects import AskModel
from bot.core.events import Envelope, decode_envelope, encode_envelope
from bot.core.messages import Inbound, Outbound, decode_content, encode_content
from bot.core.state import Conversation, decode_conversation, encode_conversation
from bot.runtime.thinking import decode_question, encode_question
from tests.runtime.samples import samples

STORED = Path(__file__).parent / "stored"
UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"
KINDS: dict[str, tuple[Any, Callable[[Any], bytes], Callable[[bytes], Any]]] = {
    "envelopes": (Envelope, encode_envelope, decode_envelope),
    "states": (Conversation, encode_conversation, decode_conversation),
    "contents": (Inbound | Outbound, encode_content, decode_content),
    "questions": (AskModel, encode_question, decode_question),
}


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """`bytes` in base64, and what they say."""

    bytes: str
    says: Any


def stored(kind: str) -> list[Stored]:
    path = STORED / f"{kind}.json"
    return msgspec.json.decode(path.read_bytes(), type=list[Stored]) if path.exists() else []


def says(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_stored_says_what_it_said(kind: str) -> None:
    known = stored(kind)
    assert known
    for one in known:
        assert says(KINDS[kind][2](base64.b64decode(one.bytes))) == one.says


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_of_everything_that_can_be_stored_is_kept(kind: str) -> None:
    type_, encode, _ = KINDS[kind]
    known = stored(kind)
    kept = {one.bytes for one in known}
    new = [Stored(bytes=base64.b64encode(encode(sample)).decode(), says=says(sample)) for sample in samples(type_)]
    missing = [one for one in new if one.bytes not in kept]
    if UPDATE:
        lines = ",\n".join(msgspec.json.encode(one).decode() for one in (*known, *missing))
        (STORED / f"{kind}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        return
    assert missing == [], "something new is stored: add it with UPDATE_GOLDEN=1"


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_of_a_newer_release_is_passed_over(kind: str) -> None:
    """Whoever writes the value back leaves it out: a release may only rely on a field that all releases know."""
    for one in stored(kind):
        newer = msgspec.msgpack.decode(base64.b64decode(one.bytes)) | {"of_a_newer_release": [1, {"two": 2}]}
        assert says(KINDS[kind][2](msgspec.msgpack.encode(newer))) == one.says
