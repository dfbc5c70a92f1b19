"""Everything that is held about one customer, in the clear, for the customer: read in pages and never all at once."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from bot.core.ids import CustomerId
from bot.ports.record import Record

Section = Literal[
    "customer",
    "identities",
    "conversations",
    "messages",
    "model_calls",
    "questions",
    "timers",
    "audit",
    "events",
    "parked",
    "delivery_reports",
    "webhook_deliveries",
]
"""The parts of an export, in its order."""


class ExportedCustomer(Record, frozen=True, kw_only=True):
    """The customer. `merged_ids` are those of customers who turned out to be the same; `state` is what the bot knows to
    go on with the conversation, as it keeps it.
    """

    id: int
    merged_ids: list[int]
    name: str | None
    language: str
    opted_out: bool
    state: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


class ExportedIdentity(Record, frozen=True, kw_only=True):
    """A name under which the customer writes: a phone number, or WhatsApp's business-scoped user id."""

    kind: Literal["phone", "user_id"]
    value: str | None
    since: datetime


class ExportedConversation(Record, frozen=True, kw_only=True):
    """A conversation, with the fields it has everywhere."""

    id: UUID
    session_id: str
    status: str
    current_flow: str
    current_step: str
    language: str
    department: str
    escalation_reason: str | None
    agent: str
    number: str
    created_at: datetime
    updated_at: datetime
    heard_at: datetime
    completed_at: datetime | None
    resolution_time: float | None
    satisfaction_score: int | None


class ExportedMessage(Record, frozen=True, kw_only=True):
    """A message of either direction. `content` is all of it, `text` what a reader sees of it."""

    id: UUID
    conversation_id: UUID
    direction: Literal["inbound", "outbound"]
    message_type: str
    content: Any
    text: str | None
    sender_number: str | None
    recipient_number: str | None
    delivery_status: str
    msg91_message_id: str | None
    failure_reason: str
    agent: str
    is_from_llm: bool
    llm_model_used: str
    llm_cost: float | None
    created_at: datetime
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None


class ExportedModelCall(Record, frozen=True, kw_only=True):
    """What a model was asked to do: its tokens, seconds and US dollars. The words are among the messages."""

    id: UUID
    conversation_id: UUID
    outcome: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    estimated: bool
    attempts: int
    seconds: float
    created_at: datetime


class ExportedQuestion(Record, frozen=True, kw_only=True):
    """A question that a model has not answered yet, with what is sent along."""

    id: UUID
    question: Any
    created_at: datetime


class ExportedTimer(Record, frozen=True, kw_only=True):
    """Something that happens to the conversation by itself."""

    kind: str
    due_at: datetime


class ExportedDeed(Record, frozen=True, kw_only=True):
    """Who did what about the customer. `note` is what they wrote beside it."""

    id: int
    action: str
    by: str
    conversation_id: UUID | None
    detail: str
    note: str | None
    created_at: datetime


class ExportedEvent(Record, frozen=True, kw_only=True):
    """A row of the journal that is still kept. `event` is null when nobody can read it."""

    seq: int
    kind: str
    event: Any
    accepted_at: datetime
    applied_at: datetime | None


class ExportedParking(Record, frozen=True, kw_only=True):
    """Why the customer's next event waits for a person."""

    error: str
    attempts: int
    parked_at: datetime


class ExportedReport(Record, frozen=True, kw_only=True):
    """A delivery report for the customer's number that belongs to no message we know."""

    msg91_message_id: str | None
    status: str
    reason: str
    code: int
    reported_at: datetime
    received_at: datetime


class ExportedDelivery(Record, frozen=True, kw_only=True):
    """What one of the company's own systems was told about the customer. `body` is null when it is not readable."""

    id: int
    endpoint_id: UUID
    event_id: UUID
    type: str
    conversation_id: UUID | None
    body: Any
    status: str
    attempts: int
    created_at: datetime
    finished_at: datetime | None


class Page(Record, frozen=True, kw_only=True):
    """Some items of a section. Sections come in their order, each with one page at least; the first has one item."""

    section: Section
    items: Sequence[Record]


class Export(Record, frozen=True, kw_only=True):
    """What is held about `customer`, in pages that are read as they are asked for."""

    customer: CustomerId
    pages: AsyncIterator[Page]


class Exports(Protocol):
    async def export(self, phone: str) -> Export | None:
        """Everything that is held about the customer with this number and those they absorbed; None when nobody has it.

        What happens meanwhile may be among it or not. Raises `Unavailable`, also between pages.
        """
        ...
