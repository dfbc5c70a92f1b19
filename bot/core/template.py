"""Templates: `{name}` in a flow's own text is replaced by a value; inserted text is never looked at again.

`{{` and `}}` stand for single braces. A brace that opens no name stays as it is. Parsed once for each text.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

_PIECE = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}")
_BRACES = {"{{": "{", "}}": "}"}
_Segments = tuple[tuple[str, str], ...]
"""Pairs of a literal and the name that follows it; the last name is empty."""


@lru_cache(maxsize=4096)
def _segments(source: str) -> _Segments:
    segments, literal, end = [], "", 0
    for match in _PIECE.finditer(source):
        literal += source[end : match.start()] + _BRACES.get(match[0], "")
        end = match.end()
        if match[1]:
            segments.append((literal, match[1]))
            literal = ""
    return (*segments, (literal + source[end:], ""))


def shown(value: object) -> str:
    """A value as a customer reads it: whole numbers without a fraction, truth as `true` or `false`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def fill(source: str, values: Mapping[str, object]) -> str:
    """`source` with every `{name}` replaced by its value; a name that is not in `values` becomes empty."""
    if "{" not in source and "}" not in source:
        return source
    return "".join(literal + (shown(values.get(name, "")) if name else "") for literal, name in _segments(source))


def placeholders(source: str) -> tuple[str, ...]:
    """The names that `source` takes, in order, repeated as often as they stand there."""
    return tuple(name for _, name in _segments(source) if name)


def literal_length(source: str) -> int:
    """How many characters of `source` come from the flow itself: the least it can be when it is filled."""
    return sum(len(literal) for literal, _ in _segments(source))
