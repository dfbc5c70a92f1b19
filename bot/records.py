"""What administrators read and do, as values and two ports: `Records` reads, `Desk` acts.

These structs are the answers of the REST API word for word: their fields are its JSON, their annotations its OpenAPI
document. Times are UTC. What was sealed under the key of an erased customer is null, with `erased` true.
Both ports raise `bot.ports.failures.Unavailable` when a store cannot be reached or is too slow.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Protocol

import msgspec

from bot.core.events import (
    AgentAssigned,
    AgentReplied,
    ConversationResolved,
    EscalationRequested,
    PreferencesChanged,
    ReturnedToBot,
)
from bot.core.ids import ConversationId, MessageId
from bot.core.messages import Inbound, Outbound
from bot.core.modes import Mode

DeliveryStatus = Literal["received", "pending", "sending", "sent", "delivered", "read", "failed", "withheld"]
"""`received` is a customer's message; `withheld` a model's answer that came after a person took over."""

Deed = AgentReplied | AgentAssigned | EscalationRequested | ConversationResolved | ReturnedToBot
"""What somebody may do to a conversation."""

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time that knows its zone: UTC."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The root of what is answered to administrators."""


# --- reading ---------------------------------------------------------------------------------------------------------


class ConversationRecord(Answer, frozen=True, kw_only=True):
    """A conversation: `user_id` is WhatsApp's business-scoped id, `number` our number, `resolution_time` seconds.

    `status` says who holds it: flows (`bot`), a model, the `queue` for a person, an `agent`, nobody (`closed`).
    """

    id: ConversationId
    session_id: str
    phone_number: str | None
    user_id: str | None
    name: str | None
    erased: bool
    status: Mode
    current_flow: str
    current_step: str
    language: str
    department: str
    escalation_reason: str
    agent: str
    number: str
    created_at: Moment
    updated_at: Moment
    heard_at: Moment
    """When the customer last wrote."""
    completed_at: Moment | None
    resolution_time: float | None
    satisfaction_score: int | None
    last_message: str | None
    """The beginning of the newest message of either side."""


class MessageRecord(Answer, frozen=True, kw_only=True):
    """A message of either direction. `text` is what a reader sees of `content`; `processing_time` is seconds.

    `seq` rises within a conversation. `unanswered` says why the bot decided not to answer.
    """

    id: MessageId
    seq: int
    conversation_id: ConversationId
    direction: Literal["inbound", "outbound"]
    message_type: str
    kind: str
    content: Inbound | Outbound | None
    text: str | None
    erased: bool
    sender_number: str | None
    recipient_number: str | None
    delivery_status: DeliveryStatus
    msg91_message_id: str | None
    failure_reason: str
    failure_code: int
    is_from_llm: bool
    llm_model_used: str
    llm_cost: float | None
    processing_time: float | None
    agent: str
    unanswered: str
    created_at: Moment
    sent_at: Moment | None
    delivered_at: Moment | None
    read_at: Moment | None


class ModelTotals(Answer, frozen=True, kw_only=True):
    """What models were asked and cost, in US dollars; `estimated` when any of it was not told by the provider."""

    calls: int
    tokens: int
    cost_usd: float
    estimated: bool


class UserRecord(Answer, frozen=True, kw_only=True):
    """A customer. `user_id` is WhatsApp's business-scoped id; `conversation_id` the newest conversation."""

    phone_number: str | None
    user_id: str | None
    name: str | None
    erased: bool
    language: str
    opted_out: bool
    conversation_id: ConversationId | None
    conversations: int
    created_at: Moment
    updated_at: Moment


class ParkedRecord(Answer, frozen=True, kw_only=True):
    """A customer whose next event cannot be worked off: nothing of theirs goes on until somebody decides."""

    id: int
    phone_number: str | None
    user_id: str | None
    name: str | None
    erased: bool
    conversation_id: ConversationId | None
    event: str
    """What kind of event it is; empty when its row is gone."""
    error: str
    attempts: int
    parked_at: Moment


class QuarantineRecord(Answer, frozen=True, kw_only=True):
    """A webhook body that was the provider's but could not be used. `body` is null when its key is gone."""

    id: int
    reason: str
    body: str | None
    received_at: Moment


class AuditRecord(Answer, frozen=True, kw_only=True):
    """Who did what. `note` is what a person wrote about it; `phone_number` is that of the customer it was about."""

    id: int
    action: str
    by: str
    phone_number: str | None
    conversation_id: ConversationId | None
    detail: str
    note: str | None
    erased: bool
    created_at: Moment


class ConversationStats(Answer, frozen=True, kw_only=True):
    """Conversations that began in the time asked for, and what has become of them since.

    `contained` were closed without ever being handed to a person. Averages are null when there is nothing to average.
    """

    started: int
    open: int
    closed: int
    handed_to_person: int
    contained: int
    average_resolution_seconds: float | None
    average_satisfaction: float | None


class MessageStats(Answer, frozen=True, kw_only=True):
    """Messages of that time. `average_reply_seconds`: from the accepted webhook to the provider's acceptance."""

    inbound: int
    outbound: int
    from_model: int
    by_status: dict[DeliveryStatus, int]
    average_reply_seconds: float | None


class Stats(Answer, frozen=True, kw_only=True):
    """Numbers from `since` (included) to `until` (excluded)."""

    since: Moment = msgspec.field(name="from")
    until: Moment = msgspec.field(name="to")
    conversations: ConversationStats
    messages: MessageStats
    model: ModelTotals


class AuditWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines of the audit log: those that fit everything that is not None. `phone` is digits with country code."""

    action: str | None = None
    by: str | None = None
    phone: str | None = None
    conversation: ConversationId | None = None
    since: datetime | None = None
    until: datetime | None = None


class Records(Protocol):
    """Reading. Lists give at most `limit`, the latest first; `after` is the id of the last one seen."""

    async def conversations(
        self, *, status: Mode | None, words: Sequence[str] | None, after: ConversationId | None, limit: int
    ) -> Sequence[ConversationRecord]:
        """The one begun last first. `words` are of `core.search.query_words`, all of which must fit; None fits all."""
        ...

    async def conversation(self, conversation: ConversationId) -> ConversationRecord | None: ...

    async def transcript(
        self, conversation: ConversationId, *, before: int | None, limit: int
    ) -> Sequence[MessageRecord]:
        """The newest messages whose `seq` is below `before`, in the order in which they were said."""
        ...

    async def model_use(self, conversation: ConversationId) -> ModelTotals: ...

    async def message(self, message: MessageId) -> MessageRecord | None: ...

    async def user(self, phone: str) -> UserRecord | None:
        """`phone` is digits with country code. A customer who was merged is shown as the one who absorbed them."""
        ...

    async def parked(self, *, after: int | None, limit: int) -> Sequence[ParkedRecord]: ...

    async def quarantine(self, *, after: int | None, limit: int) -> Sequence[QuarantineRecord]: ...

    async def audit(
        self, wanted: AuditWanted, *, after: tuple[datetime, int] | None, limit: int
    ) -> Sequence[AuditRecord]:
        """`after` is time and id of the last line seen."""
        ...

    async def stats(self, since: datetime, until: datetime) -> Stats: ...


# --- acting ----------------------------------------------------------------------------------------------------------


class ActResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a deed. `reason` is a sentence for the caller when it was refused; `messages` were made to send.

    `pending`: it is journalled and will be done, but not within the time the caller is kept waiting.
    """

    status: Literal["done", "refused", "not_found", "pending"]
    reason: str = ""
    messages: tuple[MessageId, ...] = ()


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a bulk send. `phone` is digits with country code."""

    phone: str
    content: Outbound


class FlowSummary(Answer, frozen=True, kw_only=True):
    """A flow in force. `digest` names its version; `steps` counts its operations."""

    flow_id: str
    version: int
    priority: int
    steps: int
    digest: str


class Desk(Protocol):
    """Acting. What is `done`, `refused` or `pending` under a `key` stays so: the key again has no second effect.

    A key counts for the subject it came with: the same key for another conversation is another deed.
    """

    async def act(self, conversation: ConversationId, deed: Deed, *, key: str) -> ActResult:
        """Journal `deed` for the conversation's customer and wait, within bounds, until it was stepped.

        Refused when the table of modes does not allow it, or when the conversation is not the customer's present one.
        """
        ...

    async def change(self, phone: str, preferences: PreferencesChanged, *, key: str) -> ActResult:
        """As `act`, for the customer with this number; `not_found` when nobody has it."""
        ...

    async def send(self, phone: str, content: Outbound, *, by: str, key: str) -> ActResult:
        """Write to a number, known or not, without taking its conversation; refused when the customer opted out."""
        ...

    async def send_many(self, notices: Sequence[Notice], *, by: str, key: str) -> Sequence[ActResult | None]:
        """As `send`, to many, giving way to customers who write; what became of each, in order.

        None: it was not taken in time; `key` again goes on there, and sends to nobody twice.
        """
        ...

    async def reload_flows(self) -> Sequence[str]:
        """Problems, a line each; without any the files are in force, with some the flows stay as they were."""
        ...

    def flows(self) -> Sequence[FlowSummary]: ...

    async def retry_parked(self, parked: int, *, by: str = "operator") -> bool:
        """Let the parked event be tried again, with a line in the audit log; False when there is no such id."""
        ...

    async def discard_parked(self, parked: int, *, by: str = "operator") -> bool:
        """Give the parked event up, with a line in the audit log; False when there is no such id."""
        ...
