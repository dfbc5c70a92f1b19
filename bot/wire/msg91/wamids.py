"""WhatsApp message ids as MSG91 hands them on: the same id may come bare or with a word behind it."""

import re
from typing import Final

from bot.wire.msg91.fields import identifier

_SUFFIX: Final = re.compile(r"_[A-Za-z]+$")
_KNOWN_SUFFIXES: Final = ("_callback", "_hello")


def bare_id(value: object) -> str:
    """The id without MSG91's suffix (`wamid.XXXX_callback`).

    A wamid is plain base64, so any word behind an underscore is a suffix; from other ids only the known ones go.
    """
    name = identifier(value)
    if "_" not in name:
        return name
    if name.startswith("wamid."):
        return _SUFFIX.sub("", name)
    return next((name.removesuffix(end) for end in _KNOWN_SUFFIXES if name.endswith(end)), name)


def has_suffix(value: object) -> bool:
    """Whether MSG91 put a word behind the id, which it does for messages of customers only."""
    return bare_id(value) != identifier(value)
