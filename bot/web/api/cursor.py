"""Cursors: where a page ended, opaque to the caller, so that what stands inside may change."""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec

from bot.web.errors import invalid

LARGEST_KEY = 2**63 - 1
Number = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_KEY)]

Microseconds = Annotated[int, msgspec.Meta(ge=0, le=32_503_680_000_000_000)]
"""Since 1970, up to the year 3000."""
Place = tuple[Microseconds, Number]

Key = TypeVar("Key", UUID, int, Place)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encoder = msgspec.msgpack.Encoder()
_numbers: msgspec.msgpack.Decoder[int] = msgspec.msgpack.Decoder(Number)
_ids = msgspec.msgpack.Decoder(UUID)
_places: msgspec.msgpack.Decoder[Place] = msgspec.msgpack.Decoder(Place)


def cursor_of(key: UUID | int) -> str:
    return _encoded(key)


def place_of(moment: datetime, number: int) -> str:
    """For lists in the order of time; the number tells rows of one moment apart."""
    return _encoded(((moment - _EPOCH) // timedelta(microseconds=1), number))


def id_in(cursor: str) -> UUID | None:
    """None for no cursor. Raise a 400 for one that this service did not give for such a list."""
    return _decoded(cursor, _ids)


def number_in(cursor: str) -> int | None:
    """As `id_in`, for lists whose key is a number."""
    return _decoded(cursor, _numbers)


def place_in(cursor: str) -> tuple[datetime, int] | None:
    """As `id_in`, for lists whose key is a time and a number."""
    place = _decoded(cursor, _places)
    return (_EPOCH + timedelta(microseconds=place[0]), place[1]) if place else None


def _encoded(key: UUID | int | Place) -> str:
    return base64.urlsafe_b64encode(_encoder.encode(key)).rstrip(b"=").decode()


def _decoded(cursor: str, decoder: msgspec.msgpack.Decoder[Key]) -> Key | None:
    if not cursor:
        return None
    try:
        return decoder.decode(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise invalid(cursor="Use `next` of the page before, unchanged, or leave it out for the first page.") from None
