"""A reason that may be logged and shown to operators.

Error bodies quote customers, accounts and keys; reasons do not.
"""

import re
from collections.abc import Mapping

from bot.wire.openrouter import untrusted
from bot.wire.openrouter.errors import ErrorBody

_IDENTITIES = re.compile(r"\b(?:user_|org_|sk-)[\w.-]*")
_WORD = re.compile(r"[\w .:/-]{1,60}")
_LONGEST = 200


def safe_reason(body: ErrorBody, error: Mapping[str, object]) -> str:
    """Status, codes and provider, and OpenRouter's own message unless it repeats what a customer or provider said."""
    codes = (body.error_type, body.availability, body.limit_source, body.reason, body.provider)
    named = [code for code in codes if _WORD.fullmatch(code) and not code.isdigit()]
    parts = [str(body.status or "no status"), *dict.fromkeys(named)]
    message = _IDENTITIES.sub("(hidden)", " ".join(body.message.split()))[:_LONGEST]
    return ", ".join(parts) + (f": {message}" if message and not _quotes(body, error) else "")


def _quotes(body: ErrorBody, error: Mapping[str, object]) -> bool:
    """Whether the message could carry words that are not OpenRouter's."""
    metadata = untrusted.mapping(error.get("metadata"))
    quoted = [
        untrusted.text(metadata.get("flagged_input")),
        *map(untrusted.text, untrusted.items(metadata.get("patterns"))),
    ]
    return body.relayed or "prompt" in body.error_type or any(words and words in body.message for words in quoted)
