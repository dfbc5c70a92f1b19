"""The erasure of a customer in the store: begun in one transaction, worked off in batches, finished when all know."""

from collections.abc import Mapping, Sequence
from typing import Literal, NewType, Protocol

from bot.core.ids import CustomerId, JournalSeq
from bot.ports.journal import Unread
from bot.ports.record import Record

ErasureId = NewType("ErasureId", int)
"""`erasures.id`."""


class Erasure(Record, frozen=True, kw_only=True):
    """`customers` are one person: who was asked for and whom they had absorbed. `sought` holds their identities, sealed
    by the service, until the erasure is finished. `worked_off`: only replicas may have to hear of it still.
    """

    id: ErasureId
    customers: tuple[CustomerId, ...]
    sought: bytes = b""
    worked_off: bool = False


class ErasureReport(Record, frozen=True, kw_only=True):
    """How far an erasure is. `pending`: nothing readable is left in the tables of the customer themselves, and no
    message goes out any more; the rest is being looked through, or a replica has not let go of its memory yet.

    `events` are rows of the journal, `cancelled` messages that were never sent, `quarantined` unusable bodies that
    named the customer.
    """

    status: Literal["done", "pending"]
    conversations: int
    messages: int
    events: int
    cancelled: int
    quarantined: int


class Erasures(Protocol):
    """Every call may be repeated after `Unavailable`."""

    async def begin(self, phone: str, *, key: bytes, by: str, at: float) -> Erasure | None:
        """Destroy the data key of the customer with this number and all that lives of them, with a line in the audit
        log; None when nobody has the number. The version rises, so that whoever steps them is stale, and a message
        after that begins a new customer.

        `key` names the call: of the same call again this is the erasure that it began.
        """
        ...

    async def work_off(self, erasure: Erasure) -> None:
        """Empty or delete, in batches, what the customer's key does not cover. Safe to do twice, also side by side."""
        ...

    async def report(self, key: bytes) -> ErasureReport | None:
        """How far the erasure of this key is."""
        ...

    async def take_up(self, silent_for: float) -> Erasure | None:
        """One that is not worked off and at which nobody has worked for so many seconds; it counts as ours now."""
        ...

    async def unheard(self, me: str) -> Sequence[Erasure]:
        """Those that this replica has not told to have heard of."""
        ...

    async def hear(self, me: str, erasures: Sequence[Erasure]) -> None:
        """This replica holds nothing of these customers any more, in memory or in Redis."""
        ...

    async def finish(self) -> None:
        """Those that are worked off and that every living replica has heard of are done: nothing is looked for any
        more.
        """
        ...

    async def strays(self, customer: CustomerId, limit: int) -> Sequence[Unread]:
        """The first events that were journalled for an erased customer after the erasure."""
        ...

    async def settle(
        self, customer: CustomerId, moved: Mapping[JournalSeq, CustomerId], dropped: Sequence[JournalSeq], at: float
    ) -> None:
        """Hand events of an erased customer to those they begin anew with, and empty those that nobody will hear."""
        ...


class Erasing(Protocol):
    """What callers ask for."""

    async def erase(self, phone: str, *, by: str, key: str) -> ErasureReport | None:
        """Erase the customer with this number; None when there is none. With a key that was used before: what became
        of that call. Raises `Unavailable`.
        """
        ...
