"""Which kind of failure an error body is. The order of the tests matters:

1. the account's own money and key, which end everything;
2. a person's words refused by a moderation or a guardrail;
3. an error that a provider made and OpenRouter only relays (a provider's 401 is not our 401);
4. `availability`, OpenRouter's word on what can be had;
5. `error_type`; 6. the status, first of `error.code`, `error.http_status`, the HTTP status.

One refinement of (3): when the relayed error is typed as too long or against a policy, it was caused by what was asked,
so it does not count against the model: one customer could otherwise open its breaker for all.
"""

import re
from collections.abc import Mapping

from bot.core.messages import Value
from bot.wire.openrouter import untrusted
from bot.wire.openrouter.failures import FailureKind

_ACCOUNT_LIMITS: Mapping[str, FailureKind] = {
    "openrouter_key_limit": "key_limit",
    "openrouter_guardrail_budget": "budget",
    "openrouter_workspace_budget": "budget",
}
_TYPES: Mapping[str, FailureKind] = {
    "context_length_exceeded": "too_long",
    "token_limit_exceeded": "too_long",
    "string_too_long": "too_long",
    "max_tokens_exceeded": "too_many_tokens",
    "content_policy_violation": "moderated",
    "refusal": "moderated",
    "invalid_request": "invalid",
    "invalid_prompt": "invalid",
    "precondition_failed": "invalid",
    "payload_too_large": "invalid",
    "unprocessable": "invalid",
    "authentication": "unauthorized",
    "payment_required": "credits",
    "permission_denied": "forbidden",
    "not_found": "misconfigured",
    "rate_limit_exceeded": "overloaded",
    "server": "down",
    "unmapped": "down",
    "timeout": "down",
    "provider_unavailable": "down",
    "provider_overloaded": "down",
}
_STATUSES: Mapping[int, FailureKind] = {
    401: "unauthorized",
    402: "credits",
    403: "forbidden",
    404: "misconfigured",
    408: "down",
    429: "overloaded",
}
_UNUSABLE = frozenset(
    {
        "model_not_found",
        "wrong_endpoint",
        "no_endpoints",
        "model_deprecated",
        "model_unavailable_upstream",
        "region_restricted",
        "privacy_restricted",
        "constraint_filtered",
        "free_variant_ended",
    }
)
_AFFORD = re.compile(r"can only afford (\d{1,9})")
_KEY_LIMIT = re.compile(r"key limit exceeded", re.IGNORECASE)
_BUDGET = re.compile(r"budget of .{1,40} exceeded|budget exceeded", re.IGNORECASE)
_MODERATION = re.compile(r"requires moderation|input was flagged", re.IGNORECASE)
_GUARDRAIL = re.compile(r"request blocked", re.IGNORECASE)
_NO_SUCH_MODEL = re.compile(r"not a valid model id|no endpoints found|no allowed providers", re.IGNORECASE)
_TOO_LONG = re.compile(r"maximum context length|context length exceeded|context_length_exceeded", re.IGNORECASE)
_RELAYED = "provider returned error"
_RAW_DEPTH = 4


class ErrorBody(Value, frozen=True, kw_only=True):
    """The parts of an error that decide. `words` is every message in it, the relayed ones too: never logged."""

    status: int
    message: str
    words: str
    error_type: str
    limit_source: str
    reason: str
    provider: str
    relayed: bool
    moderated: bool
    guarded: bool
    budgeted: bool
    availability: str
    retryable: bool | None
    excluded_by: str


def read_error(error: Mapping[str, object], http_status: int) -> ErrorBody:
    """The error object of a body, wherever it stood. Codes may be numbers, numeric strings, or words."""
    metadata = untrusted.mapping(error.get("metadata"))
    availability = untrusted.mapping(error.get("availability")) or untrusted.mapping(metadata.get("availability"))
    message = untrusted.text(error.get("message"))
    provider = untrusted.text(metadata.get("provider_name"))
    retryable = availability.get("retryable")
    return ErrorBody(
        status=_status(error, http_status),
        message=message,
        words="\n".join([message, *_relayed_words(metadata.get("raw"), _RAW_DEPTH)]),
        error_type=_error_type(error, metadata),
        limit_source=untrusted.text(metadata.get("limit_source")),
        reason=untrusted.text(metadata.get("reason")),
        provider=provider,
        relayed=_RELAYED in message.lower() or bool(provider and metadata.get("raw")),
        moderated=bool(metadata.get("reasons") or metadata.get("flagged_input")),
        guarded=bool(metadata.get("patterns")),
        budgeted=any(key in place for place in (error, metadata) for key in ("limit_usd", "spend_usd")),
        availability=untrusted.text(availability.get("code")),
        retryable=retryable if isinstance(retryable, bool) else None,
        excluded_by=str(availability.get("excluded_by", "")),
    )


def kind_of(error: ErrorBody) -> FailureKind:
    """The row of `failures.TABLE` that `error` belongs to."""
    return (
        _account_kind(error)
        or _refusal_kind(error)
        or _relayed_kind(error)
        or _availability_kind(error)
        or _typed_kind(error)
        or kind_of_status(error.status)
    )


def kind_of_status(status: int) -> FailureKind:
    """What is left when only a status is known. An error without one (in a body of HTTP 200) is the model's."""
    if status >= 500 or status < 400:
        return "down"
    return _STATUSES.get(status, "invalid")


def affordable_tokens(error: ErrorBody) -> int | None:
    """The N of "can only afford N"."""
    found = _AFFORD.search(error.message)
    return int(found[1]) if found else None


def _account_kind(error: ErrorBody) -> FailureKind | None:
    if error.reason == "in_flight_budget_exhausted" or error.limit_source == "openrouter_in_flight_budget":
        return "in_flight"
    if error.limit_source in _ACCOUNT_LIMITS:
        return _ACCOUNT_LIMITS[error.limit_source]
    if error.relayed and error.limit_source != "openrouter_credits":
        return None
    if error.reason == "weight_exceeds_budget" or _AFFORD.search(error.message):
        return "unaffordable"
    if error.limit_source == "openrouter_credits":
        return "credits"
    if error.status in {402, 403} and _KEY_LIMIT.search(error.message):
        return "key_limit"
    if error.status in {402, 403, 429} and (error.budgeted or _BUDGET.search(error.message)):
        return "budget"
    return _STATUSES[error.status] if error.status in {401, 402} else None


def _refusal_kind(error: ErrorBody) -> FailureKind | None:
    if error.guarded or (error.status == 403 and _GUARDRAIL.search(error.message)):
        return "guardrail"
    if error.moderated or _MODERATION.search(error.message):
        return "moderated"
    return None


def _relayed_kind(error: ErrorBody) -> FailureKind | None:
    if not error.relayed:
        return None
    typed = _TYPES.get(error.error_type)
    if typed == "moderated":
        return "relayed_refusal"
    if typed in {"too_long", "too_many_tokens"}:
        return typed
    if error.status == 400 and _TOO_LONG.search(error.words):
        return "too_long"
    from_status = kind_of_status(error.status)
    return from_status if from_status in {"down", "overloaded"} else "relayed"


def _availability_kind(error: ErrorBody) -> FailureKind | None:
    if error.retryable:
        return "overloaded" if error.status == 429 or error.availability == "capacity_exhausted" else "down"
    if "context_length" in error.excluded_by:
        return "too_long"
    if error.availability in _UNUSABLE:
        return "misconfigured"
    return "unavailable" if error.retryable is False or error.availability else None


def _typed_kind(error: ErrorBody) -> FailureKind | None:
    if error.status in {400, 404} and _NO_SUCH_MODEL.search(error.message):
        return "misconfigured"
    if error.limit_source == "openrouter_free_tier_daily" or "free-models-per-day" in error.message:
        return "free_daily"
    if "free-models-per-min" in error.message:
        return "free_minute"
    if error.status == 400 and _TOO_LONG.search(error.words):
        return "too_long"
    return _TYPES.get(error.error_type)


def _status(error: Mapping[str, object], http_status: int) -> int:
    for value in (error.get("code"), error.get("http_status"), http_status):
        status = untrusted.count(value)
        if 400 <= status < 600:
            return status
    return 0


def _error_type(error: Mapping[str, object], metadata: Mapping[str, object]) -> str:
    """Word codes such as `rate_limit_exceeded` in `code` serve as the type when there is none."""
    return untrusted.text(metadata.get("error_type") or error.get("error_type")) or untrusted.text(error.get("code"))


def _relayed_words(raw: object, depth: int) -> list[str]:
    """Every `message` in `raw`, which may be a string, JSON in a string, or an object, one inside the other."""
    if depth == 0:
        return []
    if isinstance(raw, str):
        inner = untrusted.decoded(raw.encode("utf-8", "replace"))
        return [raw] if inner is None else _relayed_words(inner, depth - 1)
    parts = untrusted.mapping(raw)
    own = [value for key in ("message", "code", "type") if (value := untrusted.text(parts.get(key)))]
    return [*own, *(word for key in ("error", "raw", "metadata") for word in _relayed_words(parts.get(key), depth - 1))]
