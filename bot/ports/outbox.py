"""Messages on their way out: claims, what became of attempts, and delivery reports (P5)."""

from collections.abc import Sequence
from typing import Literal, Protocol

from bot.core.ids import ConversationId, CustomerId, MessageId
from bot.ports.record import Record
from bot.wire.msg91.reports import DeliveryReport


class SendNote(Record, frozen=True, kw_only=True):
    """What became of an attempt to send. `status` `pending` with `retry_at` means: not sent, to be tried again then."""

    id: MessageId
    status: Literal["pending", "sending", "sent", "failed"]
    at: float
    provider_id: str = ""
    request_id: str = ""
    reason: str = ""
    code: int = 0
    attempts: int = 0
    retry_at: float | None = None
    processing_time: float | None = None


class Orphan(Record, frozen=True, kw_only=True):
    """An outbound message whose replica is gone, claimed by us now. `uncertain`: it may have been sent already."""

    id: MessageId
    customer: CustomerId
    conversation: ConversationId
    data_key: bytes
    content: bytes
    recipient_number: bytes
    number: str
    kind: str
    caused_at: float
    created_at: float
    attempts: int
    uncertain: bool
    retry_at: float | None = None


class FailedReport(Record, frozen=True, kw_only=True):
    """A report that turned a message into `failed`; the runtime journals `SendFailed` for it."""

    message: MessageId
    customer: CustomerId
    reason: str
    code: int


class ReportResult(Record, frozen=True, kw_only=True):
    """What a batch of reports changed. `repeated` says of each, in the order given, whether it had been seen before;
    `failed` are told again when they are reported again; `accepted_messages` certainly reached the provider.
    """

    repeated: tuple[bool, ...]
    failed: tuple[FailedReport, ...]
    accepted_messages: tuple[MessageId, ...]


class Outbox(Protocol):
    async def note(self, notes: Sequence[SendNote]) -> Sequence[FailedReport]:
        """Record outcomes in order. A status never goes backwards; repeating is safe.

        A report that arrived before the provider's answer was noted is applied here; those that failed come back.
        """
        ...

    async def settle(self) -> Sequence[FailedReport]:
        """Apply reports that were written at the same moment as the note they waited for. For the sweep."""
        ...

    async def report(self, reports: Sequence[DeliveryReport], at: float) -> ReportResult:
        """Durable when it returns, whether a message was matched or not."""
        ...

    async def orphans(self, me: str, limit: int, *, turn: int, since: int | None = None) -> Sequence[Orphan]:
        """Claim messages of other replicas that are gone: whole conversations, in order, skipping what others hold.

        `turn` rises with every call that claims in the name of `me`: one that was under way so long that it takes
        effect after a later one claims nothing. `since` is the first of the calls before this one whose answers were
        lost: what they claimed is given again.
        """
        ...

    async def behind(
        self, me: str, customers: Sequence[CustomerId], *, claiming: int | None = None
    ) -> Sequence[CustomerId]:
        """Those of `customers` with unsent messages that are not claimed by `me`: new ones have to line up.

        `claiming` is the turn of the first call of `orphans` without an answer: what was claimed from there on counts
        as another's.
        """
        ...

    async def let_go(self, me: str, ids: Sequence[MessageId]) -> None:
        """Those of `ids` that are still claimed by `me` are anybody's from now on."""
        ...

    async def still_mine(self, me: str, ids: Sequence[MessageId]) -> Sequence[MessageId]:
        """Those of `ids` that are still claimed by `me`, their claims confirmed.

        What somebody else has claimed comes first: a message of ours behind such a one is given up, and is anybody's.
        """
        ...
