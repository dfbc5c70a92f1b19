"""Who a sender is: customers and their identities."""

from collections.abc import Callable, Sequence
from typing import Protocol

from bot.core.events import Sender
from bot.core.ids import ConversationId, CustomerId
from bot.ports.journal import Entry
from bot.ports.record import Record


class Merge(Record, frozen=True, kw_only=True):
    """Two customers turned out to be one: `absorbed` is now part of `kept`."""

    kept: CustomerId
    absorbed: CustomerId
    held_by_person: bool
    department: str


class Directory(Protocol):
    """Who a sender is. A customer is made at the first sight of an identity and merged when a sender carries two."""

    async def resolve(self, senders: Sequence[Sender], announce: Callable[[Merge], Entry]) -> Sequence[CustomerId]:
        """The customer of each sender, in the order given.

        A merge is one transaction: identities and unread journal rows move to the kept customer, the absorbed one's
        open conversation is closed, the audit log says so, and the entry that `announce` makes is journalled.
        """
        ...

    async def known(self, sender: Sender) -> CustomerId | None:
        """The customer of an identity, if there is one."""
        ...

    async def holder(self, conversation: ConversationId) -> CustomerId | None:
        """Whose conversation this is; of a merged customer, the one who absorbed them."""
        ...

    async def redirect(self, absorbed: CustomerId, kept: CustomerId) -> None:
        """Move unread journal rows that were accepted for an absorbed customer after the merge."""
        ...
