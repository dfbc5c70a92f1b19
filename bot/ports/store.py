"""The state of every customer, and the one write that changes it with all that follows from it (P4)."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from bot.core.ids import ConversationId, CustomerId, EffectId, JournalSeq, MessageId, TimerId
from bot.ports.record import Record


class Loaded(Record, frozen=True, kw_only=True):
    """A customer as stored. `state` is sealed, None before the first commit and after an operator gave it up.

    `erased`: the key was destroyed, and nothing of theirs is readable. `merged_into` says who absorbed them; `language`
    and `opted_out` are what the customer's row shows beside the state.
    """

    version: int
    state: bytes | None
    data_key: bytes
    merged_into: CustomerId | None = None
    language: str = ""
    opted_out: bool = False
    parked: bool = False
    erased: bool = False


class ConversationRow(Record, frozen=True, kw_only=True):
    """A projection of the state for lists and reports; times are unix seconds. `escalation_reason` is sealed or
    empty.
    """

    id: ConversationId
    session_id: str
    status: str
    current_flow: str
    current_step: str
    language: str
    escalation_reason: bytes
    department: str
    agent: str
    number: str
    created_at: float
    updated_at: float
    heard_at: float
    completed_at: float | None = None
    resolution_time: float | None = None


class MessageRow(Record, frozen=True, kw_only=True):
    """One message of either direction; an outbound one with `delivery_status` `pending` or `sending` is in the outbox.

    `content`, `sender_number` and `recipient_number` are sealed under the customer's key. `claimed_by` is the replica
    that will perform the send. `caused_at`: when the message it answers was accepted.
    """

    id: MessageId
    conversation: ConversationId
    direction: Literal["inbound", "outbound"]
    message_type: str
    content: bytes
    sender_number: bytes
    recipient_number: bytes
    delivery_status: str
    kind: str
    at: float
    caused_at: float
    provider_id: str = ""
    number: str = ""
    claimed_by: str = ""
    agent: str = ""
    unanswered: str = ""
    is_from_llm: bool = False
    llm_model_used: str = ""
    llm_cost: float | None = None
    llm_cost_estimated: bool = False


class EffectRow(Record, frozen=True, kw_only=True):
    """An effect whose outcome comes back as an event; `sealed` under the customer's key."""

    id: EffectId
    kind: str
    sealed: bytes
    claimed_by: str


class TimerRow(Record, frozen=True, kw_only=True):
    id: TimerId
    kind: str
    due: float


class AuditRow(Record, frozen=True, kw_only=True):
    action: str
    by: str
    at: float
    detail: str
    conversation: ConversationId | None = None
    note: bytes = b""
    """What a person wrote about it, sealed; empty: nothing."""


class AnnouncementRow(Record, frozen=True, kw_only=True):
    """An event that endpoints of outgoing webhooks may want; `sealed` is the body under the customer's key."""

    id: str
    type: str
    conversation: ConversationId | None
    sealed: bytes
    at: float


class CustomerFacts(Record, frozen=True, kw_only=True):
    """What the customer's row shows beside the state: sealed name, language, opt-out and search words' fingerprints."""

    name: bytes
    language: str
    opted_out: bool
    search: tuple[bytes, ...]


class Write(Record, frozen=True, kw_only=True):
    """All that one step, or several in a row, of one customer changes. It takes effect whole or not at all.

    Guards: the stored version is `version`, and every journal row of `consumed` is still unconsumed. `commit_id` (64
    random bits) lets a repeated write recognise itself. `closed` conversations are rows as well, with `completed_at`.
    """

    customer: CustomerId
    version: int
    commit_id: int
    state: bytes
    consumed: tuple[JournalSeq, ...]
    at: float
    conversations: tuple[ConversationRow, ...] = ()
    messages: tuple[MessageRow, ...] = ()
    effects: tuple[EffectRow, ...] = ()
    done_effects: tuple[EffectId, ...] = ()
    timers: tuple[TimerRow, ...] = ()
    stopped_timers: tuple[TimerId, ...] = ()
    audit: tuple[AuditRow, ...] = ()
    facts: CustomerFacts | None = None
    announcements: tuple[AnnouncementRow, ...] = ()


class Store(Protocol):
    async def load(self, customers: Sequence[CustomerId]) -> Mapping[CustomerId, Loaded]: ...

    async def commit(self, writes: Sequence[Write]) -> Sequence[bool]:
        """Whether each write took effect; False means stale: somebody else was first, or a row before its rows waits.

        One atomic statement for all; a stale write leaves its neighbours alone. Repeating the call after `Unavailable`
        is safe: a write that took effect the first time is True the second time.
        """
        ...
