"""Conditions of flows: CEL expressions, compiled once, that answer yes or no and never raise.

CEL always ends and has no effects, so a flow may ask anything of a customer's answers. An unknown variable is the empty
text. What cannot be evaluated, such as a text compared with a number by `>`, is not so: the verdict is no, and carries
the reason to be counted.
"""

import re
from collections.abc import Mapping

import cel
import msgspec

EXPRESSION_LIMIT = 1000
"""Characters of one expression; it also bounds how deep the expression can nest."""

USER_FIELDS = frozenset({"name", "phone", "language", "opted_out"})
SESSION_FIELDS = frozenset({"id", "started_at", "mode"})
NOW_FIELDS = frozenset({"hour", "minute", "weekday", "date", "timestamp", "open"})
FIELDS: Mapping[str, frozenset[str]] = {"user": USER_FIELDS, "session": SESSION_FIELDS, "now": NOW_FIELDS}
"""What a condition knows beside the variables of its flow."""

_TEXT_FUNCTIONS = frozenset({"size", "contains", "startsWith", "endsWith", "matches"})
_CONVERSIONS = frozenset({"int", "uint", "double", "string", "bytes", "timestamp", "duration"})
_CALENDAR = frozenset(
    {f"get{part}" for part in ("FullYear", "Month", "Date", "DayOfMonth", "DayOfWeek", "DayOfYear")}
    | {f"get{part}" for part in ("Hours", "Minutes", "Seconds", "Milliseconds")}
)
FUNCTIONS = _TEXT_FUNCTIONS | _CONVERSIONS | _CALENDAR
"""The functions a condition may call; operators and the macros `all`, `exists`, `map`, `filter` are always there."""

_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_FIELD = re.compile(r"(?<![\w.])(user|session|now)\s*\.\s*([A-Za-z_]\w*)")
_BOUND = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\(\s*([A-Za-z_]\w*)\s*,")
_SYNTAX = re.compile(r"<input>:\d+:(\d+): (?:Syntax error: )?([^\n]*)")
_FAILURES = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)


class BadExpression(ValueError):
    """The expression cannot be compiled."""


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A compiled expression; `names` are the variables it looks at."""

    source: str
    names: tuple[str, ...]
    program: cel.Program


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the condition holds; `fault` says why it could not be evaluated, and is empty otherwise."""

    holds: bool
    fault: str = ""


def compile_condition(source: str) -> Condition:
    """The condition that `source` says. Raises `BadExpression` with what is wrong and where."""
    if len(source) > EXPRESSION_LIMIT:
        raise BadExpression(f"longer than {EXPRESSION_LIMIT} characters")
    try:
        program = cel.compile(source)
    except ValueError as error:
        raise BadExpression(_explained(str(error))) from None
    _refuse_unknown(program, source)
    return Condition(source=source, names=tuple(program.variables()), program=program)


def judge(condition: Condition, known: Mapping[str, object]) -> Verdict:
    """What `condition` says of the values in `known`; anything but `true` is no."""
    try:
        result = condition.program.execute({name: known.get(name, "") for name in condition.names})
    except _FAILURES as error:
        return Verdict(holds=False, fault=f"{condition.source}: {str(error)[:200]}")
    if isinstance(result, bool):
        return Verdict(holds=result)
    return Verdict(holds=False, fault=f"{condition.source}: the result is not true or false")


def free_names(condition: Condition) -> tuple[str, ...]:
    """The variables of `condition` without those that its own macros bind, as `x` in `list.exists(x, x > 1)`."""
    bound = set(_BOUND.findall(_TEXT.sub("''", condition.source)))
    return tuple(name for name in condition.names if name not in bound)


def _refuse_unknown(program: cel.Program, source: str) -> None:
    for function in program.functions():
        if function[0].isalpha() and function not in FUNCTIONS:
            raise BadExpression(f"there is no function {function!r}")
    for owner, field in _FIELD.findall(_TEXT.sub("''", source)):
        if field not in FIELDS[owner]:
            raise BadExpression(f"{owner!r} has no {field!r}; it has {', '.join(sorted(FIELDS[owner]))}")


def _explained(error: str) -> str:
    found = _SYNTAX.search(error)
    if found is None:
        return error.splitlines()[0][:200]
    return f"at character {found[1]}: {found[2].split(' expecting ')[0]}"
