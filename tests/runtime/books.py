"""Small flows whose replies tell which message they answer."""

import re
from typing import Any

from bot.core.book import Book
from bot.core.flow import AskModelStep, End, Escalate, Flow, Jump, Matching, Operation, Say
from tests.runtime.replica import book_of


def flow(flow_id: str, *ops: Operation, pattern: str, digest: str = "") -> Flow:
    """A flow that starts at every message in which `pattern` is found."""
    return Flow(
        flow_id=flow_id,
        version=1,
        digest=digest or f"digest of {flow_id}",
        priority=0,
        triggers=(Matching(pattern=re.compile(pattern)),),
        ops=ops,
        closing={},
        source=f"source of {flow_id} {digest}",
    )


def echo_book(**rules: Any) -> Book:
    """`say x` is answered `x` once, `twice x` and `thrice x` so many times, `person` with a hand-over."""
    once = Say(step_id="once", text={"": "1 {message}"})
    again = Say(step_id="again", text={"": "2 {message}"})
    third = Say(step_id="third", text={"": "3 {message}"})
    return book_of(
        flow("once", once, pattern="^say"),
        flow("twice", once, again, pattern="^twice"),
        flow("thrice", once, again, third, pattern="^thrice"),
        flow("circle", Jump(step_id="round", target=0), pattern="^circle"),
        flow("person", Escalate(step_id="out", department="sales", reason="", text={}), pattern="^person"),
        flow("ask", AskModelStep(step_id="ask", instruction="Be kind."), End(step_id="end", text={}), pattern="^ask"),
        **rules,
    )
