"""Answers that are kept in memory, for tests of the web layer."""

from collections.abc import Sequence

import msgspec

from bot.ports.failures import Unavailable
from bot.ports.idempotency import Remembered


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    request: str
    status: int
    answer: bytes
    phones: frozenset[str]


class MemoryIdempotency:
    """`Idempotency` that keeps everything; while `full` it takes nothing more."""

    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}
        self.full = False

    async def recall(self, call: str, request: str) -> Remembered | None:
        kept = self.kept.get(call)
        if kept is None:
            return None
        return Remembered(status=kept.status, answer=kept.answer, same=kept.request == request)

    async def remember(self, call: str, request: str, status: int, answer: bytes, phones: Sequence[str]) -> None:
        if self.full:
            raise Unavailable("away")
        kept = Kept(request=request, status=status, answer=answer, phones=frozenset(phones))
        self.kept.setdefault(call, kept)
