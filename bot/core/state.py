"""A customer's conversation as a value: all that `step` knows and all that a replica needs to go on with it."""

from typing import Literal

import msgspec

from bot.core.effects import Turn
from bot.core.events import TimerKind
from bot.core.flow import FlowPosition
from bot.core.ids import ConversationId, EffectId, TimerId
from bot.core.messages import Value
from bot.core.modes import Mode


class Customer(Value, frozen=True, kw_only=True):
    """What stays when a conversation ends."""

    phone: str = ""
    user_id: str = ""
    name: str = ""
    language: str = ""
    opted_out: bool = False


class Asking(Value, frozen=True, kw_only=True):
    """A model is to be asked, or has been. `ask_id` is empty during the quiet moment; `restarts` counts how often it
    began anew.

    `instruction` comes from a flow's `model` step; `for_flow` says that the flow waits for this answer.
    """

    caused_at: float
    ask_id: EffectId = EffectId("")
    instruction: str = ""
    for_flow: bool = False
    restarts: int = 0


class Conversation(Value, frozen=True, kw_only=True):
    """The state of one customer's actor. `id` is empty until the first message; times are unix seconds."""

    mode: Mode = "closed"
    customer: Customer = Customer()
    id: ConversationId = ConversationId("")
    number: str = ""
    started_at: float = 0.0
    session: str = ""
    """The id of the present session: a conversation has a new one after `SESSION_TIMEOUT` of silence."""
    session_started_at: float = 0.0
    heard_at: float = 0.0
    """When the customer last wrote: the session window (24 hours) and both idle timeouts count from here."""
    flow: FlowPosition | None = None
    asking: Asking | None = None
    turns: tuple[Turn, ...] = ()
    timers: dict[TimerKind, TimerId] = {}
    department: str = ""
    reason: str = ""
    agent: str = ""
    spent_usd: float = 0.0
    outcome: Literal["", "resolved", "expired"] = ""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Conversation)


def encode_conversation(conversation: Conversation) -> bytes:
    return _encoder.encode(conversation)


def decode_conversation(data: bytes) -> Conversation:
    """The conversation `encode_conversation` wrote. Raises `msgspec.DecodeError` for anything else."""
    return _decoder.decode(data)
