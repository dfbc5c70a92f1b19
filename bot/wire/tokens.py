"""The written form of an API token: `wsd_<id>_<secret><checksum>`.

The id finds it without a search. The secret is 256 random bits in base 62, always 43 characters. The checksum is the
CRC-32 of all that stands before it, 6 characters: what was mistyped, cut off or made up is told from a token without
asking anybody. Prefix and checksum let secret scanners find a token in what somebody published:
`wsd_[0-9]{1,19}_[0-9A-Za-z]{49}`. A checksum is no protection: anybody can compute it.
"""

import hashlib
import re
import string
import zlib
from typing import Final

import msgspec

PREFIX: Final = "wsd"
SECRET_BYTES: Final = 32
_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_LENGTH: Final = 43
"""62**43 is the first power above 2**256."""
_CHECK_LENGTH: Final = 6
"""62**6 is above 2**32."""
_LARGEST_ID: Final = 2**63 - 1
_FORM: Final = re.compile(
    rf"(?P<before>{PREFIX}_(?P<id>[1-9][0-9]{{0,18}})_(?P<secret>[0-9A-Za-z]{{{_SECRET_LENGTH}}}))"
    rf"(?P<check>[0-9A-Za-z]{{{_CHECK_LENGTH}}})"
)


class Presented(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says of itself. Whether the secret is right is for whoever keeps its hash."""

    id: int
    secret: bytes


def written(token_id: int, secret: bytes) -> str:
    """The token, to be shown once. `secret` is `SECRET_BYTES` random bytes."""
    before = f"{PREFIX}_{token_id}_{_base62(int.from_bytes(secret), _SECRET_LENGTH)}"
    return before + _checksum(before)


def read(text: str) -> Presented | None:
    """None when it is not a token, whoever made it."""
    found = _FORM.fullmatch(text)
    if found is None or _checksum(found["before"]) != found["check"]:
        return None
    number = _number(found["secret"])
    if number >> (8 * SECRET_BYTES) or int(found["id"]) > _LARGEST_ID:
        return None
    return Presented(id=int(found["id"]), secret=number.to_bytes(SECRET_BYTES))


def hashed(secret: bytes) -> bytes:
    """What is kept of a secret: its SHA-256."""
    return hashlib.sha256(secret).digest()


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode("ascii")), _CHECK_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def _number(text: str) -> int:
    number = 0
    for digit in text:
        number = number * len(_DIGITS) + _DIGITS.index(digit)
    return number
