"""Cursors: where a page ended, opaque to the caller, so that what stands inside may change."""

import base64
import binascii
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec

from bot.web.errors import invalid

LARGEST_KEY = 2**63 - 1
Number = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_KEY)]

Key = TypeVar("Key", UUID, int)

_encoder = msgspec.msgpack.Encoder()
_numbers: msgspec.msgpack.Decoder[int] = msgspec.msgpack.Decoder(Number)
_ids = msgspec.msgpack.Decoder(UUID)


def cursor_of(key: UUID | int) -> str:
    return base64.urlsafe_b64encode(_encoder.encode(key)).rstrip(b"=").decode()


def id_in(cursor: str) -> UUID | None:
    """None for no cursor. Raise a 400 for one that this service did not give for such a list."""
    return _decoded(cursor, _ids)


def number_in(cursor: str) -> int | None:
    """As `id_in`, for lists whose key is a number."""
    return _decoded(cursor, _numbers)


def _decoded(cursor: str, decoder: msgspec.msgpack.Decoder[Key]) -> Key | None:
    if not cursor:
        return None
    try:
        return decoder.decode(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise invalid(cursor="Use `next` of the page before, unchanged, or leave it out for the first page.") from None
