"""Single values of a body that anybody may have written: each reader takes anything and gives a sound value.

Nothing here raises. Text that a customer wrote is kept whole (only what is not Unicode becomes U+FFFD); what ends up in
keys, logs and plain columns (ids, names, reasons) is free of control characters and bounded.
"""

import json
import re
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

import orjson

JsonObject = dict[str, Any]

ID_LIMIT: Final = 256
NAME_LIMIT: Final = 200
REASON_LIMIT: Final = 500
KIND_LIMIT: Final = 64
URL_LIMIT: Final = 2048
USER_ID_LIMIT: Final = 160
PHONE_SHORTEST: Final = 10
PHONE_LONGEST: Final = 15
EARLIEST: Final = 1_000_000_000.0
"""2001: no message is older. Numbers below it are not times."""
LATEST: Final = 4_102_444_800.0
"""2100: what lies beyond is a finer unit or nonsense."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")
"""Control characters, and the marks that reorder what stands around them in a line."""
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_PHONE_MARKS: Final = re.compile(r"[\s().\-]+")
_PHONE: Final = re.compile(r"\+?(?:00)?([0-9]{10,15})")
_USER_ID: Final = re.compile(r"[A-Z]{2}\.[A-Za-z0-9.]{1,150}")
_UNITS: Final = (1.0, 1e3, 1e6, 1e9)
_DIGEST_LENGTH: Final = 16
_INTEGER_LONGEST: Final = 20


def read_json(data: bytes | str) -> object:
    """The JSON value in `data`, None when there is none.

    orjson first; what it refuses gets a second reading that forgives a byte order mark, broken UTF-8, raw line breaks
    in strings (a template filled in without escaping) and lone surrogates.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return _read_leniently(data)


def _read_leniently(data: bytes | str) -> object:
    text = data.decode("utf-8-sig", "replace") if isinstance(data, bytes) else data
    try:
        return json.loads(text, strict=False, parse_int=_integer, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


def _integer(digits: str) -> int | float:
    """Python refuses to read an integer of thousands of digits; as a float it is only infinite."""
    return int(digits) if len(digits) <= _INTEGER_LONGEST else float(digits)


def opened(value: object) -> object:
    """`value`, or what is inside it where it is JSON in a string, as MSG91 sends objects and arrays."""
    if type(value) is str:
        return read_json(value) if value[:1] in {"{", "["} else None
    return value


def objects(value: object) -> list[JsonObject]:
    """The objects in `value`: an array of them or one alone, stringified or not."""
    inside = opened(value)
    if type(inside) is list:
        return [one for one in inside if type(one) is dict]
    return [inside] if type(inside) is dict else []


def an_object(value: object) -> JsonObject:
    """The object in `value`, stringified or not; an empty one when there is none."""
    inside = opened(value) if value else None
    return inside if type(inside) is dict else {}


def text(value: object) -> str:
    """`value` as the text somebody wrote, whole; "" for what is not text or a number."""
    if type(value) is not str:
        return str(value) if type(value) in {int, float} else ""
    return value if value.isascii() else sound(value)


def sound(value: str) -> str:
    """`value` with lone surrogates replaced by U+FFFD, so that it can be encoded."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", value)
    return value


def label(value: object, limit: int) -> str:
    """`value` as one line without control characters, at most `limit` characters."""
    line = text(value)
    if not line.isprintable():
        line = _CONTROL.sub(" ", line)
    return line.strip()[:limit]


def identifier(value: object) -> str:
    """`value` as an id without control characters; one over `ID_LIMIT` ends in a digest, so that it stays distinct."""
    name = text(value)
    if not name.isprintable():
        name = _CONTROL.sub("", name)
    name = name.strip()
    if len(name) <= ID_LIMIT:
        return name
    digest = blake2b(name.encode(), digest_size=_DIGEST_LENGTH).hexdigest()
    return name[: ID_LIMIT - len(digest)] + digest


def phone(value: object) -> str:
    """`value` as 10 to 15 digits with country code; "" when it is no phone number."""
    number = text(value) if type(value) is not float else ""
    if number.isascii() and number.isdigit() and PHONE_SHORTEST <= len(number) <= PHONE_LONGEST and number[:2] != "00":
        return number
    found = _PHONE.fullmatch(_PHONE_MARKS.sub("", number))
    return found[1] if found else ""


def user_id(value: object) -> str:
    """`value` if it has the form of WhatsApp's business-scoped user id (`IN.2600000000000001`), else ""."""
    name = text(value).strip()
    return name if _USER_ID.fullmatch(name) else ""


def web_address(value: object) -> str:
    """`value` if it is an http(s) address fit to be shown as a link, else ""."""
    link = text(value).strip()
    if not link.startswith(("https://", "http://")) or len(link) > URL_LIMIT:
        return ""
    return link if link.isprintable() and " " not in link else ""


def number(value: object) -> float | None:
    """`value` as a finite float; None for anything else."""
    if type(value) not in {str, int, float}:
        return None
    try:
        found = float(value)  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return None
    return found if abs(found) < float("inf") else None


def moment(value: object) -> float | None:
    """`value` as unix seconds: epoch seconds, milli-, micro- or nanoseconds, or ISO 8601; None when impossible.

    An ISO time without an offset is read as UTC: for the accounts of the sample bodies (+05:30) that errs to the
    future, and so never makes a fresh message look stale.
    """
    epoch = None if type(value) is str and value[4:5] == "-" else number(value)
    if epoch is not None:
        return next((epoch / unit for unit in _UNITS if EARLIEST <= epoch / unit < LATEST), None)
    if type(value) is not str:
        return None
    return _iso(value.strip())


def _iso(value: str) -> float | None:
    try:
        when = datetime.fromisoformat(value)
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if EARLIEST <= seconds < LATEST else None
