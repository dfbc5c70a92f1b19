"""Identifiers, and how new ones come about without a clock or chance: from the envelope that caused them."""

from typing import NewType

CustomerId = NewType("CustomerId", int)
"""`users.id`: one customer, whatever identities they write under; also the key of their actor."""
ConversationId = NewType("ConversationId", str)
"""`conversations.id`, a UUID: from the first message to resolution or `CONVERSATION_TIMEOUT`."""
MessageId = NewType("MessageId", str)
"""`messages.id`, a UUID; sent to the provider as `crqid`, so that its reports name it."""
EffectId = NewType("EffectId", str)
TimerId = NewType("TimerId", str)
JournalSeq = NewType("JournalSeq", int)
"""`journal.seq`: the order of acceptance of a customer's events."""

_MIX = 0x9E3779B97F4A7C15
_MASK_62 = (1 << 62) - 1


def new_id(at: float, seed: int, index: int) -> str:
    """A UUID of version 7 (RFC 9562) that depends on nothing but its arguments.

    Args:
        at: unix seconds of the envelope; gives the time prefix, so that rows land near each other.
        seed: 64 random bits of the envelope.
        index: position among the ids this envelope makes, 0 to 4095.
    """
    tail = (seed ^ (index * _MIX)) & _MASK_62
    milliseconds = int(at * 1000)
    return "%08x-%04x-7%03x-%04x-%012x" % (  # noqa: UP031 - a third faster than any other way, and on the hot path
        milliseconds >> 16 & 0xFFFFFFFF,
        milliseconds & 0xFFFF,
        index & 0xFFF,
        0x8000 | tail >> 48,
        tail & 0xFFFFFFFFFFFF,
    )
