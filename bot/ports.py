"""The words between the edge and the middle: what the runtime needs of the stores and the providers, each with its
promise.

Calls take batches, because the runtime groups its work; an implementation makes a constant number of round trips of
each.
A store that cannot be reached, refuses or is too slow raises `Unavailable`; a value it will not take raises
`Unacceptable`.
No driver's exception leaves its adapter.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from bot.core.effects import AskModel
from bot.core.events import ModelAnswered, ModelFailed, Sender
from bot.core.ids import ConversationId, CustomerId, EffectId, JournalSeq, MessageId, TimerId
from bot.core.messages import Outbound
from bot.wire.msg91.outcomes import SendOutcome
from bot.wire.msg91.reports import DeliveryReport


class Unavailable(Exception):
    """The store cannot be reached or did not answer in time; whether the call took effect is not known."""


class Unacceptable(Exception):
    """The store refuses what it was given; the same value will be refused again."""


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The root of the rows that cross a port."""


# --- keys ------------------------------------------------------------------------------------------------------------


class Sealer(Protocol):
    """Authenticated encryption under one key. `context` must be the same for both calls."""

    def seal(self, plain: bytes, context: bytes = b"") -> bytes: ...

    def open(self, sealed: bytes, context: bytes = b"") -> bytes:
        """Raise `ValueError` when `sealed` was not made by this key with this context."""
        ...


class Vault(Sealer, Protocol):
    """The service's keys. Seals with the first key of `ENCRYPTION_KEYS` and opens with any."""

    def new_customer_key(self) -> bytes:
        """A fresh data key, wrapped: what `users.data_key` holds."""
        ...

    def customer(self, wrapped: bytes) -> Sealer:
        """The sealer of one customer. Raise `ValueError` when the key was destroyed or is not ours."""
        ...

    def fingerprint(self, kind: str, value: str) -> bytes:
        """A keyed hash (16 bytes) under which an identity or a search word is found again without being readable."""
        ...


# --- accepting -------------------------------------------------------------------------------------------------------


class Entry(Record, frozen=True, kw_only=True):
    """A sealed envelope to journal. `dedup` (16 bytes) names the event: the same event again is not appended."""

    dedup: bytes
    customer: CustomerId
    kind: str
    sealed: bytes
    at: float


class Unread(Record, frozen=True, kw_only=True):
    """A journalled envelope that no commit has consumed."""

    seq: JournalSeq
    dedup: bytes
    sealed: bytes


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


class Backlog(Record, frozen=True, kw_only=True):
    """Journal rows that wait, parked customers aside, and the age in seconds of the oldest."""

    count: int
    oldest_seconds: float


class Journal(Protocol):
    async def append(self, entries: Sequence[Entry]) -> Sequence[JournalSeq | None]:
        """Durable when it returns. None for an entry that was there already. Numbers rise in the order given.

        Appending the same entries again after `Unavailable` is safe.
        """
        ...

    async def unread(self, customers: Sequence[CustomerId], limit: int) -> Mapping[CustomerId, Sequence[Unread]]:
        """The first `limit` unconsumed rows of each customer in order of acceptance; a parked customer has none."""
        ...

    async def forgotten(self, older_than: float, limit: int) -> Sequence[CustomerId]:
        """Customers with a row that waits since before `older_than` (unix seconds), oldest first, parked ones aside."""
        ...

    async def backlog(self) -> Backlog: ...


class Quarantined(Record, frozen=True, kw_only=True):
    reason: str
    sealed: bytes
    at: float


class Quarantine(Protocol):
    async def keep(self, bodies: Sequence[Quarantined]) -> None:
        """Durable when it returns."""
        ...


# --- state -----------------------------------------------------------------------------------------------------------


class Loaded(Record, frozen=True, kw_only=True):
    """A customer as stored. `state` is sealed, None before the first commit. `merged_into` says who absorbed them."""

    version: int
    state: bytes | None
    data_key: bytes
    merged_into: CustomerId | None = None


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


class Store(Protocol):
    async def load(self, customers: Sequence[CustomerId]) -> Mapping[CustomerId, Loaded]: ...

    async def commit(self, writes: Sequence[Write]) -> Sequence[bool]:
        """Whether each write took effect; False means stale: somebody else was first, or a row before its rows waits.

        One atomic statement for all; a stale write leaves its neighbours alone. Repeating the call after `Unavailable`
        is safe: a write that took effect the first time is True the second time.
        """
        ...


class Parking(Protocol):
    """Conversations whose event cannot be stepped: they wait for a person, everything else goes on."""

    async def park(self, customer: CustomerId, seq: JournalSeq, error: str, attempts: int, at: float) -> None: ...

    async def release(self, parked: int, *, discard: bool, at: float) -> CustomerId | None:
        """Let the customer go on; `discard` gives the event up, with a line in the audit log. None: no such id."""
        ...


class FlowVersions(Protocol):
    """The sources of flow versions, for conversations that are pinned to one that is no longer in force."""

    async def keep(self, flows: Sequence[tuple[str, str, int, str]]) -> None:
        """Remember (digest, flow id, version, source) of each flow in force."""
        ...

    async def source(self, digest: str) -> str | None: ...


# --- sending ---------------------------------------------------------------------------------------------------------


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

    async def orphans(self, me: str, limit: int, *, token: int) -> Sequence[Orphan]:
        """Claim messages of replicas that are gone: whole conversations, in order, skipping what others hold.

        `token` (63 random bits) names this call: again with the same token, after its answer was lost, it gives what it
        claimed the first time.
        """
        ...

    async def behind(self, me: str, customers: Sequence[CustomerId]) -> Sequence[CustomerId]:
        """Those of `customers` with unsent messages that are not claimed by `me`: new ones have to line up."""
        ...

    async def still_mine(self, me: str, ids: Sequence[MessageId]) -> Sequence[MessageId]:
        """Those of `ids` that are still claimed by `me`, their claims confirmed."""
        ...


class OrphanEffect(Record, frozen=True, kw_only=True):
    id: EffectId
    customer: CustomerId
    data_key: bytes
    sealed: bytes


class ModelCall(Record, frozen=True, kw_only=True):
    """What one question to the models cost, for accounts and caps."""

    id: EffectId
    customer: CustomerId
    conversation: ConversationId
    outcome: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    estimated: bool
    attempts: int
    seconds: float
    generation_id: str
    at: float


class Effects(Protocol):
    async def orphans(self, me: str, limit: int, *, token: int) -> Sequence[OrphanEffect]:
        """Claim effects of replicas that are gone, skipping what others hold. `token` as for messages."""
        ...

    async def account(self, calls: Sequence[ModelCall]) -> None:
        """Record what calls cost; a call is recorded once."""
        ...

    async def spent_since(self, at: float) -> float:
        """US dollars of all calls since `at`."""
        ...


class DueTimer(Record, frozen=True, kw_only=True):
    id: TimerId
    customer: CustomerId
    kind: str


class Timers(Protocol):
    async def due(self, until: float, limit: int) -> Sequence[DueTimer]:
        """Timers due at `until`, earliest first. They stay until the step that heard of them commits."""
        ...


class Replicas(Protocol):
    async def beat(self, me: str, alive_within: float) -> None:
        """Say that `me` lives. A replica that did not for `alive_within` seconds is gone: its claims are orphans."""
        ...

    async def leave(self, me: str) -> None: ...


# --- seats -----------------------------------------------------------------------------------------------------------


class Seat(Record, frozen=True, kw_only=True):
    """The answer to a take. With `granted` the lease is ours and the snapshot, if there was one, comes along."""

    granted: bool
    owner: str = ""
    snapshot: Loaded | None = None


class Keep(Record, frozen=True, kw_only=True):
    customer: CustomerId
    loaded: Loaded


class Seats(Protocol):
    """Leases with snapshots. They are speed only: whatever they say, the version in the store decides."""

    async def take(self, customers: Sequence[CustomerId]) -> Sequence[Seat]: ...

    async def keep(self, keeps: Sequence[Keep]) -> None: ...

    async def leave(self, customers: Sequence[CustomerId]) -> None: ...


# --- the outside -----------------------------------------------------------------------------------------------------


class Channel(Protocol):
    """The provider that carries messages."""

    async def send(self, content: Outbound, *, number: str, recipient: str, reference: str) -> SendOutcome:
        """One attempt; never raises but for cancellation. `reference` comes back in delivery reports."""
        ...


class Model(Protocol):
    async def answer(self, question: AskModel, *, customer_hash: str) -> ModelAnswered | ModelFailed:
        """The chain of models under one deadline; never raises but for cancellation."""
        ...
