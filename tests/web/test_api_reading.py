"""Whatever a caller writes is either understood or refused with the field named; nothing else comes of it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.web.api.asked import FIXES, MessageAsked, ReplyAsked
from bot.web.api.cursor import LARGEST_KEY, cursor_of, id_in, number_in
from bot.web.api.reading import moment_in, phone_in
from bot.web.errors import Refused

Found = TypeVar("Found")


def unless_refused(read: Callable[[str], Found], text: str, field: str) -> Found | None:
    """What `read` makes of `text`, None when it refuses it as it should: with a 400 that names `field`."""
    try:
        return read(text)
    except Refused as error:
        refused = error
    assert (refused.status, list(refused.detail.fields)) == (400, [field])
    return None


def patterns_in(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for inside in schema:
            yield from patterns_in(inside)
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for inside in schema.values():
            yield from patterns_in(inside)


@given(st.uuids())
def test_a_cursor_of_an_id_leads_back_to_it(key: UUID) -> None:
    assert id_in(cursor_of(key)) == key


@given(st.integers(0, LARGEST_KEY))
def test_a_cursor_of_a_number_leads_back_to_it(key: int) -> None:
    assert number_in(cursor_of(key)) == key


@given(st.text(min_size=1) | st.binary(min_size=1).map(lambda data: data.hex()))
def test_any_other_cursor_is_refused_or_read(cursor: str) -> None:
    for found in (unless_refused(id_in, cursor, "cursor"), unless_refused(number_in, cursor, "cursor")):
        assert found is None or isinstance(found, UUID | int)


def test_no_cursor_is_the_first_page() -> None:
    assert id_in("") is None
    assert number_in("") is None


@given(st.integers(946_800_000, 32_503_500_000), st.timezones())
def test_a_moment_is_read_as_it_was_written(seconds: int, zone: tzinfo) -> None:
    moment = datetime.fromtimestamp(seconds, zone)
    assert moment_in(moment.isoformat(), "from") == moment


@given(st.text(max_size=40))
def test_any_other_moment_is_refused_or_read(text: str) -> None:
    moment = unless_refused(lambda given: moment_in(given, "from"), text, "from")
    assert moment is None or moment.tzinfo is UTC


@given(st.text(max_size=40))
def test_a_phone_number_is_digits_or_refused(text: str) -> None:
    digits = unless_refused(lambda given: phone_in(given, "phone"), text, "phone")
    assert digits is None or digits.isdecimal()


@pytest.mark.parametrize("struct", [ReplyAsked, MessageAsked])
@given(data=st.binary(max_size=60))
def test_a_body_is_a_struct_or_a_decoding_error(struct: type[msgspec.Struct], data: bytes) -> None:
    try:
        msgspec.json.decode(data, type=struct)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return


def test_every_pattern_has_its_fix() -> None:
    _, schemas = msgspec.json.schema_components([ReplyAsked, MessageAsked])
    patterns = set(patterns_in(schemas))
    assert patterns
    assert patterns <= FIXES.keys()
