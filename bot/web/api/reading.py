"""From a request to checked values, or to a 400 that names the field and how to put it right."""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from aiohttp import web

from bot.web.api.asked import FIXES, Asked
from bot.web.errors import Refused, invalid
from bot.wire.msg91.fields import phone

BODY_LIMIT = 64 * 1024
"""Bytes of a request body."""
BODY_SECONDS = 30.0
"""Seconds a request body may take to arrive."""
KEY_HEADER = "Idempotency-Key"
LONGEST_KEY = 200
"""Characters of an Idempotency-Key."""
FIRST_YEAR, LAST_YEAR = 2000, 2999

T = TypeVar("T", bound=Asked)

_PLACE = re.compile(r" - at (?:`key` in )?`\$\.?(?P<field>[^`]*)`$")
_FIELD = re.compile(r"^Object (?P<what>missing required|contains unknown) field `(?P<field>[^`]*)`")
_ZONE = re.compile(r"(?<=\d) (?=\d\d:\d\d$)")
"""Where an unescaped `+` of a query was, in a time that has its `T`."""


async def body_of(request: web.Request, wanted: type[T], limit: int = BODY_LIMIT) -> T:
    """The body as `wanted`; no body at all is an empty object. It may have `limit` bytes."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            data = await request.clone(client_max_size=limit).read()
    except TimeoutError:
        raise Refused(408) from None
    except web.RequestPayloadError:
        raise Refused(400, "The body is not what the headers say.") from None
    try:
        return msgspec.json.decode(data.strip() or b"{}", type=wanted)
    except msgspec.ValidationError as error:
        raise _refusal(error, wanted) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(400, "The body must be JSON: an object, in UTF-8.") from None


def checked(given: Mapping[str, object], wanted: type[T]) -> T:
    """What was read before as `wanted`, which asks for more."""
    try:
        return msgspec.convert(given, wanted)
    except msgspec.ValidationError as error:
        raise _refusal(error, wanted) from None


def asked_of(request: web.Request, wanted: type[T]) -> T:
    """Parameters of the path and of the query as `wanted`. What no path could name is not found: 404."""
    path = dict(request.match_info)
    try:
        return msgspec.convert({**request.query, **path}, wanted, strict=False)
    except msgspec.ValidationError as error:
        refusal = _refusal(error, wanted)
        if refusal.detail.fields.keys() & path.keys():
            raise Refused(404, fields=refusal.detail.fields) from None
        raise refusal from None


def key_of(request: web.Request, otherwise: str) -> str:
    """The Idempotency-Key header, or `otherwise`."""
    key = request.headers.get(KEY_HEADER, otherwise)
    if not key.isascii() or not key.isprintable() or not 0 < len(key) <= LONGEST_KEY:
        raise invalid(**{KEY_HEADER: f"Use 1 to {LONGEST_KEY} printable ASCII characters."})
    return key


def phone_in(text: str, field: str) -> str:
    """10 to 15 digits, whatever punctuation they came with."""
    digits = phone(text)
    if not digits:
        raise invalid(**{field: "Write a phone number of 10 to 15 digits with its country code."})
    return digits


def moment_in(text: str, field: str) -> datetime | None:
    """An ISO 8601 date or time in UTC, None for an empty text."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(_ZONE.sub("+", text) if "T" in text else text)
    except ValueError:
        raise invalid(**{field: "Write a date or time such as 2026-01-31 or 2026-01-31T08:30:00Z."}) from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise invalid(**{field: f"Write a time between the years {FIRST_YEAR} and {LAST_YEAR}."})
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _refusal(error: msgspec.ValidationError, wanted: type[Asked]) -> Refused:
    text = str(error)
    place = _PLACE.search(text)
    inside = place["field"] if place else ""
    complaint = text[: place.start()] if place else text
    named = _FIELD.match(complaint)
    if named is None:
        return invalid(**{inside or "body": _fix(complaint)})
    field = ".".join(filter(None, (inside, named["field"])))
    return invalid(**{field: _about_field(named["what"], inside, wanted)})


def _about_field(what: str, inside: str, wanted: type[Asked]) -> str:
    if what == "missing required":
        return "This field is required."
    if inside:
        return "There is no such field; leave it out."
    return f"There is no such field; there are: {', '.join(_names(wanted)) or 'none'}."


def _names(wanted: type[Asked]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(wanted)]


def _fix(complaint: str) -> str:
    fixes = (fix for pattern, fix in FIXES.items() if complaint.endswith(repr(pattern)))
    return next(fixes, complaint.replace("`", "") + ".")
