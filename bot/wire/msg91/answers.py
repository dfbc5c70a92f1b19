"""MSG91's answer to a send, as a `SendOutcome`. A 200 can be a failure, and JSON comes as `text/html`: read the body.

A 2xx that holds no JSON object is nobody's promise (a proxy's page, a cut answer): the message is tried again and the
case counts as uncertain. An empty 2xx is taken at its word. Codes win over words, and both over the HTTP status.
"""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from bot.wire.msg91.failures import (
    ALERTING,
    GATEWAY_WAITS,
    NUMBER_WAITS,
    PERMANENT,
    Failure,
    code_in,
    failure_class,
    known_class,
)
from bot.wire.msg91.fields import REASON_LIMIT, JsonObject, identifier, label, number, read_json, text
from bot.wire.msg91.outcomes import Accepted, Deferred, Rejected, SendOutcome
from bot.wire.msg91.wamids import bare_id

RAW_LIMIT: Final = 2000
LONGEST_WAIT: Final = 86_400.0
"""Seconds; a `Retry-After` beyond a day is read as a day."""

_MESSAGE_KEYS: Final = ("message_uuid", "uuid", "message_id", "messageId", "id")
_REQUEST_KEYS: Final = ("request_id", "requestId")
_REASON_KEYS: Final = ("errors", "error", "msg", "message", "data", "details", "error_data", "title", "description")
_FAILED_WORDS: Final = frozenset({"fail", "failed", "failure", "error"})
_MOST_REASONS: Final = 5
_DEEPEST_REASON: Final = 4
_NOTHING: Final[JsonObject] = {}
_CALLER_AT_FAULT: Final = frozenset({401, 402, 403, 404, 405})
_TIMED_OUT: Final = frozenset({408, 425})
_SAYS_LITTLE: Final = frozenset({400, 422})
_NOT_TAKEN: Final = frozenset({429, 503})


def read_answer(status: int, headers: Mapping[str, str], body: bytes, *, now: float) -> SendOutcome:
    """What became of a send answered with `status`. `now` (unix seconds) turns a date in `Retry-After` into a wait."""
    answer = _object(body)
    if not 200 <= status < 300:
        return _failed(status, answer, body, _retry_after(headers, now))
    if answer is None:
        return _accepted(_NOTHING) if not body.strip() else _unreadable(status, body)
    return _refused(answer, _retry_after(headers, now)) if _tells_failure(answer) else _accepted(answer)


def _object(body: bytes) -> JsonObject | None:
    value = read_json(body)
    if type(value) is list and value:
        value = value[0]
    return value if type(value) is dict else None


def _accepted(answer: JsonObject) -> Accepted:
    inside = _first(answer.get("data"))
    message = _first(answer.get("messages"))
    places = (inside, answer, message)
    return Accepted(
        provider_id=bare_id(next((where[key] for where in places for key in _MESSAGE_KEYS if where.get(key)), "")),
        request_id=identifier(next((where[key] for where in places for key in _REQUEST_KEYS if where.get(key)), "")),
    )


def _first(value: object) -> JsonObject:
    one = value[0] if type(value) is list and value else value
    return one if type(one) is dict else _NOTHING


def _tells_failure(answer: JsonObject) -> bool:
    if text(answer.get("hasError")).lower() in {"true", "1"} or answer.get("hasError") is True:
        return True
    words = {text(answer.get("status")).lower(), text(answer.get("type")).lower()}
    if words & _FAILED_WORDS or answer.get("success") is False:
        return True
    return bool(answer.get("errors") or answer.get("error")) and "success" not in words


def _unreadable(status: int, body: bytes) -> Deferred:
    reason = f"HTTP {status} without a JSON object: {_excerpt(body)}"
    return Deferred(reason=reason, code=0, retry_after=None, scope="gateway", uncertain=True)


def _refused(answer: JsonObject, retry_after: float | None) -> SendOutcome:
    """A failure inside a 2xx: the provider says that it took nothing."""
    reason, code = _reason(answer), _code(answer)
    failure = failure_class(code, reason)
    stated = number(answer.get("code"))
    if failure is PERMANENT and not code and stated is not None and 400 <= stated < 600:
        failure = _by_status(int(stated))
    return _outcome(failure, reason or "the provider reports a failure without a reason", code, retry_after)


def _failed(status: int, answer: JsonObject | None, body: bytes, retry_after: float | None) -> SendOutcome:
    if answer is None:
        reason = f"HTTP {status}: {_excerpt(body)}" if body else f"HTTP {status}"
        return _outcome(_by_status(status), reason, 0, retry_after, uncertain=_may_have_been_taken(status))
    reason, code = _reason(answer) or f"HTTP {status}", _code(answer)
    uncertain = _may_have_been_taken(status) and not _tells_failure(answer)
    return _outcome(_class(status, code, reason), reason, code, retry_after, uncertain=uncertain)


def _class(status: int, code: int, reason: str) -> Failure:
    """By the platform's code if it is one; words count only where the status says no more than "bad request"."""
    known = known_class(code)
    if known is None and status in _SAYS_LITTLE:
        known = failure_class(code, reason)
    return known or _by_status(status)


def _by_status(status: int) -> Failure:
    if status in _CALLER_AT_FAULT:
        return ALERTING
    if status == 429:
        return NUMBER_WAITS
    return PERMANENT if 400 <= status < 500 and status not in _TIMED_OUT else GATEWAY_WAITS


def _may_have_been_taken(status: int) -> bool:
    """Whether a bare `status` leaves open what happened: a machine before MSG91 may have given up on it too early."""
    return (status >= 500 and status not in _NOT_TAKEN) or status == 408


def _outcome(
    failure: Failure, reason: str, code: int, retry_after: float | None, *, uncertain: bool = False
) -> SendOutcome:
    if failure.permanent:
        return Rejected(reason=reason, code=code, alert=failure.alert, opt_out=failure.opt_out)
    return Deferred(reason=reason, code=code, retry_after=retry_after, scope=failure.scope, uncertain=uncertain)


def _reason(answer: JsonObject) -> str:
    return label("; ".join(_texts(answer, 0)[:_MOST_REASONS]), REASON_LIMIT)


def _texts(value: object, depth: int) -> list[str]:
    """The texts in an error of any shape: `errors` is a string in all real samples, an object or a list elsewhere."""
    if depth > _DEEPEST_REASON:
        return []
    if type(value) is dict:
        value = [value[key] for key in _REASON_KEYS if value.get(key)]
    if type(value) is list:
        return [found for one in value[:_MOST_REASONS] for found in _texts(one, depth + 1)]
    words = label(value, REASON_LIMIT)
    return [words] if words else []


def _code(answer: JsonObject) -> int:
    """Meta's number: in an error object, or in the words. The `code` beside `errors` is an HTTP status, not Meta's."""
    error = _first(answer.get("error")) or _first(answer.get("errors"))
    stated = number(error.get("code"))
    if stated is not None and 0 < stated < 1e6:
        return int(stated)
    outer = number(answer.get("code"))
    return int(outer) if outer is not None and 130_000 <= outer < 140_000 else code_in(_reason(answer))


def _excerpt(body: bytes) -> str:
    return label(body[:RAW_LIMIT].decode("utf-8", "replace"), 200)


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    value = next((held for name, held in headers.items() if name.lower() == "retry-after"), None)
    if value is None:
        return None
    seconds = number(value)
    wait = _until(value, now) if seconds is None else seconds
    return None if wait is None else min(max(wait, 0.0), LONGEST_WAIT)


def _until(date: str, now: float) -> float | None:
    try:
        when = parsedate_to_datetime(date)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
