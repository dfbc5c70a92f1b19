"""HTTP 200 is an answer only when there is a text meant for a reader in it; no bytes make the reader raise."""

from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.wire.openrouter.answers import Answer, Verdict, read_answer
from bot.wire.openrouter.failures import Failure, FailureKind

RECORDED = {
    "id": "gen-1770044198-ZwI7uQKLVslWOkgYLHP1",
    "provider": "OpenAI",
    "model": "openai/gpt-5-mini",
    "object": "chat.completion",
    "created": 1770044198,
    "choices": [
        {
            "index": 0,
            "logprobs": None,
            "finish_reason": "stop",
            "native_finish_reason": None,
            "message": {"role": "assistant", "content": "Hello.", "refusal": None, "reasoning": "Hm, a greeting."},
        }
    ],
    "usage": {
        "prompt_tokens": 17,
        "completion_tokens": 1763,
        "total_tokens": 1780,
        "cost": 0.00353025,
        "is_byok": False,
        "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 832},
        "cost_details": {"upstream_inference_cost": 4.25e-06},
    },
}


def read(document: object, status: int = 200) -> Verdict:
    return read_answer(status, {}, orjson.dumps(document), now=0.0)


def choice(content: object, finish: object = "stop", **more: object) -> dict[str, object]:
    return {"choices": [{"message": {"role": "assistant", "content": content, **more}, "finish_reason": finish}]}


def kind(verdict: Verdict) -> FailureKind:
    assert isinstance(verdict, Failure)
    return verdict.kind


def words(verdict: Verdict) -> str:
    assert isinstance(verdict, Answer)
    return verdict.text


def test_a_recorded_answer_is_read_whole() -> None:
    verdict = read(RECORDED)
    assert isinstance(verdict, Answer)
    assert (verdict.text, verdict.model, verdict.provider) == ("Hello.", "openai/gpt-5-mini", "OpenAI")
    assert (verdict.finish_reason, verdict.generation_id) == ("stop", "gen-1770044198-ZwI7uQKLVslWOkgYLHP1")
    assert verdict.usage is not None
    assert (verdict.usage.prompt_tokens, verdict.usage.completion_tokens, verdict.usage.cached_tokens) == (17, 1763, 3)
    assert (verdict.usage.cost, verdict.usage.upstream_cost) == (Decimal("0.00353025"), Decimal("0.00000425"))


def test_an_answer_without_usage_or_ids_is_still_an_answer() -> None:
    verdict = read(choice("Hi"))
    assert verdict == Answer(text="Hi", finish_reason="stop")


@pytest.mark.parametrize("before", [b"\n\n \r\n", b": OPENROUTER PROCESSING\n\n", b"\xef\xbb\xbf", b"\n: a\n: b\n  \n"])
def test_keep_alives_before_the_json_do_not_matter(before: bytes) -> None:
    assert words(read_answer(200, {}, before + orjson.dumps(RECORDED) + b"\n", now=0.0)) == "Hello."


def test_a_completion_nested_under_provider_is_found() -> None:
    nested = {"id": None, "choices": None, "model": None, "usage": None, "provider": RECORDED}
    verdict = read(nested)
    assert isinstance(verdict, Answer)
    assert (verdict.text, verdict.provider) == ("Hello.", "OpenAI")


def test_content_may_be_a_list_of_parts_of_which_only_text_is_said() -> None:
    parts = [
        {"type": "reasoning", "text": "secret"},
        {"type": "text", "text": "Hello "},
        {"text": "there"},
        {"type": "image_url", "image_url": {}},
        "loose",
        None,
    ]
    assert words(read(choice(parts))) == "Hello there"


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("<think>hm</think>Hello", "Hello"),
        ("Hello <THINK>hm</think>there", "Hello there"),
        ("I should greet.</think>\nHello", "Hello"),
        ("Hello<thinking>what now", "Hello"),
        ("<think>a<think>b</think>Hello", "Hello"),
        ("a < b and c > d", "a < b and c > d"),
    ],
)
def test_reasoning_is_never_shown(content: str, shown: str) -> None:
    assert words(read(choice(content))) == shown


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"id": None, "choices": None, "created": 1, "model": None, "object": None, "usage": None}, "empty"),
        ({}, "empty"),
        ({"choices": []}, "empty"),
        ({"choices": [None]}, "empty"),
        ({"choices": "x"}, "empty"),
        ({"choices": [{"message": None, "finish_reason": "stop"}]}, "empty"),
        (choice(None), "empty"),
        (choice(""), "empty"),
        (choice("  \n"), "empty"),
        (choice("", reasoning="all I wanted to say"), "empty"),
        (choice("<think>only thoughts", "stop"), "empty"),
        (choice("", "tool_calls", tool_calls=[{"id": "1"}]), "empty"),
        (choice({"text": "x"}), "empty"),
        (choice("", "length"), "starved"),
        (choice("<think>never came to the point", "length"), "starved"),
        (choice("", "content_filter"), "moderated"),
        (choice("half a sent", "content_filter"), "moderated"),
        (choice(None, "stop", refusal="I cannot help with that"), "moderated"),
        (choice("partial output", "error"), "down"),
        ({**choice("x"), "error": {"code": 429, "message": "m"}}, "overloaded"),
        (
            {"choices": [{"message": {"content": "partial"}, "finish_reason": "error", "error": {"code": 502}}]},
            "down",
        ),
        ([], "malformed"),
        ("text", "malformed"),
        (None, "malformed"),
    ],
)
def test_a_200_without_an_answer_is_a_failure(document: object, expected: FailureKind) -> None:
    assert kind(read(document)) == expected


def test_a_refusal_beside_a_text_does_not_hide_the_text() -> None:
    assert words(read(choice("Hello", refusal="no"))) == "Hello"


def test_an_answer_cut_at_the_limit_says_so() -> None:
    verdict = read(choice("Hello and", "length"))
    assert isinstance(verdict, Answer)
    assert verdict.finish_reason == "length"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b"", "empty"),
        (200, b"\n\n \n", "empty"),
        (200, b"<html>hello</html>", "malformed"),
        (200, orjson.dumps(RECORDED)[:200], "malformed"),
        (502, b"<html>Bad gateway</html>", "down"),
        (520, b"<!DOCTYPE html>", "down"),
        (524, b"", "down"),
        (408, b"", "down"),
        (429, b"<html>", "overloaded"),
        (413, b"<html>", "invalid"),
        (400, b"<html>", "blocked"),
        (401, b"<html>", "blocked"),
        (403, b"<html>Attention required</html>", "blocked"),
        (404, b"not found", "blocked"),
        (302, b"", "blocked"),
    ],
)
def test_what_is_not_json_is_judged_by_its_status(status: int, body: bytes, expected: FailureKind) -> None:
    assert kind(read_answer(status, {}, body, now=0.0)) == expected


def test_html_keeps_the_hint_when_to_come_back() -> None:
    verdict = read_answer(503, {"Retry-After": "3", "X-Generation-Id": "gen-9"}, b"<html>", now=0.0)
    assert isinstance(verdict, Failure)
    assert (verdict.retry_after, verdict.generation_id) == (3.0, "gen-9")


@given(st.integers(100, 999), st.dictionaries(st.text(), st.text()), st.binary(), st.floats())
def test_no_bytes_make_it_raise(status: int, headers: dict[str, str], body: bytes, now: float) -> None:
    assert isinstance(read_answer(status, headers, body, now=now), Answer | Failure)


_NAMES = """
    error choices message content code metadata raw provider_name usage cost finish_reason provider availability id type
    retryable retry_after headers X-RateLimit-Reset Retry-After resets_at http_status error_type text excluded_by model
    reasons patterns limit_source reason refusal prompt_tokens prompt_tokens_details cost_details
"""
_KEYS = st.sampled_from(_NAMES.split())
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["stop", "length", "1e999999999", "-1", "Provider returned error", "429", "9999-12-31T23:59:59Z"])
)
_TREES = st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(_KEYS, inner), max_leaves=12)


@given(st.integers(200, 599), st.dictionaries(_KEYS, _TREES))
def test_no_shape_of_json_makes_it_raise(status: int, document: dict[str, object]) -> None:
    verdict = read(document, status)
    assert isinstance(verdict, Failure) or verdict.text


@given(st.dictionaries(st.sampled_from(["Retry-After", "retry-after-ms", "x-ratelimit-reset"]), st.text(max_size=40)))
def test_no_header_makes_it_raise(headers: dict[str, str]) -> None:
    assert isinstance(read_answer(429, headers, b"{}", now=0.0), Failure)
