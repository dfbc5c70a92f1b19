"""Which failures are worth another try of the same model, after what wait, with what changed."""

import pytest

from bot.adapters.openrouter.retries import Again, Plan, again
from bot.core.effects import Turn
from bot.wire.openrouter.failures import TABLE, Failure, FailureKind

TURNS = tuple(Turn(role="user", text=str(number)) for number in range(5))
PLAN = Plan(turns=TURNS, max_tokens=500)


def failure(kind: FailureKind, retry_after: float | None = None, max_tokens: int | None = None) -> Failure:
    return Failure(kind=kind, reason="r", retry_after=retry_after, max_tokens=max_tokens)


def decide(failed: Failure, plan: Plan = PLAN, share: float = 20.0, jitter: float = 0.5) -> Again | None:
    return again(failed, plan, share=share, jitter=jitter)


def tries(kind: FailureKind, retry_after: float | None = None) -> int:
    """How many more calls a model gets that always fails in this way."""
    plan, more = PLAN, 0
    while (found := decide(failure(kind, retry_after), plan)) is not None:
        plan, more = found.plan, more + 1
        assert more < 10
    return more


@pytest.mark.parametrize(
    ("kind", "retry_after", "more"),
    [
        ("unreachable", None, 2),
        ("down", None, 1),
        ("down", 5.0, 1),
        ("down", 5.1, 0),
        ("cut", None, 1),
        ("empty", None, 1),
        ("hung", None, 0),
        ("overloaded", None, 0),
        ("overloaded", 5.0, 1),
        ("overloaded", 60.0, 0),
        ("free_minute", 3.0, 1),
        ("free_daily", 3.0, 0),
        ("in_flight", None, 3),
        ("in_flight", 6.0, 3),
        ("in_flight", 25.0, 0),
        ("unaffordable", None, 1),
        ("starved", None, 1),
        ("too_long", None, 1),
        ("relayed", None, 0),
        ("credits", None, 0),
    ],
)
def test_a_failure_is_worth_so_many_more_tries(kind: FailureKind, retry_after: float | None, more: int) -> None:
    assert tries(kind, retry_after) == more


def test_nothing_is_tried_again_where_the_table_says_never() -> None:
    assert all(tries(kind, 0.0) == 0 for kind, row in TABLE.items() if row.same_model == "never")


def test_waits_grow_and_are_spread_by_chance() -> None:
    first = decide(failure("unreachable"), jitter=0.0)
    assert first is not None
    second = decide(failure("unreachable"), first.plan, jitter=1.0)
    assert second is not None
    assert (first.wait, second.wait) == (0.25, 1.125)


def test_a_hint_is_never_undercut() -> None:
    for jitter in (0.0, 0.3, 1.0):
        found = decide(failure("down", 4.0), jitter=jitter)
        assert found is not None
        assert found.wait >= 4.0


def test_a_wait_has_to_fit_the_time_that_is_left() -> None:
    assert decide(failure("down"), share=0.5) is None
    assert decide(failure("down"), share=0.51) is not None
    assert decide(failure("starved"), share=0.0) is None


@pytest.mark.parametrize(
    ("affordable", "asked", "given"),
    [(200, 500, 200), (None, 500, 250), (9000, 500, 499), (63, 500, None), (None, 100, None)],
)
def test_an_unaffordable_answer_is_asked_for_shorter(affordable: int | None, asked: int, given: int | None) -> None:
    found = decide(failure("unaffordable", max_tokens=affordable), Plan(turns=TURNS, max_tokens=asked))
    assert (None if found is None else found.plan.max_tokens) == given


def test_a_shorter_history_keeps_the_newest_turns() -> None:
    found = decide(failure("too_long"))
    assert found is not None
    assert found.plan.turns == TURNS[-2:]
    assert decide(failure("too_long"), Plan(turns=TURNS[:1], max_tokens=500)) is None


def test_a_repair_leaves_the_plain_repetition_for_later() -> None:
    starved = decide(failure("starved"))
    assert starved is not None
    assert starved.plan == Plan(turns=TURNS, max_tokens=1000, little_reasoning=True, repairs=1)
    assert decide(failure("down"), starved.plan) is not None
    assert decide(failure("unaffordable"), starved.plan) is None
