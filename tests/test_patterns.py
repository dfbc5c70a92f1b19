"""Regular expressions take a time that grows with the text and not with its square: none of them can be made to hang.

Patterns that companies write run in RE2. These are our own, of Python's `re`, which goes back and tries again; each is
put to texts that make such patterns slow, by way of all that may be done with it.
"""

import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

import bot
from bot.web import door

SIZE = 6000
"""Characters, so many that the square of them is far more than what a search spends on anything else."""
SLOW = re.compile(r"([^:]+):x")
"""The yardstick: takes a time that grows with the square."""
SHARE = 1 / 3
"""A pattern may take this much of what the yardstick takes in the same run."""
PIECES = (
    *("a", "0", " ", "\t", "\n", "\r\n", "-", "_", "*", "~", "`", "#", "|", "(", "[", "]", "{", "<", '"', "'"),
    *("\\", "/", ".", ",", ":", ";", "@", "!", "?", "=", "+", "a ", "a.", "a-", "0,", "1,23", "**", "**a", "__a"),
    *("~~a", "***a", "[a](", "<http://", "a'", '"a', '"\\', "{a", "}}", "user.", "user .", ".all(", "wamid.", "x:"),
    *("\n- ", "# ", "| ", "code ", "#1", "internal ", "budget of ", "\u0915", "\u0660", "can only afford "),
    *("https://a", "13", "  \n", ": a\n", " - at `", "<think>", "[HANDOFF", "[ ", "assistant ", "12-", "1 "),
    *("1st ", "a:b\r\n", "POST /webhook/msg91?a"),
)  # fmt: skip
BOUNDED: dict[re.Pattern[Any], str] = {
    door._FIELD: "sees only what `_HEAD` has matched, 8 KiB at most, in which every line has its colon",
}
CLIPPED = {"bot.core.expressions": 1000, "bot.sandbox.questions": 1000}
"""Characters that the patterns of a module ever see: `EXPRESSION_LIMIT`, the name of a model."""


def patterns_in(value: object, depth: int = 0) -> Iterator[re.Pattern[Any]]:
    """The patterns in a value, its parts and theirs."""
    if isinstance(value, re.Pattern):
        yield value
    if depth > 3:
        return
    parts: Iterator[object] = iter(())
    if isinstance(value, dict):
        parts = iter([*value, *value.values()])
    elif isinstance(value, list | tuple | set | frozenset):
        parts = iter(value)
    elif isinstance(value, msgspec.Struct):
        parts = (getattr(value, name) for name in value.__struct_fields__)
    for part in parts:
        yield from patterns_in(part, depth + 1)


def found() -> dict[re.Pattern[Any], str]:
    """Every pattern of a module of ours, by the module that it was first seen in."""
    names = [one.name for one in pkgutil.walk_packages(bot.__path__, "bot.") if not one.name.endswith("__main__")]
    seen: dict[re.Pattern[Any], str] = {}
    for name in names:
        for value in vars(importlib.import_module(name)).values():
            for pattern in patterns_in(value):
                seen.setdefault(pattern, name)
    return seen


def slowest(pattern: re.Pattern[Any], size: int, pieces: tuple[str, ...] = PIECES) -> tuple[float, str]:
    """Processor seconds of the slowest text, and what it repeats."""
    worst = (0.0, "")
    for piece in pieces:
        text = (piece * size)[:size] + "\0"
        subject: Any = text.encode() if isinstance(pattern.pattern, bytes) else text
        for use in (pattern.search, pattern.fullmatch):
            worst = max(worst, (_seconds(use, subject), piece))
    return worst


def _seconds(use: Any, subject: Any) -> float:
    began = time.process_time()
    use(subject)
    return time.process_time() - began


PATTERNS = found()


@pytest.fixture(scope="module")
def yardstick() -> float:
    """Processor seconds, of the fastest of three."""
    return min(slowest(SLOW, SIZE, ("a",))[0] for _ in range(3))


def test_patterns_are_found() -> None:
    assert len(PATTERNS) > 60


@pytest.mark.parametrize(
    "pattern", [one for one in PATTERNS if one not in BOUNDED], ids=lambda one: repr(one.pattern)[:40]
)
def test_a_pattern_takes_no_time_that_grows_with_the_square(pattern: re.Pattern[Any], yardstick: float) -> None:
    size = CLIPPED.get(PATTERNS[pattern], SIZE)
    seconds, piece = slowest(pattern, size)
    if seconds > yardstick * SHARE:  # another process may have had the processor's cache: once more
        seconds, piece = slowest(pattern, size)
    assert seconds < yardstick * SHARE, f"{PATTERNS[pattern]} is slow for many of {piece!r}"


def test_the_yardstick_grows_with_the_square(yardstick: float) -> None:
    assert yardstick > slowest(SLOW, SIZE // 4, ("a",))[0] * 8
