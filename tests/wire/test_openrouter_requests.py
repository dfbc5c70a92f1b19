"""What is sent: one model, a bound on the answer, a hashed customer, and turns in the form every provider takes."""

from typing import Any

import orjson

from bot.core.effects import Turn
from bot.wire.openrouter.requests import ANSWER_NOW, OPENING, build_request


def body(*turns: Turn, **more: Any) -> dict[str, Any]:
    made = build_request(model="a/b", system="Be kind.", turns=turns, max_tokens=500, user="h1", **more)
    document: dict[str, Any] = orjson.loads(made)
    return document


def user(text: str) -> Turn:
    return Turn(role="user", text=text)


def assistant(text: str) -> Turn:
    return Turn(role="assistant", text=text)


def test_a_request_has_all_it_needs_and_no_second_chain() -> None:
    assert body(user("Hi")) == {
        "model": "a/b",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
        "max_tokens": 500,
        "stream": False,
        "user": "h1",
        "provider": {"data_collection": "deny"},
    }


def test_a_customer_without_a_hash_is_not_named() -> None:
    made = build_request(model="a/b", system="s", turns=(), max_tokens=1, user="", data_collection="allow")
    assert "user" not in orjson.loads(made)
    assert orjson.loads(made)["provider"] == {"data_collection": "allow"}


def test_a_model_that_thought_its_answer_away_is_asked_to_think_little() -> None:
    assert body(user("Hi"), little_reasoning=True)["reasoning"] == {"effort": "low", "exclude": True}


def test_blank_turns_are_dropped_and_turns_of_one_role_joined() -> None:
    messages = body(user("One"), user("  "), user("Two"), assistant("Yes"), assistant("No"), user("Three"))["messages"]
    assert [each["content"] for each in messages[1:]] == ["One\nTwo", "Yes\nNo", "Three"]


def test_a_history_begins_and_ends_with_the_user() -> None:
    messages = body(assistant("Welcome"))["messages"]
    assert [each["content"] for each in messages[1:]] == [OPENING, "Welcome", ANSWER_NOW]
    assert [each["content"] for each in body()["messages"][1:]] == [OPENING]


def test_a_blank_system_message_is_left_out() -> None:
    made = orjson.loads(build_request(model="a/b", system=" ", turns=(user("Hi"),), max_tokens=1, user="h"))
    assert made["messages"] == [{"role": "user", "content": "Hi"}]


def test_lone_surrogates_do_not_break_a_request() -> None:
    assert body(user("a\ud800b"))["messages"][1]["content"] == "a?b"
