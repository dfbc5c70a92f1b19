"""When two events are the same event: 16 bytes to compare, the same on every replica and after every restart."""

from hashlib import blake2b
from typing import Final

import msgspec

from bot.core.events import MessageReceived
from bot.wire.msg91.reports import DeliveryReport

KEY_LENGTH: Final = 16


def dedup_key(event: MessageReceived, accepted_at: float | None = None) -> bytes:
    """The identity of a customer's message: the provider's id, else who wrote what when.

    A message with neither id nor time of its own cannot be told from a repetition of the same words. Give
    `accepted_at` (unix seconds) to have every such call counted as a message of its own; without it the second is lost.
    """
    if event.provider_id:
        return _digest(b"m", event.provider_id.encode())
    at = accepted_at if event.sent_at is None else event.sent_at
    writer = event.sender.phone or event.sender.user_id
    return _digest(b"c", msgspec.msgpack.encode((writer, event.content, at)))


def report_key(report: DeliveryReport) -> bytes:
    """The identity of a report: which message, and which status; a repetition at another time is the same report."""
    if report.provider_id:
        return _digest(b"p", _joined(report.provider_id, report.status))
    if report.request_id and report.recipient:
        return _digest(b"r", _joined(report.request_id, report.recipient, report.status))
    return _digest(b"o", _joined(report.message_id, report.request_id, report.status))


def _digest(kind: bytes, data: bytes) -> bytes:
    return blake2b(data, digest_size=KEY_LENGTH, person=kind).digest()


def _joined(*parts: str) -> bytes:
    return "\0".join(parts).encode()
