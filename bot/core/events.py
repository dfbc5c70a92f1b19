"""Everything that can happen to a conversation, in the past tense: the whole language of the service.

An `Envelope` seals an event with the time it was accepted and the seed for every choice made because of it, so that the
journal of envelopes is the history: stepping through it again gives the same conversation on any machine at any time.
"""

from typing import Literal

import msgspec

from bot.core.ids import ConversationId, EffectId, MessageId, TimerId
from bot.core.messages import Inbound, Outbound, Value

TimerKind = Literal["quiet", "session", "conversation", "reminder", "no_agent"]
"""What a timer is for: ask a model, end the session, end the conversation, remind the customer of a question, tell them
that no agent took the conversation in time.
"""
ModelFailure = Literal["unavailable", "account", "budget", "refused", "invalid", "timeout"]
"""Why no model answered: all down; account or key stopped; a spending cap; content policy; our request; the
deadline."""


class Sender(Value, frozen=True, kw_only=True):
    """Who wrote: at least one of the two identities is there.

    `phone` is 10 to 15 digits with country code; `user_id` is WhatsApp's business-scoped id such as
    `IN.2600000000000001`.
    """

    phone: str = ""
    user_id: str = ""
    name: str = ""


class MessageReceived(Value, frozen=True, kw_only=True, tag="message_received"):
    """A customer's message. `provider_id` is the wamid (suffix removed); `sent_at` the message's own time, unix
    seconds.
    """

    provider_id: str
    sender: Sender
    content: Inbound
    number: str = ""
    sent_at: float | None = None
    reply_to: str = ""


class TimerFired(Value, frozen=True, kw_only=True, tag="timer_fired"):
    timer_id: TimerId
    kind: TimerKind


class ModelUse(Value, frozen=True, kw_only=True):
    """What one answer took, over all attempts that cost something. `cost_usd` is an estimate when `estimated`."""

    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    estimated: bool = False
    attempts: int = 0
    seconds: float = 0.0
    generation_id: str = ""


class ModelAnswered(Value, frozen=True, kw_only=True, tag="model_answered"):
    ask_id: EffectId
    text: str
    use: ModelUse


class ModelFailed(Value, frozen=True, kw_only=True, tag="model_failed"):
    ask_id: EffectId
    failure: ModelFailure
    use: ModelUse = ModelUse()


class SendFailed(Value, frozen=True, kw_only=True, tag="send_failed"):
    """A message that will never arrive; `code` is the provider's number where it gave one, else 0."""

    message_id: MessageId
    reason: str
    code: int = 0


class AgentReplied(Value, frozen=True, kw_only=True, tag="agent_replied"):
    """A person answers. `conversation`, here and below, is the one they had before them; empty: whichever is open."""

    agent: str
    content: Outbound
    conversation: ConversationId = ConversationId("")


class NoticeRequested(Value, frozen=True, kw_only=True, tag="notice_requested"):
    """A message to the customer that the company begins; who holds the conversation stays as it is.

    `phone` is the number it goes to, for a customer who never wrote. `bulk`: one of many, which gives way to replies.
    """

    by: str
    content: Outbound
    phone: str = ""
    bulk: bool = False


class AgentAssigned(Value, frozen=True, kw_only=True, tag="agent_assigned"):
    """`agent` takes the conversation (or is given it by `by`)."""

    agent: str
    by: str = ""
    conversation: ConversationId = ConversationId("")


class EscalationRequested(Value, frozen=True, kw_only=True, tag="escalation_requested"):
    """Somebody at the desk or over REST puts the conversation in the queue."""

    by: str
    department: str = "general"
    reason: str = ""
    conversation: ConversationId = ConversationId("")


class ConversationResolved(Value, frozen=True, kw_only=True, tag="conversation_resolved"):
    by: str
    note: str = ""
    conversation: ConversationId = ConversationId("")


class ReturnedToBot(Value, frozen=True, kw_only=True, tag="returned_to_bot"):
    by: str
    conversation: ConversationId = ConversationId("")


class CustomerMerged(Value, frozen=True, kw_only=True, tag="customer_merged"):
    """Two customers turned out to be one. `held_by_person` says the absorbed conversation was in the queue or with an
    agent.
    """

    absorbed: int
    held_by_person: bool = False
    department: str = "general"


class PreferencesChanged(Value, frozen=True, kw_only=True, tag="preferences_changed"):
    """Somebody at the desk or over REST changed what is known of the customer; `None` leaves a field as it is."""

    by: str
    name: str | None = None
    language: str | None = None
    opted_out: bool | None = None


Event = (
    MessageReceived
    | TimerFired
    | ModelAnswered
    | ModelFailed
    | SendFailed
    | AgentReplied
    | NoticeRequested
    | AgentAssigned
    | EscalationRequested
    | ConversationResolved
    | ReturnedToBot
    | CustomerMerged
    | PreferencesChanged
)


class Envelope(Value, frozen=True, kw_only=True):
    """An event as it was accepted: `at` in unix seconds, `seed` 64 random bits."""

    event: Event
    at: float
    seed: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Envelope)


def encode_envelope(envelope: Envelope) -> bytes:
    return _encoder.encode(envelope)


def decode_envelope(data: bytes) -> Envelope:
    """The envelope `encode_envelope` wrote. Raises `msgspec.DecodeError` for anything else."""
    return _decoder.decode(data)
