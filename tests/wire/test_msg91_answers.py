"""Answers to a send: taken, refused for good, or to be tried again."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.wire.msg91.answers import LONGEST_WAIT, read_answer
from bot.wire.msg91.failures import code_in, failure_class
from bot.wire.msg91.fields import REASON_LIMIT
from bot.wire.msg91.outcomes import Accepted, Deferred, Rejected, SendOutcome

NOW = 1_714_510_000.0
BULK = {"status": "success", "hasError": False, "data": "in process", "errors": None, "request_id": "7dc9"}
SESSION = {
    "status": "success",
    "hasError": False,
    "data": {"message_uuid": "gBEG", "status": "message submitted successfully"},
    "errors": None,
}


def answer(status: int, value: object = None, headers: dict[str, str] | None = None) -> SendOutcome:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_answer(status, headers or {}, body, now=NOW)


def accepted(value: object) -> Accepted:
    outcome = answer(200, value)
    assert isinstance(outcome, Accepted), outcome
    return outcome


def rejected(status: int, value: object) -> Rejected:
    outcome = answer(status, value)
    assert isinstance(outcome, Rejected), outcome
    return outcome


def deferred(status: int, value: object = b"", headers: dict[str, str] | None = None) -> Deferred:
    outcome = answer(status, value, headers)
    assert isinstance(outcome, Deferred), outcome
    return outcome


def test_the_documented_successes_are_accepted() -> None:
    assert accepted(BULK).request_id == "7dc9"
    assert accepted(SESSION).provider_id == "gBEG"


@pytest.mark.parametrize(
    ("value", "provider", "call"),
    [
        ({"request_id": "r"}, "", "r"),
        ({"requestId": "r"}, "", "r"),
        ({"data": {"requestId": "r"}}, "", "r"),
        ({"data": {"request_id": "r", "id": "w"}}, "w", "r"),
        ({"uuid": "w"}, "w", ""),
        ({"data": {"uuid": "wamid.W_callback"}}, "wamid.W", ""),
        ({"message_id": 5}, "5", ""),
        ({"messageId": "w"}, "w", ""),
        ({"messages": [{"id": "wamid.W"}]}, "wamid.W", ""),
        ({"data": [{"messageId": "w"}]}, "w", ""),
        ([{"messageId": "w"}], "w", ""),
        ({"status": "success", "errors": ["odd"]}, "", ""),
        ({}, "", ""),
        (b"", "", ""),
        (b" \n", "", ""),
    ],
)
def test_an_id_is_found_under_every_name_it_has_had(value: object, provider: str, call: str) -> None:
    outcome = accepted(value)
    assert (outcome.provider_id, outcome.request_id) == (provider, call)


def test_what_is_kept_of_an_answer_is_bounded_and_clean() -> None:
    assert len(rejected(400, {"errors": "e\n" * 9999}).reason) <= REASON_LIMIT


@pytest.mark.parametrize(
    "value",
    [
        {"status": "fail", "hasError": True, "data": "Invalid parameter", "errors": "There is already content."},
        {"hasError": True, "errors": "no"},
        {"hasError": "true", "errors": "no"},
        {"status": "Error", "message": "no"},
        {"type": "error", "msg": "no"},
        {"success": False, "errors": {"message": "no"}},
        {"errors": [{"details": "no"}]},
        {"hasError": True},
    ],
)
def test_a_200_that_tells_of_a_failure_is_one(value: dict[str, Any]) -> None:
    outcome = rejected(200, value)
    assert not outcome.alert
    assert outcome.reason


def test_the_documented_failures_are_told_apart() -> None:
    key = rejected(
        401, {"status": "fail", "hasError": True, "errors": "Unauthorized", "code": "401", "apiError": "201"}
    )
    assert (key.reason, key.code, key.alert) == ("Unauthorized", 0, True)
    assert rejected(404, {"type": "error", "msg": "Route Missing"}).alert
    assert not rejected(400, {"hasError": True, "errors": "recipient_number not found in request"}).alert
    broken = deferred(500, {"status": "fail", "hasError": True, "data": None, "errors": "Something went wrong"})
    assert (broken.scope, broken.uncertain) == ("gateway", False)
    assert rejected(200, {"hasError": True, "errors": "number is not integrated"}).alert


def test_a_failure_inside_200_may_state_its_own_status() -> None:
    assert rejected(200, {"hasError": True, "errors": "no", "code": "403"}).alert
    assert deferred(200, {"hasError": True, "errors": "no", "code": 429}).scope == "number"
    assert deferred(200, {"hasError": True, "errors": "Something went wrong"}).scope == "gateway"


@pytest.mark.parametrize(
    ("status", "scope", "uncertain"),
    [
        (302, "gateway", False),
        (408, "gateway", True),
        (429, "number", False),
        (500, "gateway", True),
        (502, "gateway", True),
        (503, "gateway", False),
        (504, "gateway", True),
    ],
)
def test_a_bare_transient_status_says_who_waits_and_whether_it_may_have_been_taken(
    status: int, scope: str, uncertain: bool
) -> None:
    outcome = deferred(status, b"<html>sorry</html>")
    assert (outcome.scope, outcome.uncertain) == (scope, uncertain)
    assert str(status) in outcome.reason


def test_a_gateways_own_json_does_not_say_that_nothing_was_taken() -> None:
    assert deferred(504, {"message": "Endpoint request timed out"}).uncertain


@pytest.mark.parametrize(("status", "alert"), [(400, False), (401, True), (402, True), (403, True), (413, False)])
def test_a_bare_permanent_status_is_a_rejection(status: int, alert: bool) -> None:
    outcome = rejected(status, b"")
    assert (outcome.alert, outcome.reason) == (alert, f"HTTP {status}")


@pytest.mark.parametrize("body", [b"<html>login</html>", b"OK", b"[]", b'"ok"', b'{"status":"succ', b"null"])
def test_a_200_without_a_json_object_is_uncertain(body: bytes) -> None:
    outcome = deferred(200, body)
    assert (outcome.scope, outcome.uncertain) == ("gateway", True)


@pytest.mark.parametrize(
    ("errors", "scope"),
    [
        ("131056 pair rate", "recipient"),
        ("(#130429) throughput", "number"),
        ("(#80007) limit", "number"),
        ("131016", "gateway"),
        ("132069", "message"),
        ("Too many requests", "number"),
    ],
)
def test_a_transient_code_says_who_waits_whatever_the_status(errors: str, scope: str) -> None:
    for status in (200, 400):
        assert deferred(status, {"hasError": True, "errors": errors}).scope == scope


@pytest.mark.parametrize(
    ("code", "alert", "opt_out"),
    [
        (131047, False, False),
        (131050, False, True),
        (131048, True, False),
        (131042, True, False),
        (190, True, False),
        (250, True, False),
    ],
)
def test_a_permanent_code_is_a_rejection_whatever_the_status(code: int, alert: bool, opt_out: bool) -> None:
    for status in (200, 400, 500):
        outcome = rejected(status, {"error": {"message": "no", "code": code}})
        assert (outcome.code, outcome.alert, outcome.opt_out) == (code, alert, opt_out)


def test_a_code_nobody_documents_follows_the_status() -> None:
    assert rejected(400, {"hasError": True, "errors": "139999"}).code == 139999
    assert deferred(500, {"hasError": True, "errors": "139999"}).code == 139999
    assert rejected(200, {"hasError": True, "code": 131047}).code == 131047


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("1e99", LONGEST_WAIT),
        ("Tue, 30 Apr 2024 20:47:40 GMT", 60.0),
        ("Tue, 30 Apr 2024 20:47:40 -0000", 60.0),
        ("Tue, 30 Apr 2024 20:00:00 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("", None),
        ("Tue, 99 Apr 99999 20:47:40 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert deferred(429, b"", {"retry-after": value}).retry_after == seconds
    assert deferred(200, {"hasError": True, "errors": "rate limit"}, {"Retry-After": value}).retry_after == seconds


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("131047 Re-engagement", 131047),
        ("x(131026)", 131026),
        ("(#100) Invalid", 100),
        ("code: 368", 368),
        ("error code 999", 0),
        ("1310471", 0),
        ("", 0),
    ],
)
def test_a_code_is_found_in_words(reason: str, code: int) -> None:
    assert code_in(reason) == code


def test_a_report_is_classed_by_the_same_table() -> None:
    assert failure_class(131026).permanent
    assert not failure_class(131000).permanent
    assert failure_class(0, "Unauthorized").alert
    assert failure_class(0).permanent
    assert failure_class(139999, "try again").permanent


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["status", "hasError", "errors", "error", "data", "code", "type", "messages", "request_id", "id"]
            ),
            inner,
            max_size=5,
        )
    ),
)


@given(st.integers(100, 999), _json.map(lambda value: json.dumps(value).encode()) | st.binary(), st.text())
def test_any_answer_gives_an_outcome(status: int, body: bytes, retry_after: str) -> None:
    outcome = read_answer(status, {"Retry-After": retry_after}, body, now=NOW)
    if isinstance(outcome, Accepted):
        assert 200 <= status < 300
    elif isinstance(outcome, Deferred) and outcome.retry_after is not None:
        assert 0 <= outcome.retry_after <= LONGEST_WAIT
