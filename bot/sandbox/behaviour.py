"""How the sandbox misbehaves when told to: rules as values, and which rule meets which call.

A document names one or more of `msg91`, `openrouter` and `reports`; what it names is replaced, `null` clears it. Of
several rules for one API the first that matches is used. Chance is seeded, so a run can be repeated.
"""

import random
from collections.abc import Iterable
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bot.core.messages import Value

Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Fault = Literal["hang", "cut", "trickle", "error_in_200", "html", "empty"]
TAKES_EFFECT: frozenset[str] = frozenset({"cut", "trickle"})


class Latency(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exactly one distribution, in seconds."""

    fixed: Seconds | None = None
    uniform: tuple[Seconds, Seconds] | None = None
    lognormal: tuple[Seconds, Annotated[float, Meta(ge=0, le=5)]] | None = None
    """Median in seconds, and the standard deviation of its logarithm."""

    def __post_init__(self) -> None:
        given = [one for one in (self.fixed, self.uniform, self.lognormal) if one is not None]
        if len(given) != 1:
            raise ValueError("latency needs exactly one of fixed, uniform, lognormal")
        if self.uniform and self.uniform[0] > self.uniform[1]:
            raise ValueError("latency uniform needs its smaller bound first")

    def draw(self, chance: random.Random) -> float:
        if self.uniform:
            return chance.uniform(*self.uniform)
        if self.lognormal:
            return self.lognormal[0] * chance.lognormvariate(0, self.lognormal[1])
        return self.fixed or 0.0


class CallRule(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens to a call of a provider. The failing part applies to the share `error_rate` of the calls."""

    count: Annotated[int, Meta(ge=1)] | None = None
    """Only the next so many calls that match."""
    latency: Latency | None = None
    error_rate: Annotated[float, Meta(ge=0, le=1)] | None = None
    """Share of the calls that fail; without it all do if `status`, `body` or `fault` is given."""
    seed: int = 0
    status: Annotated[int, Meta(ge=200, le=599)] | None = None
    body: Any = None
    """A text, or JSON; without it the provider's usual body for that status."""
    headers: dict[str, str] = {}
    fault: Fault | None = None
    seconds: Seconds | None = None
    """How long a hang or a trickle lasts."""
    accepted: bool | None = None
    """Whether the failing call takes effect all the same; a cut or a trickle does unless told otherwise."""

    @property
    def share_failing(self) -> float:
        if self.error_rate is not None:
            return self.error_rate
        return 1.0 if self.fault or self.status is not None or self.body is not None else 0.0

    @property
    def takes_effect(self) -> bool:
        return self.fault in TAKES_EFFECT if self.accepted is None else self.accepted


class SendRule(CallRule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule for MSG91's calls, for one recipient if `to` is given."""

    to: str = ""

    @property
    def key(self) -> str:
        return self.to


class ModelRule(CallRule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule for the model's API, for one model if `model` is given."""

    model: str = ""

    @property
    def key(self) -> str:
        return self.model


class ReportRule(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens to the delivery reports of a message."""

    to: str = ""
    count: Annotated[int, Meta(ge=1)] | None = None
    off: bool = False
    duplicate: bool = False
    late: Seconds = 0.0
    """Seconds added to each report."""
    out_of_order: bool = False
    failed: int | None = None
    """WhatsApp's error code; the message is reported as sent and then as failed."""
    read: bool = False
    """Report it as read without a phone page being open."""

    @property
    def seed(self) -> int:
        """Nothing in a report is left to chance."""
        return 0

    @property
    def key(self) -> str:
        return self.to


class Document(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /sandbox/behaviour`."""

    msg91: SendRule | tuple[SendRule, ...] | UnsetType | None = UNSET
    openrouter: ModelRule | tuple[ModelRule, ...] | UnsetType | None = UNSET
    reports: ReportRule | tuple[ReportRule, ...] | UnsetType | None = UNSET


Rule = TypeVar("Rule", SendRule, ModelRule, ReportRule)


class Active(Generic[Rule]):
    """A rule in force, how many calls it still meets, and its own chance."""

    def __init__(self, rule: Rule) -> None:
        self.rule: Rule = rule
        self.left = rule.count
        self.chance = random.Random(rule.seed)

    def matches(self, keys: Iterable[str]) -> bool:
        return self.left != 0 and (not self.rule.key or self.rule.key in keys)

    def spend(self) -> None:
        if self.left is not None:
            self.left -= 1


class Behaviours:
    """The rules in force for each API."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.msg91: list[Active[SendRule]] = []
        self.openrouter: list[Active[ModelRule]] = []
        self.reports: list[Active[ReportRule]] = []

    def apply(self, raw: bytes) -> None:
        """Put a document in force. `msgspec.DecodeError`, which names the field, if it is not a good one."""
        document = msgspec.json.decode(raw, type=Document)
        if document.msg91 is not UNSET:
            self.msg91 = _activate(document.msg91)
        if document.openrouter is not UNSET:
            self.openrouter = _activate(document.openrouter)
        if document.reports is not UNSET:
            self.reports = _activate(document.reports)

    def shown(self) -> dict[str, list[dict[str, Any]]]:
        """The rules in force, each with what is `left` of its count."""
        return {
            "msg91": [_shown(active) for active in self.msg91],
            "openrouter": [_shown(active) for active in self.openrouter],
            "reports": [_shown(active) for active in self.reports],
        }


def pick(rules: list[Active[Rule]], keys: Iterable[str]) -> Active[Rule] | None:
    """The first rule that matches; it has one call less from now on."""
    for active in rules:
        if active.matches(keys):
            active.spend()
            return active
    return None


def _activate(rules: Rule | tuple[Rule, ...] | None) -> list[Active[Rule]]:
    if rules is None:
        return []
    each: tuple[Rule, ...] = rules if isinstance(rules, tuple) else (rules,)
    return [Active(rule) for rule in each]


def _shown(active: Active[Rule]) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(active.rule)
    return shown if active.left is None else {**shown, "left": active.left}
