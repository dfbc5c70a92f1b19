"""Every way a model call fails, and what each way asks for: the table of this service, one row for each kind.

A row says what is proved (`breaker`), what may help (`same_model`, `next_model`), and whether it is over for this
request or for the whole account (`fatal`). The shells only obey it. `bot.wire.openrouter.errors` decides the kind.
"""

from collections.abc import Mapping
from typing import Literal

from bot.core.messages import Value
from bot.wire.openrouter.pricing import Usage

FailureKind = Literal[
    "unreachable",
    "blocked",
    "cut",
    "hung",
    "down",
    "overloaded",
    "free_daily",
    "free_minute",
    "in_flight",
    "unaffordable",
    "credits",
    "key_limit",
    "budget",
    "unauthorized",
    "relayed",
    "relayed_refusal",
    "forbidden",
    "unavailable",
    "misconfigured",
    "too_long",
    "too_many_tokens",
    "moderated",
    "guardrail",
    "invalid",
    "empty",
    "malformed",
    "starved",
]

SameModel = Literal["never", "twice", "once", "hinted", "wait", "smaller", "larger", "shorter"]
"""What a second try of the same model needs. `once`, `twice`: a backoff. `hinted`: a short `Retry-After`, else none.
`wait`: the `Retry-After`, however long, if the deadline allows. `smaller`, `larger`: another `max_tokens`. `shorter`:
less history."""
Counted = Literal["none", "model", "gateway"]
Fatal = Literal["none", "request", "account"]


class Row(Value, frozen=True, kw_only=True):
    same_model: SameModel
    next_model: bool
    fatal: Fatal
    breaker: Counted


def _row(same_model: SameModel, next_model: bool, fatal: Fatal, breaker: Counted) -> Row:
    return Row(same_model=same_model, next_model=next_model, fatal=fatal, breaker=breaker)


TABLE: Mapping[FailureKind, Row] = {
    # The way to OpenRouter: no connection, or something that is not OpenRouter answered.
    "unreachable": _row("twice", True, "none", "gateway"),
    "blocked": _row("never", True, "none", "gateway"),
    # The model or its provider: body cut, our time limit, 5xx, 429.
    "cut": _row("once", True, "none", "model"),
    "hung": _row("never", True, "none", "model"),
    "down": _row("once", True, "none", "model"),
    "overloaded": _row("hinted", True, "none", "model"),
    # Limits of free models; a day's limit holds for all of them.
    "free_daily": _row("never", True, "none", "none"),
    "free_minute": _row("hinted", True, "none", "none"),
    # Money and keys. Only the first two concern one request.
    "in_flight": _row("wait", False, "none", "none"),
    "unaffordable": _row("smaller", True, "none", "none"),
    "credits": _row("never", False, "account", "none"),
    "key_limit": _row("never", False, "account", "none"),
    "budget": _row("never", False, "account", "none"),
    "unauthorized": _row("never", False, "account", "none"),
    # A provider's own 4xx, and models that we may not or cannot use.
    "relayed": _row("never", True, "none", "model"),
    "relayed_refusal": _row("never", True, "none", "none"),
    "forbidden": _row("never", True, "none", "model"),
    "unavailable": _row("never", True, "none", "model"),
    "misconfigured": _row("never", True, "none", "none"),
    # What was asked: too much of it, not allowed, or malformed by us.
    "too_long": _row("shorter", True, "none", "none"),
    "too_many_tokens": _row("smaller", True, "none", "none"),
    "moderated": _row("never", False, "request", "none"),
    "guardrail": _row("never", False, "request", "none"),
    "invalid": _row("never", False, "request", "none"),
    # HTTP 200 without an answer.
    "empty": _row("once", True, "none", "model"),
    "malformed": _row("once", True, "none", "model"),
    "starved": _row("larger", True, "none", "none"),
}


class Failure(Value, frozen=True, kw_only=True):
    """One call that gave no answer. `reason` is safe to log: no customer's words, no account id.

    `retry_after` is in seconds from now; for `free_daily`, `key_limit` and `budget` it is when the limit ends.
    `max_tokens` is what the balance still pays for (`unaffordable`). `usage` is there when the call cost something all
    the same.
    """

    kind: FailureKind
    reason: str
    status: int = 0
    retry_after: float | None = None
    max_tokens: int | None = None
    model: str = ""
    provider: str = ""
    generation_id: str = ""
    usage: Usage | None = None

    @property
    def row(self) -> Row:
        return TABLE[self.kind]


def unreachable(reason: str) -> Failure:
    """No connection, or it was reset before the first byte of an answer."""
    return Failure(kind="unreachable", reason=reason)


def cut(reason: str) -> Failure:
    """The body broke off."""
    return Failure(kind="cut", reason=reason)


def hung(seconds: float) -> Failure:
    """No whole answer within the time this call was given; blank keep-alive lines do not count as one."""
    return Failure(kind="hung", reason=f"no answer within {seconds:.1f} s")
