"""What the company's own systems are told: one value for each kind of event, read off what a step came to.

A pure function beside `step`, so that nothing is paid where nobody listens and a repeated step announces the same: ids
come from the envelope. Field names are the JSON of outgoing webhooks; see docs/api.md.
"""

from collections.abc import Container, Iterator
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import msgspec

from bot.core.conversation import Step
from bot.core.effects import CloseConversation, Effect, RecordMessage, WriteAudit
from bot.core.events import Envelope, Event, PreferencesChanged, SendFailed
from bot.core.ids import ConversationId, new_id
from bot.core.messages import spoken
from bot.core.state import Conversation

EventType = Literal[
    "message.received",
    "message.failed",
    "conversation.started",
    "conversation.escalated",
    "conversation.assigned",
    "conversation.resolved",
    "customer.opted_out",
]
PING: Final = "ping"
"""The type of the event that only tries an endpoint out."""

FIRST_INDEX = 0xC00
"""Ids of announcements begin here among those of an envelope: a step takes its own from 1 on."""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """Whom it is about. `user_id` is WhatsApp's business-scoped id, `number` our number; null: not known."""

    conversation_id: str | None
    phone_number: str | None
    user_id: str | None
    number: str | None


class MessageReceivedData(About, frozen=True, kw_only=True):
    """A customer wrote. `text` is what a reader sees of it; `unanswered` says why the bot does not answer, or is
    empty.
    """

    message_id: str
    provider_message_id: str
    message_type: str
    text: str
    unanswered: str


class MessageFailedData(About, frozen=True, kw_only=True):
    """A message of ours will never arrive. `code` is the provider's number, 0 without one; `conversation_id` the
    present conversation.
    """

    message_id: str
    reason: str
    code: int


class ConversationStartedData(About, frozen=True, kw_only=True):
    """A conversation began; its first message is an event of its own."""


class ConversationEscalatedData(About, frozen=True, kw_only=True):
    """A conversation waits for a person; `by` is `bot` or who did it."""

    department: str
    reason: str
    by: str


class ConversationAssignedData(About, frozen=True, kw_only=True):
    """An agent has the conversation."""

    agent: str
    by: str


class ConversationResolvedData(About, frozen=True, kw_only=True):
    """A conversation is over: `resolved` by a person, or `expired` in silence (`by` is `timeout`)."""

    outcome: Literal["resolved", "expired"]
    by: str
    seconds: float
    """From its beginning to its end."""


class CustomerOptedOutData(About, frozen=True, kw_only=True):
    """Nothing may be sent to this customer any more; `by` is `customer`, `provider` or who did it."""

    by: str


class PingData(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody tries the endpoint out."""

    webhook_id: str


DATA: Final[dict[EventType | Literal["ping"], type[msgspec.Struct]]] = {
    "message.received": MessageReceivedData,
    "message.failed": MessageFailedData,
    "conversation.started": ConversationStartedData,
    "conversation.escalated": ConversationEscalatedData,
    "conversation.assigned": ConversationAssignedData,
    "conversation.resolved": ConversationResolvedData,
    "customer.opted_out": CustomerOptedOutData,
    "ping": PingData,
}
"""What `data` is, by the type of the event."""


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """One event as it is told: the body of an outgoing webhook."""

    id: str
    type: str
    created_at: Annotated[datetime, msgspec.Meta(tz=True)]
    data: msgspec.Struct

    @property
    def conversation(self) -> ConversationId | None:
        """The conversation that it is about, if any."""
        about = self.data.conversation_id if isinstance(self.data, About) else None
        return ConversationId(about) if about else None


def encode_announcement(announcement: Announcement) -> bytes:
    """The body, byte for byte as it is signed and sent at every attempt."""
    return msgspec.json.encode(announcement)


def ping(webhook_id: str, *, at: float, seed: int) -> Announcement:
    """An event that only tries an endpoint out."""
    return Announcement(
        id=new_id(at, seed, FIRST_INDEX), type=PING, created_at=_moment(at), data=PingData(webhook_id=webhook_id)
    )


def announcements(
    before: Conversation, envelope: Envelope, step: Step, wanted: Container[str]
) -> tuple[Announcement, ...]:
    """What `step` has to tell of the types that are `wanted`, in the order in which it happened."""
    told = [(kind, data) for kind, data in _told(before, envelope, step) if kind in wanted]
    return tuple(
        Announcement(
            id=new_id(envelope.at, envelope.seed, FIRST_INDEX + place),
            type=kind,
            created_at=_moment(envelope.at),
            data=data,
        )
        for place, (kind, data) in enumerate(told)
    )


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


_Told = Iterator[tuple[EventType, msgspec.Struct]]


def _told(before: Conversation, envelope: Envelope, step: Step) -> _Told:
    """A conversation that ends makes room for the one that begins, and what happens in that one comes last."""
    after = step.conversation
    fresh = after.id != before.id and bool(after.id)
    ended = [effect for effect in step.effects if isinstance(effect, CloseConversation)]
    if fresh:
        yield from (_resolved(before, effect) for effect in ended if effect.conversation == before.id)
        yield "conversation.started", ConversationStartedData(**_about(after))
    for effect in step.effects:
        if not fresh or not isinstance(effect, CloseConversation) or effect.conversation == after.id:
            yield from _of_effect(effect, after)
    if after.customer.opted_out and not before.customer.opted_out:
        yield "customer.opted_out", CustomerOptedOutData(**_about(after), by=_who_opted_out(envelope.event))
    if isinstance(envelope.event, SendFailed):
        yield "message.failed", _failed(envelope.event, after)


def _of_effect(effect: Effect, after: Conversation) -> _Told:
    match effect:
        case RecordMessage():
            yield "message.received", _received(effect, after)
        case CloseConversation():
            yield _resolved(after, effect)
        case WriteAudit(action="escalated"):
            about = _about(after)
            yield (
                "conversation.escalated",
                ConversationEscalatedData(**about, department=effect.detail, reason=after.reason, by=effect.by),
            )
        case WriteAudit(action="assigned"):
            yield "conversation.assigned", ConversationAssignedData(**_about(after), agent=effect.detail, by=effect.by)
        case _:
            return


def _about(state: Conversation) -> dict[str, str | None]:
    customer = state.customer
    return {
        "conversation_id": state.id or None,
        "phone_number": customer.phone or None,
        "user_id": customer.user_id or None,
        "number": state.number or None,
    }


def _received(effect: RecordMessage, after: Conversation) -> MessageReceivedData:
    content = effect.content
    return MessageReceivedData(
        **_about(after),
        message_id=effect.id,
        provider_message_id=effect.provider_id,
        message_type=str(getattr(content, "kind", "") or type(content).__name__.lower()),
        text=spoken(content),
        unanswered=effect.unanswered,
    )


def _resolved(state: Conversation, effect: CloseConversation) -> tuple[EventType, ConversationResolvedData]:
    return (
        "conversation.resolved",
        ConversationResolvedData(
            **_about(state),
            outcome="expired" if effect.by == "timeout" else "resolved",
            by=effect.by,
            seconds=max(0.0, effect.at - state.started_at),
        ),
    )


def _failed(event: SendFailed, after: Conversation) -> MessageFailedData:
    return MessageFailedData(**_about(after), message_id=event.message_id, reason=event.reason, code=event.code)


def _who_opted_out(event: Event) -> str:
    match event:
        case PreferencesChanged(by=by):
            return by
        case SendFailed():
            return "provider"
        case _:
            return "customer"
