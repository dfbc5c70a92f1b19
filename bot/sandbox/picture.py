"""A sample picture for the phone page, drawn here so that the package needs no binary file: a sunrise over hills."""

import math
import struct
import zlib
from functools import cache
from typing import Final

WIDTH: Final = 320
HEIGHT: Final = 200


@cache
def sample_png() -> bytes:
    """The picture as a PNG (RFC 2083) of 320 by 200 points."""
    rows = b"".join(b"\x00" + bytes(part for x in range(WIDTH) for part in _point(x, y)) for y in range(HEIGHT))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 9)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _point(x: int, y: int) -> tuple[int, int, int]:
    if y > 150 + 18 * math.sin(x / 38):
        return 38, 94, 92
    if y > 122 + 24 * math.sin(x / 55 + 2):
        return 78, 138, 122
    if math.hypot(x - 210, y - 100) < 38:
        return 255, 214, 130
    return 250 - y // 2, 176 + y // 4, 140 + y // 2


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
