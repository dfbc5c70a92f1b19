"""Whether a body that nobody could read names somebody. It is used to forget, so a doubt counts as yes."""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final

NATIONAL_DIGITS: Final = 10
"""The last digits of a number: what stands in front may be written in many ways, or be missing."""

_PUNCTUATION: Final = re.compile(r"[\s().+\-]+")
_WAMID: Final = re.compile(r"wamid\.([A-Za-z0-9+/=]+)")


def mentions(body: bytes, phones: Sequence[str], user_ids: Sequence[str]) -> bool:
    """Whether a phone number (digits, however they are punctuated, or inside a WhatsApp message id) or a
    business-scoped id stands in the body.
    """
    text = body.decode(errors="replace")
    digits = _PUNCTUATION.sub("", text)
    inside = [_plain(found) for found in _WAMID.findall(text)]
    numbers = [phone[-NATIONAL_DIGITS:] for phone in phones]
    return (
        any(number in digits for number in numbers)
        or any(number.encode() in plain for number in numbers for plain in inside)
        or any(user_id in text for user_id in user_ids)
    )


def _plain(encoded: str) -> bytes:
    """A WhatsApp message id is base64 of a few bytes around the number."""
    bare = encoded.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error:
        return b""
