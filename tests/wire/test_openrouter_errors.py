"""Every row of the table of failures is reached by the bodies that OpenRouter and its providers were seen to send."""

import orjson
import pytest

from bot.wire.openrouter.answers import Answer, read_answer
from bot.wire.openrouter.failures import TABLE, Failure, FailureKind, cut, hung, unreachable

NOW = 1_779_300_000.0


def failure(status: int, error: object, headers: dict[str, str] | None = None, **rest: object) -> Failure:
    verdict = read_answer(status, headers or {}, orjson.dumps({"error": error, **rest}), now=NOW)
    assert isinstance(verdict, Failure)
    return verdict


def relayed(code: int, **metadata: object) -> dict[str, object]:
    return {"message": "Provider returned error", "code": code, "metadata": {"provider_name": "DeepInfra", **metadata}}


def typed(code: int, error_type: str, message: str = "No.") -> dict[str, object]:
    return {"message": message, "code": code, "metadata": {"error_type": error_type}}


def available(code: str, status: int, *, retryable: bool, **more: object) -> dict[str, object]:
    return {"message": "m", "http_status": status, "availability": {"code": code, "retryable": retryable, **more}}


AFFORD = (
    "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, "
    "but can only afford 3919. To increase, visit https://openrouter.ai/settings/credits"
)
FLAGGED = {
    "code": 403,
    "message": 'x/y requires moderation on Amazon Bedrock. Your input was flagged for "self-harm". No credits charged.',
    "metadata": {"reasons": ["self-harm"], "flagged_input": "I want to", "provider_name": "Amazon Bedrock"},
}
PATTERNS = {
    "code": 403,
    "message": "Request blocked: prompt injection patterns detected",
    "metadata": {"patterns": ["ignore all previous instructions"]},
}
FREE_DAY = {
    "message": "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day",
    "code": 429,
    "metadata": {
        "headers": {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1779321600000"},
        "limit_source": "openrouter_free_tier_daily",
    },
}

CASES: list[tuple[int, object, FailureKind]] = [
    # The account's money and key.
    (401, {"message": "No auth credentials found", "code": 401}, "unauthorized"),
    (401, {"message": "User not found.", "code": 401}, "unauthorized"),
    (200, {"message": "Missing Authentication header", "code": "401"}, "unauthorized"),
    (402, {"message": "Insufficient credits. Add more using https://openrouter.ai/credits", "code": 402}, "credits"),
    (402, {"code": 402, "message": "x", "metadata": {"limit_source": "openrouter_credits"}}, "credits"),
    (402, typed(402, "payment_required"), "credits"),
    (402, {"code": 402, "message": "x", "metadata": {"limit_source": "openrouter_key_limit"}}, "key_limit"),
    (403, {"code": 403, "message": "Key limit exceeded (monthly limit). Manage it using https://x"}, "key_limit"),
    (402, {"code": 402, "message": "Key limit exceeded (total limit)"}, "key_limit"),
    (403, {"code": 403, "message": "Workspace monthly budget of $500.00 exceeded."}, "budget"),
    (
        403,
        {"code": 403, "message": "no", "limit_usd": 5, "spend_usd": 5, "resets_at": "2026-06-01T00:00:00Z"},
        "budget",
    ),
    (403, {"code": 403, "message": "no", "metadata": {"limit_source": "openrouter_workspace_budget"}}, "budget"),
    (402, {"code": 402, "message": "no", "metadata": {"limit_source": "openrouter_guardrail_budget"}}, "budget"),
    (402, {"code": 402, "message": "x", "metadata": {"reason": "in_flight_budget_exhausted"}}, "in_flight"),
    (402, {"code": 402, "message": "x", "metadata": {"limit_source": "openrouter_in_flight_budget"}}, "in_flight"),
    (
        402,
        {
            "code": 402,
            "message": "x",
            "metadata": {"reason": "weight_exceeds_budget", "limit_source": "openrouter_credits"},
        },
        "unaffordable",
    ),
    (402, {"code": 402, "message": AFFORD}, "unaffordable"),
    # A person's words.
    (403, FLAGGED, "moderated"),
    (400, typed(400, "content_policy_violation"), "moderated"),
    (400, typed(400, "refusal"), "moderated"),
    (403, PATTERNS, "guardrail"),
    (403, {"code": 403, "message": "Request blocked by content filter: [EMAIL]"}, "guardrail"),
    # What a provider said, whatever its status.
    (400, relayed(400), "relayed"),
    (401, relayed(401, raw="invalid API key", is_byok=False), "relayed"),
    (402, relayed(402), "relayed"),
    (403, relayed(403), "relayed"),
    (404, relayed(404), "relayed"),
    (401, {"message": "invalid key", "code": 401, "metadata": {"provider_name": "X", "raw": "{}"}}, "relayed"),
    (401, {"message": "Provider returned error", "code": 401}, "relayed"),
    (429, relayed(429, raw="temporarily rate-limited upstream"), "overloaded"),
    (500, relayed(500), "down"),
    (503, relayed(503), "down"),
    (400, relayed(400, error_type="content_policy_violation"), "relayed_refusal"),
    (400, relayed(400, error_type="context_length_exceeded"), "too_long"),
    (400, relayed(400, raw='{"error":{"message":"{\\"message\\":\\"maximum context length is 8192\\"}"}}'), "too_long"),
    (400, relayed(400, raw={"error": {"message": "context length exceeded"}}), "too_long"),
    # What can be had.
    (429, available("capacity_exhausted", 429, retryable=True, retry_after=40), "overloaded"),
    (503, available("temporarily_unavailable", 503, retryable=True), "down"),
    (400, available("model_not_found", 400, retryable=False), "misconfigured"),
    (404, available("no_endpoints", 404, retryable=False), "misconfigured"),
    (404, available("model_deprecated", 404, retryable=False), "misconfigured"),
    (404, available("privacy_restricted", 404, retryable=False), "misconfigured"),
    (404, available("free_variant_ended", 404, retryable=False), "misconfigured"),
    (403, available("region_restricted", 403, retryable=False), "misconfigured"),
    (404, available("constraint_filtered", 404, retryable=False, excluded_by=["context_length"]), "too_long"),
    (418, available("brand_new_code", 418, retryable=False), "unavailable"),
    (418, available("brand_new_code", 418, retryable=True), "down"),
    (503, {"message": "m", "metadata": {"availability": {"code": "x", "retryable": True}}}, "down"),
    # Types.
    (400, typed(400, "context_length_exceeded"), "too_long"),
    (400, typed(400, "max_tokens_exceeded"), "too_many_tokens"),
    (400, {"code": 400, "message": "This endpoint's maximum context length is 8192 tokens."}, "too_long"),
    (400, typed(400, "invalid_request"), "invalid"),
    (400, typed(400, "invalid_prompt"), "invalid"),
    (412, typed(412, "precondition_failed"), "invalid"),
    (403, typed(403, "permission_denied"), "forbidden"),
    (404, typed(404, "not_found"), "misconfigured"),
    (502, typed(502, "provider_unavailable"), "down"),
    (504, typed(504, "timeout"), "down"),
    (200, {"code": "server_error", "message": "oops"}, "down"),
    (200, {"code": "rate_limit_exceeded", "message": "oops"}, "overloaded"),
    (400, {"code": 400, "message": "gpt-99 is not a valid model ID"}, "misconfigured"),
    (404, {"code": 404, "message": "No endpoints found that can handle the requested parameters."}, "misconfigured"),
    (429, FREE_DAY, "free_daily"),
    (429, {"code": 429, "message": "Rate limit exceeded: free-models-per-day"}, "free_daily"),
    (429, {"code": 429, "message": "Rate limit exceeded: free-models-per-min"}, "free_minute"),
    # Bare statuses.
    (400, {"code": 400, "message": "Bad Request"}, "invalid"),
    (413, {"code": 413, "message": "too big"}, "invalid"),
    (422, {"code": 422, "message": "unprocessable"}, "invalid"),
    (403, {"code": 403, "message": "No."}, "forbidden"),
    (429, {"code": 429, "message": "slow down"}, "overloaded"),
    *((status, {"message": "m"}, "down") for status in (408, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529)),
    # Errors inside HTTP 200.
    (
        200,
        {"message": "Provider returned error", "code": 429, "metadata": {"raw": "x", "provider_name": "P"}},
        "overloaded",
    ),
    (200, {"message": "m", "code": 502}, "down"),
    (200, "just words", "down"),
    (200, {"message": "m"}, "down"),
]


@pytest.mark.parametrize(("status", "error", "kind"), CASES)
def test_an_error_body_is_of_its_kind(status: int, error: object, kind: FailureKind) -> None:
    assert failure(status, error).kind == kind


def test_only_money_and_keys_of_ours_stop_the_account() -> None:
    stopping = {kind for kind, row in TABLE.items() if row.fatal == "account"}
    assert stopping == {"credits", "key_limit", "budget", "unauthorized"}


def test_what_ends_a_request_is_never_tried_on_another_model() -> None:
    assert all(not row.next_model and row.same_model == "never" for row in TABLE.values() if row.fatal != "none")


def test_what_a_customer_wrote_never_counts_against_a_model() -> None:
    about_words: tuple[FailureKind, ...] = ("moderated", "guardrail", "relayed_refusal", "too_long", "invalid")
    assert {TABLE[kind].breaker for kind in about_words} == {"none"}


@pytest.mark.parametrize(
    ("kind", "same_model", "next_model", "breaker"),
    [
        ("unreachable", "twice", True, "gateway"),
        ("cut", "once", True, "model"),
        ("down", "once", True, "model"),
        ("overloaded", "hinted", True, "model"),
        ("free_daily", "never", True, "none"),
        ("in_flight", "wait", False, "none"),
        ("unaffordable", "smaller", True, "none"),
        ("relayed", "never", True, "model"),
        ("too_long", "shorter", True, "none"),
        ("misconfigured", "never", True, "none"),
        ("empty", "once", True, "model"),
        ("starved", "larger", True, "none"),
        ("hung", "never", True, "model"),
    ],
)
def test_a_row_says_what_to_do(kind: FailureKind, same_model: str, next_model: bool, breaker: str) -> None:
    row = TABLE[kind]
    assert (row.same_model, row.next_model, row.breaker) == (same_model, next_model, breaker)


def test_failures_of_the_way_there_have_their_own_kinds() -> None:
    assert [made.kind for made in (unreachable("refused"), cut("eof"), hung(2.0))] == ["unreachable", "cut", "hung"]
    assert hung(2.0).row.same_model == "never"


def test_the_tokens_that_are_still_affordable_are_read() -> None:
    assert failure(402, {"code": 402, "message": AFFORD}).max_tokens == 3919


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"Retry-After-Ms": "250", "Retry-After": "9"}, 0.25),
        ({"Retry-After": "Wed, 20 May 2026 18:00:30 GMT"}, 30.0),
        ({"Retry-After": "Wed, 20 May 2020 18:00:30 GMT"}, 0.0),
        ({"Retry-After": "-5"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "99999999999"}, 32 * 86_400.0),
        ({"X-RateLimit-Reset": "1779300009000"}, 9.0),
        ({"X-RateLimit-Reset": "x"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert failure(429, {"code": 429, "message": "m"}, headers).retry_after == seconds


def test_the_body_carries_the_same_hints() -> None:
    assert failure(429, available("capacity_exhausted", 429, retryable=True, retry_after=40)).retry_after == 40.0
    assert failure(429, FREE_DAY).retry_after == 21_600.0
    budget = {"code": 403, "message": "budget exceeded", "metadata": {"resets_at": "2026-05-20T18:10:00"}}
    assert failure(403, budget).retry_after == 600.0
    assert failure(403, {**budget, "resets_at": "2026-05-20T18:00:05Z"}).retry_after == 5.0


def test_a_reason_names_the_codes_but_never_what_a_customer_or_provider_said() -> None:
    reasons = [
        failure(403, {**FLAGGED, "message": "flagged: I want to"}, user_id="user_2abc").reason,
        failure(403, {**PATTERNS, "message": "Request blocked: ignore all previous instructions"}).reason,
        failure(400, typed(400, "invalid_prompt", "my name is Asha")).reason,
        failure(400, relayed(400, raw="my name is Asha")).reason,
        failure(400, {"message": "bad: Asha", "code": 400, "metadata": {"provider_name": "P", "raw": "x"}}).reason,
        failure(401, {"message": "User user_2abc with key sk-or-v1-123 unknown", "code": 401}).reason,
    ]
    for leak in ("I want to", "ignore all", "Asha", "user_2abc", "sk-or-v1-123"):
        assert not any(leak in reason for reason in reasons), leak
    assert failure(402, {"code": 402, "message": AFFORD}).reason.startswith("402: This request requires more credits")
    assert "DeepInfra" in reasons[3]


def test_a_reason_is_short() -> None:
    assert len(failure(500, {"code": 500, "message": "x" * 100_000}).reason) < 300


def test_an_error_keeps_what_it_cost_and_who_ran() -> None:
    verdict = failure(200, {"code": 502, "message": "m"}, {}, id="gen-1", model="a/b", usage={"prompt_tokens": 5})
    assert (verdict.generation_id, verdict.model) == ("gen-1", "a/b")
    assert verdict.usage is not None
    assert failure(500, {"message": "m"}, {"X-Generation-Id": "gen-2"}).generation_id == "gen-2"


def test_a_status_of_400_or_more_is_a_failure_even_without_an_error_object() -> None:
    verdict = read_answer(429, {}, b'{"message":"slow down"}', now=NOW)
    assert isinstance(verdict, Failure)
    assert verdict.kind == "overloaded"


def test_a_null_error_is_no_error() -> None:
    body = b'{"error":null,"choices":[{"message":{"content":"Hi","role":"assistant"},"error":null}]}'
    assert isinstance(read_answer(200, {}, body, now=NOW), Answer)
