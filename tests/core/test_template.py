from hypothesis import given
from hypothesis import strategies as st

from bot.core.template import fill, literal_length, placeholders, shown

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)


def test_names_are_replaced_by_their_values() -> None:
    assert fill("Hello {name}, {count} new.", {"name": "Asha", "count": 2}) == "Hello Asha, 2 new."


def test_an_unknown_name_becomes_empty() -> None:
    assert fill("[{nobody}]", {}) == "[]"


def test_doubled_braces_are_single_ones() -> None:
    assert fill("{{name}} {{{name}}} }}{{", {"name": "x"}) == "{name} {x} }{"


def test_a_brace_that_opens_no_name_stays() -> None:
    assert fill("{ a } {1} { {a b} }", {"a": "x"}) == "{ a } {1} { {a b} }"


@given(st.text())
def test_what_is_put_in_is_never_looked_at_again(value: str) -> None:
    assert fill("<{a}{b}>", {"a": value, "b": "{a}"}) == f"<{value}{{a}}>"


@given(st.text())
def test_any_source_can_be_filled(source: str) -> None:
    fill(source, {})
    assert literal_length(source) <= len(source)


@given(st.lists(NAMES))
def test_the_placeholders_are_told_in_order(names: list[str]) -> None:
    assert placeholders(" ".join(f"{{{name}}}" for name in names)) == tuple(names)


def test_values_are_shown_as_people_write_them() -> None:
    assert [shown(value) for value in (True, False, 10.0, 2.5, 7, "x")] == ["true", "false", "10", "2.5", "7", "x"]
