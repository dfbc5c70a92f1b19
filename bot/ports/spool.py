"""The spool: where accepted webhooks wait, in order, while the journal cannot take them (P8)."""

from collections.abc import Sequence
from typing import Protocol

from bot.ports.record import Record


class Spooled(Record, frozen=True, kw_only=True):
    """One sealed delivery that waits. `id` is its place: ids rise in the order of `push`."""

    id: str
    sealed: bytes


class Spool(Protocol):
    """One queue that all replicas share. Every call raises `Unavailable` when it cannot be reached."""

    async def waiting(self) -> int:
        """How many deliveries wait. While it is not 0, what is accepted next has to queue behind them."""
        ...

    async def push(self, sealed: Sequence[bytes]) -> None:
        """Line these up behind all that wait. They are as durable as the spool when it returns; after `Unavailable`
        they may be there or not, and pushing them again is safe, because the journal knows an event by its key.
        """
        ...

    async def first(self, limit: int) -> Sequence[Spooled]:
        """The first `limit` deliveries, oldest first; they stay until they are removed."""
        ...

    async def remove(self, ids: Sequence[str]) -> None:
        """Forget these: they are in the journal. One that is gone already is no error."""
        ...

    async def claim(self, me: str, seconds: float) -> bool:
        """Whether it is for `me` to work the spool off for the next `seconds`. It spares work and nothing else: two
        that work it off from its head at the same time do no harm.
        """
        ...
