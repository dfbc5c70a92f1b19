"""What lies in a mailbox: an opened envelope with its place in the journal."""

import hashlib

import msgspec

from bot.core.events import Envelope
from bot.core.ids import JournalSeq

DEDUP_BYTES = 16


class Letter(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    seq: JournalSeq
    dedup: bytes
    envelope: Envelope


def event_key(*parts: str) -> bytes:
    """The dedup key of an event the service makes itself: the same parts are the same event."""
    return hashlib.blake2b("\x1f".join(parts).encode("utf-8", "replace"), digest_size=DEDUP_BYTES).digest()
