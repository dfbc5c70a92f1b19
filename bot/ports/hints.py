"""Hints: what one replica tells another so that it need not wait for the sweep. Speed only."""

from collections.abc import Sequence
from typing import Protocol

from bot.ports.record import Record


class Hint(Record, frozen=True, kw_only=True):
    """`to` is the replica that should hear `words`, bytes that only the runtime understands."""

    to: str
    words: bytes


class Hints(Protocol):
    """Hints may be lost, come late, twice, or in another order: nothing may rest on them."""

    async def send(self, hints: Sequence[Hint]) -> None:
        """Raises `Unavailable`; nobody repeats it."""
        ...

    async def receive(self, wait: float) -> Sequence[bytes]:
        """The words sent to this replica since the last call, after at most `wait` seconds; none is a normal answer.
        Raises `Unavailable`.
        """
        ...
