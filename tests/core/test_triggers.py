from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.yaml_flows.loading import compile_source
from bot.core.book import Book, Rules
from bot.core.triggers import interrupt, matching_flow


def flow_source(flow_id: str, triggers: str, priority: int = 0) -> str:
    return (
        f"flow_id: {flow_id}\nversion: 1\npriority: {priority}\ntriggers: {triggers}\n"
        "steps: [{id: a, type: message, text: Hi}]"
    )


def book(*sources: str) -> Book:
    flows = {flow.flow_id: flow for flow in map(compile_source, sources)}
    return Book(version="1", rules=Rules(), flows=flows, versions={})


def started(found: Book, text: str, *, first: bool = False) -> str:
    flow = matching_flow(found, text, first_message=first)
    return flow.flow_id if flow else ""


KEYWORDS = book(flow_source("help", "[{type: keyword, values: [help, where is, मदद, '👋', c++]}]"))


@pytest.mark.parametrize(
    "text", ["HELP", "please help!", "Hélp me", "So where IS it?", "मुझे मदद चाहिए", "hi 👋", "I like C++ 1"]
)
def test_a_keyword_is_found_anywhere(text: str) -> None:
    assert started(KEYWORDS, text) == "help"


@pytest.mark.parametrize("text", ["helpful", "unhelp", "help_desk", "where it is", "मददगार", "मदद\u093e", "", "  "])
def test_a_keyword_is_never_found_inside_another_word(text: str) -> None:
    assert started(KEYWORDS, text) == ""


def test_an_exact_match_is_the_whole_message() -> None:
    found = book(flow_source("one", "[{type: exact_match, values: ['1', Good Morning]}]"))
    assert [started(found, text) for text in ("1", " 1. ", "१", "good  morning!")] == ["one"] * 4
    assert [started(found, text) for text in ("11", "1 2", "good")] == [""] * 3


def test_a_pattern_is_found_anywhere_in_any_case_and_script_of_digits() -> None:
    found = book(flow_source("order", r"[{type: pattern, value: 'order\s+#?\d+'}]"))
    assert started(found, "My ORDER  #१२") == "order"
    assert started(found, "order now") == ""
    assert started(found, "order 1\ud800") == "order"


def test_a_first_message_starts_its_flow_unless_something_was_said_before() -> None:
    found = book(flow_source("welcome", "[{type: first_message}]"))
    assert started(found, "anything", first=True) == "welcome"
    assert started(found, "anything") == ""


def test_the_highest_priority_wins_over_everything() -> None:
    found = book(
        flow_source("exact", "[{type: exact_match, value: help}]"),
        flow_source("important", "[{type: keyword, value: help}]", priority=1),
        flow_source("first", "[{type: first_message}]", priority=2),
    )
    assert started(found, "help") == "important"
    assert started(found, "help", first=True) == "first"


def test_among_equals_the_more_specific_trigger_wins_and_then_the_flow_id() -> None:
    sources = [
        flow_source("d", "[{type: exact_match, value: help}]"),
        flow_source("c", "[{type: pattern, value: help|me}]"),
        flow_source("b", "[{type: keyword, values: [help, aid]}]"),
        flow_source("bb", "[{type: keyword, values: [aid]}]"),
        flow_source("a", "[{type: first_message}]"),
    ]
    for found in (book(*sources), book(*reversed(sources))):
        assert started(found, "help", first=True) == "d"
        assert started(found, "help me", first=True) == "c"
        assert started(found, "aid", first=True) == "b"
        assert started(found, "else", first=True) == "a"


def test_a_less_important_pattern_does_not_win() -> None:
    found = book(
        flow_source("low", "[{type: pattern, value: 'h.*'}]"),
        flow_source("high", "[{type: keyword, value: hi}]", priority=1),
    )
    assert started(found, "hi") == "high"
    assert started(found, "ho") == "low"


def test_a_book_without_flows_starts_nothing() -> None:
    assert started(book(), "hello", first=True) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("STOP", "stop"),
        ("Stop!", "stop"),
        ("start", "start"),
        (" Human ", "agent"),
        ("MENU", "menu"),
        ("restart", "menu"),
    ],
)
def test_an_interrupt_is_a_whole_message_in_any_case(text: str, expected: str) -> None:
    assert interrupt(Rules(), text) == expected


@pytest.mark.parametrize("text", ["please stop it", "stopp", "", "the menu"])
def test_an_interrupt_inside_a_message_is_none(text: str) -> None:
    assert interrupt(Rules(), text) is None


@given(st.text(st.characters()))
def test_any_text_can_be_looked_up(text: str) -> None:
    matching_flow(KEYWORDS, text, first_message=False)
    interrupt(Rules(), text)


def test_the_sample_flows_are_found() -> None:
    sources = [path.read_text("utf-8") for path in (Path(__file__).parents[2] / "flows").glob("[!r]*.yaml")]
    found = book(*sources)
    assert started(found, "नमस्ते") == "welcome"
    assert started(found, "hello, I need a refund") == "support"
    assert started(found, "I want to complain about my order") == "escalation"
