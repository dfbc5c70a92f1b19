"""Whether the same model is worth another try, when, and with what changed. Pure: the chain does what it says.

This is the only place that decides to repeat a call: two loops inside each other multiply their tries.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from bot.core.effects import Turn
from bot.wire.openrouter.failures import Failure, SameModel

BACKOFF_SECONDS: Final = 0.5
BACKOFF_GROWTH: Final = 1.5
LONGEST_HINT: Final = 5.0
"""A `Retry-After` up to this is waited out on the same model; a longer one sends the question to the next."""
IN_FLIGHT_WAIT: Final = 2.0
"""Seconds to wait for other calls to settle when the answer does not say how long."""
FEWEST_TOKENS: Final = 64
"""An answer shorter than this helps nobody."""
LARGER: Final = 2
"""How much more `max_tokens` a model gets that thought its answer away."""

_RETRIES: Mapping[SameModel, int] = {"twice": 2, "once": 1, "hinted": 1, "wait": 3}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How a model is asked: `retries` counts plain repetitions so far, `repairs` those with something changed."""

    turns: tuple[Turn, ...]
    max_tokens: int
    little_reasoning: bool = False
    retries: int = 0
    repairs: int = 0


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the same model again as `plan` says, after `wait` seconds."""

    plan: Plan
    wait: float = 0.0


def again(failure: Failure, plan: Plan, *, share: float, jitter: float) -> Again | None:
    """The next try of the same model, or None.

    Args:
        failure: how the last one ended.
        plan: how it was asked.
        share: seconds that are left for this model; a wait that does not fit is not begun.
        jitter: a chance between 0 and 1, so that many who failed together do not come back together.
    """
    plain = failure.row.same_model in _RETRIES
    found = _repeated(failure, plan, jitter) if plain else _repaired(failure, plan)
    return found if found is not None and found.wait < share else None


def _repeated(failure: Failure, plan: Plan, jitter: float) -> Again | None:
    policy = failure.row.same_model
    if plan.retries >= _RETRIES[policy]:
        return None
    wait = _wait(failure, plan.retries, jitter)
    if wait is None:
        return None
    return Again(plan=msgspec.structs.replace(plan, retries=plan.retries + 1), wait=wait)


def _wait(failure: Failure, retries: int, jitter: float) -> float | None:
    hint, policy = failure.retry_after, failure.row.same_model
    if policy == "wait":
        return (IN_FLIGHT_WAIT if hint is None else hint) * (1 + jitter / 4)
    if hint is not None:
        return hint * (1 + jitter / 10) if hint <= LONGEST_HINT else None
    return None if policy == "hinted" else BACKOFF_SECONDS * BACKOFF_GROWTH**retries * (0.5 + jitter)


def _repaired(failure: Failure, plan: Plan) -> Again | None:
    repair = _REPAIRS.get(failure.row.same_model)
    changed = repair(failure, plan) if repair is not None and plan.repairs == 0 else None
    return None if changed is None else Again(plan=msgspec.structs.replace(changed, repairs=1))


def _smaller(failure: Failure, plan: Plan) -> Plan | None:
    most = plan.max_tokens // 2 if failure.max_tokens is None else min(failure.max_tokens, plan.max_tokens - 1)
    return msgspec.structs.replace(plan, max_tokens=most) if most >= FEWEST_TOKENS else None


def _larger(_failure: Failure, plan: Plan) -> Plan:
    return msgspec.structs.replace(plan, max_tokens=plan.max_tokens * LARGER, little_reasoning=True)


def _shorter(_failure: Failure, plan: Plan) -> Plan | None:
    """The later half of the history, the newest turn always with it."""
    if len(plan.turns) < 2:
        return None
    return msgspec.structs.replace(plan, turns=plan.turns[-(len(plan.turns) // 2) :])


_REPAIRS: Mapping[SameModel, Callable[[Failure, Plan], Plan | None]] = {
    "smaller": _smaller,
    "larger": _larger,
    "shorter": _shorter,
}
