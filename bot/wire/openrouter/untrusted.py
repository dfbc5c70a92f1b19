"""Reading JSON that nobody vouches for: each function returns the value when it has the right shape, else an empty one.

OpenRouter relays what dozens of providers send, so any field may be missing, null, or of another type. Nothing here
raises, whatever it is given.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

import orjson

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_KEEP_ALIVE = re.compile(rb"(?:[ \t\r\n]++|:[^\n]*+)*")
_LARGEST_COUNT = 10**9
_LARGEST_NUMBER = Decimal(10**15)


def decoded(body: bytes) -> object:
    """The JSON value in `body`, or None. Keep-alive blank lines and `: ...` comment lines may stand before it."""
    bare = body.removeprefix(_BYTE_ORDER_MARK)
    preamble = _KEEP_ALIVE.match(bare)
    try:
        return orjson.loads(bare[preamble.end() if preamble else 0 :])
    except orjson.JSONDecodeError:
        return None


def mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def count(value: object) -> int:
    """A number of tokens: never negative, never absurd."""
    number = decimal(value)
    return 0 if number is None else int(min(max(number, Decimal(0)), Decimal(_LARGEST_COUNT)))


def decimal(value: object) -> Decimal | None:
    """A finite number, given as a number or as a string; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and number.copy_abs() < _LARGEST_NUMBER else None


def seconds(value: object) -> float | None:
    """A finite number of seconds, 0 at least."""
    number = decimal(value)
    return None if number is None else max(0.0, float(number))
