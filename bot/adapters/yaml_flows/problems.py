"""What is wrong with a file: always with the line, always all at once, always with what would put it right.

All at once has a bound: hundreds of problems have one cause, and a file made to harm has as many as it likes.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Literal

import msgspec

Severity = Literal["error", "warning"]

MOST_PROBLEMS = 200
"""Errors, and as many warnings, that are told of one file."""
MOST_COMPARED = 1000
"""Known names among which the nearest is looked for."""
MOST_TOLD = 40
"""Known names that one message lists."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One finding. `line` counts from 1; `flow` and `step` are ids, empty where the finding belongs to neither."""

    file: str
    line: int
    severity: Severity
    message: str
    flow: str = ""
    step: str = ""


class Report:
    """Collects the problems of one file, and which languages each of its texts is written in.

    `flow` is set as soon as the flow's id is known; `languages` has one entry for each text by language: line, step and
    language codes.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.flow = ""
        self.languages: list[tuple[int, str, frozenset[str]]] = []
        self.problems: list[Problem] = []
        self._seen: dict[Severity, set[Problem]] = {"error": set(), "warning": set()}

    @property
    def full(self) -> bool:
        """Whether it is broken and takes no more errors: nobody needs to look for further ones."""
        return len(self._seen["error"]) > MOST_PROBLEMS

    def error(self, line: int, message: str, step: str = "") -> None:
        self._add("error", line, message, step)

    def warn(self, line: int, message: str, step: str = "") -> None:
        self._add("warning", line, message, step)

    def is_broken(self) -> bool:
        """Whether anything but warnings was found."""
        return has_errors(self.problems)

    def _add(self, severity: Severity, line: int, message: str, step: str) -> None:
        seen = self._seen[severity]
        if len(seen) > MOST_PROBLEMS:
            return
        if len(seen) == MOST_PROBLEMS:
            message, step = f"there are more {severity}s; these are the first {MOST_PROBLEMS}", ""
        problem = Problem(file=self.file, line=line, severity=severity, message=message, flow=self.flow, step=step)
        if problem not in seen:
            seen.add(problem)
            self.problems.append(problem)


def has_errors(problems: Iterable[Problem]) -> bool:
    return any(problem.severity == "error" for problem in problems)


def render(problems: Sequence[Problem]) -> str:
    """One line for each problem, `file:line: error: message`, as editors and terminals link it."""
    return "\n".join(
        f"{problem.file}:{problem.line}: {problem.severity}: "
        f"{f'step {problem.step!r}: ' if problem.step else ''}{problem.message}"
        for problem in problems
    )


def suggestion(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the nearest known one, or all of them."""
    names = sorted(known)
    if nearest := get_close_matches(word, names[:MOST_COMPARED], n=1):
        return f"did you mean {nearest[0]!r}?"
    more = ", ..." if len(names) > MOST_TOLD else ""
    return f"use one of: {', '.join(names[:MOST_TOLD])}{more}" if names else "there is none"
