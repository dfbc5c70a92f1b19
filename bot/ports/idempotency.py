"""Answers that were given, kept for callers who did not get them and ask again under the same key."""

from collections.abc import Sequence
from typing import Protocol

from bot.ports.record import Record


class Remembered(Record, frozen=True, kw_only=True):
    """What a call was answered. `same`: it asked for the same thing as the one that asks now."""

    status: int
    answer: bytes
    same: bool


class Idempotency(Protocol):
    """`call` names a call (who, what, which key), `request` says what it asks for. Neither is kept readable."""

    async def recall(self, call: str, request: str) -> Remembered | None:
        """What this call was answered; None when it is not finished, was never made, or too long ago."""
        ...

    async def remember(self, call: str, request: str, status: int, answer: bytes, phones: Sequence[str]) -> None:
        """Keep the answer of a finished call; what was kept before stays. `phones` are the numbers in the answer."""
        ...
