"""What the database holds: rows that every replica sees, and the rules by which a row is refused."""

import itertools
from uuid import UUID

import msgspec

from bot.core.delivery import DeliveryStatus
from bot.core.events import Sender
from bot.core.ids import ConversationId, CustomerId, EffectId, JournalSeq, MessageId, TimerId
from bot.ports.effects import ModelCall
from bot.ports.erasures import Erasure
from bot.ports.failures import Unacceptable
from bot.ports.quarantine import Quarantined
from bot.ports.store import AuditRow, ConversationRow, CustomerFacts, EffectRow, MessageRow, TimerRow
from bot.ports.webhooks import DeliveryStatus as HookStatus
from bot.wire.msg91.reports import DeliveryReport


class User(msgspec.Struct, kw_only=True):
    data_key: bytes
    version: int = 0
    commit_id: int = -1
    state: bytes | None = None
    merged_into: CustomerId | None = None
    facts: CustomerFacts | None = None
    opted_out: bool = False
    """What it began with, until the first commit."""
    erased: bool = False


class Event(msgspec.Struct, kw_only=True):
    seq: JournalSeq
    dedup: bytes
    customer: CustomerId
    sealed: bytes
    at: float
    kind: str
    consumed_at: float | None = None
    commit_id: int = -1


class Message(msgspec.Struct, kw_only=True):
    """A row of `messages` with what happens to it later."""

    seq: int
    customer: CustomerId
    row: MessageRow
    status: str
    claimed_by: str
    claimed_until: float | None = None
    claim_token: int = 0
    provider_id: str = ""
    request_id: str = ""
    reason: str = ""
    code: int = 0
    attempts: int = 0
    retry_at: float | None = None
    reported: int = 0


class Effect(msgspec.Struct, kw_only=True):
    customer: CustomerId
    row: EffectRow
    claimed_by: str
    at: float
    done: bool = False
    claim_token: int = 0


class Timer(msgspec.Struct, kw_only=True):
    customer: CustomerId
    row: TimerRow


class Parked(msgspec.Struct, kw_only=True):
    id: int
    seq: JournalSeq
    error: str
    attempts: int


class Replica(msgspec.Struct, kw_only=True):
    seen_at: float
    gone_at: float
    claim_turn: int = 0


class Kept(msgspec.Struct, kw_only=True):
    """A report whose message is not known yet."""

    report: DeliveryReport
    matched: bool = False


class Hook(msgspec.Struct, kw_only=True):
    """An endpoint of outgoing webhooks; `place` is the order in which they were made."""

    url: str
    events: tuple[str, ...]
    description: str
    secret: bytes
    created_at: float
    place: int
    old_secret: bytes = b""
    old_secret_until: float = 0.0
    active: bool = True
    failures: int = 0
    failing_since: float | None = None
    hold_until: float | None = None
    disabled_at: float | None = None
    disabled_reason: str = ""


class HookDelivery(msgspec.Struct, kw_only=True):
    id: int
    endpoint: str
    event: str
    type: str
    customer: CustomerId | None
    conversation: ConversationId | None
    sealed: bytes
    created_at: float
    next_try_at: float
    status: HookStatus = "pending"
    attempts: int = 0
    last_status_code: int | None = None
    error: str = ""
    claimed_by: str = ""
    claimed_until: float = 0.0
    finished_at: float | None = None


class ErasureRow(msgspec.Struct, kw_only=True):
    erasure: Erasure
    worked_at: float
    worked_off: bool = False
    finished: bool = False
    heard_by: set[str] = msgspec.field(default_factory=set)
    messages: int = 0
    events: int = 0
    cancelled: int = 0


class Tables:
    def __init__(self) -> None:
        self.users: dict[CustomerId, User] = {}
        self.identities: dict[tuple[str, str], CustomerId] = {}
        self.journal: dict[JournalSeq, Event] = {}
        self.dedups: dict[bytes, JournalSeq] = {}
        self.conversations: dict[ConversationId, ConversationRow] = {}
        self.owners: dict[ConversationId, CustomerId] = {}
        self.messages: dict[MessageId, Message] = {}
        self.effects: dict[EffectId, Effect] = {}
        self.timers: dict[TimerId, Timer] = {}
        self.audit: list[tuple[CustomerId, AuditRow]] = []
        self.parked: dict[CustomerId, Parked] = {}
        self.replicas: dict[str, Replica] = {}
        self.reports: dict[bytes, Kept] = {}
        self.model_calls: dict[EffectId, ModelCall] = {}
        self.quarantine: list[Quarantined] = []
        self.flows: dict[str, str] = {}
        self.erasures: dict[bytes, ErasureRow] = {}
        self.suppressed: set[tuple[str, str]] = set()
        self.hooks: dict[str, Hook] = {}
        self.hook_deliveries: dict[int, HookDelivery] = {}
        self._numbers = itertools.count(1)

    def number(self) -> int:
        """The next number of every sequence."""
        return next(self._numbers)

    def takes_turn(self, me: str, turn: int, now: float) -> bool:
        """Whether this call that claims is the last one of `me` so far."""
        replica = self.replicas.setdefault(me, Replica(seen_at=now, gone_at=now))
        if replica.claim_turn >= turn:
            return False
        replica.claim_turn = turn
        return True

    def live(self, now: float) -> set[str]:
        return {name for name, replica in self.replicas.items() if replica.gone_at > now}

    def unread(self, customer: CustomerId) -> list[Event]:
        rows = [row for row in self.journal.values() if row.customer == customer and row.consumed_at is None]
        return sorted(rows, key=lambda row: row.seq)

    def outbound(self, customer: CustomerId | None = None) -> list[Message]:
        """Messages of ours in the order of the conversation."""
        rows = [
            message
            for message in self.messages.values()
            if message.row.direction == "outbound" and customer in {None, message.customer}
        ]
        return sorted(rows, key=lambda message: message.seq)


def rank(status: str) -> int:
    """The order of delivery statuses, as `bot.core.delivery` has it."""
    order: tuple[DeliveryStatus, ...] = ("pending", "sending", "sent", "failed", "delivered", "read")
    return order.index(msgspec.convert(status, DeliveryStatus)) if status in order else -1


def check_uuid(text: str) -> None:
    try:
        UUID(text)
    except ValueError:
        raise Unacceptable(f"not a UUID: {text}") from None


def check_text(text: str) -> None:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise Unacceptable("a text that the database does not take")


def check_message(row: MessageRow) -> None:
    check_uuid(row.id)
    check_uuid(row.conversation)
    if (row.claimed_by != "") != (row.delivery_status in {"pending", "sending"}):
        raise Unacceptable("messages_claimed")
    for text in (row.agent, row.number, row.unanswered, row.provider_id, row.llm_model_used):
        check_text(text)


def keys_of(sender: Sender) -> list[tuple[str, str]]:
    """The identities of a sender, the phone number first."""
    return [(kind, value) for kind, value in (("phone", sender.phone), ("user_id", sender.user_id)) if value]
