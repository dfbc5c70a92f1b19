"""A talk at its time: its lines as far as they were said by now, and what became of the conversation."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from bot.core.messages import Value
from bot.core.modes import Mode
from bot.seeding.moments import DAY
from bot.seeding.talks import Line, Talk

SETTLED: Final = 120.0
"""Seconds that the last line is past at least, so that nobody seems to wait for an answer."""
_QUEUE_LONGEST: Final = DAY
"""Seconds after which somebody has taken whoever waits in the queue."""


class Told(Value, frozen=True, kw_only=True):
    """`times` are those of `lines`, unix seconds. `completed_at` is None while the conversation is open."""

    lines: tuple[Line, ...]
    times: tuple[float, ...]
    mode: Mode
    heard_at: float
    completed_at: float | None
    by_person: bool
    """Whether a person ended it."""


def tell(talk: Talk, began: float, now: float, *, conversation_timeout: float = DAY) -> Told | None:
    """None when nothing of it has been said and answered by now."""
    times = tuple(accumulate((line.pause for line in talk.lines), initial=began))[1:]
    said = _said(talk, times, now - SETTLED)
    if not said:
        return None
    lines, times = talk.lines[:said], times[:said]
    heard_at = max(time for line, time in zip(lines, times, strict=True) if line.by == "customer")
    mode, completed_at = _outcome(talk, lines, times, heard_at, now, conversation_timeout)
    return Told(
        lines=lines,
        times=times,
        mode=mode,
        heard_at=heard_at,
        completed_at=completed_at,
        by_person=completed_at is not None and 0 <= talk.escalated < said,
    )


def _said(talk: Talk, times: Sequence[float], until: float) -> int:
    """How many lines; what the customer said last is left out unless a person is to answer it."""
    said = sum(time <= until for time in times)
    if 0 <= talk.escalated < said:
        return said
    while said and talk.lines[said - 1].by == "customer":
        said -= 1
    return said


def _outcome(
    talk: Talk, lines: Sequence[Line], times: Sequence[float], heard_at: float, now: float, conversation_timeout: float
) -> tuple[Mode, float | None]:
    last = times[-1]
    if not 0 <= talk.escalated < len(lines):
        ends = heard_at + conversation_timeout
        mode: Mode = "model" if any(line.by == "model" for line in lines) else "bot"
        return ("closed", ends) if ends <= now else (mode, None)
    answered = any(line.by == "agent" for line in lines)
    whole = len(lines) == len(talk.lines) and talk.ending == "resolved"
    ends = last + (talk.kept if whole else _QUEUE_LONGEST)
    if ends <= now:
        return "closed", ends
    return ("agent" if answered else "queue"), None
