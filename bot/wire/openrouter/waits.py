"""How long an error asks us to wait, in seconds from now, wherever it says so."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from bot.wire.openrouter import untrusted

_LONGEST = 32 * 86_400.0


def retry_after(fields: Mapping[str, str], error: Mapping[str, object], now: float) -> float | None:
    """The first hint of: the header, the body's copy of it, `availability`, the end of a rate or spending limit.

    Args:
        fields: HTTP headers, names in lower case.
        error: the error object of the body, may be empty.
        now: unix seconds.
    """
    metadata = untrusted.mapping(error.get("metadata"))
    copied = {str(name).lower(): str(value) for name, value in untrusted.mapping(metadata.get("headers")).items()}
    availability = untrusted.mapping(error.get("availability")) or untrusted.mapping(metadata.get("availability"))
    hints = (
        _from_header(fields, now),
        _from_header(copied, now),
        untrusted.seconds(availability.get("retry_after")),
        _from_reset(fields, now),
        _from_reset(copied, now),
        _from_instant(error.get("resets_at") or metadata.get("resets_at"), now),
    )
    found = next((hint for hint in hints if hint is not None), None)
    return None if found is None else min(found, _LONGEST)


def _from_header(fields: Mapping[str, str], now: float) -> float | None:
    """`retry-after-ms`, or `Retry-After` as seconds, a fraction of them, or an HTTP date."""
    milliseconds = untrusted.seconds(fields.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = fields.get("retry-after", "")
    seconds = untrusted.seconds(value)
    return _until_date(value, now) if seconds is None and value else seconds


def _until_date(value: str, now: float) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(value).replace(tzinfo=UTC).timestamp() - now)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _from_reset(fields: Mapping[str, str], now: float) -> float | None:
    """`X-RateLimit-Reset`: unix milliseconds."""
    reset = untrusted.seconds(fields.get("x-ratelimit-reset"))
    return None if reset is None else max(0.0, reset / 1000 - now)


def _from_instant(value: object, now: float) -> float | None:
    """`resets_at`: an ISO 8601 instant, UTC where it names no zone."""
    try:
        instant = datetime.fromisoformat(untrusted.text(value))
        return max(0.0, (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return None
