"""What a step asks for. Every effect commits with the state; after the commit the replica that committed performs it.

Telling the desk and counting are not effects: the runtime does them for every commit.
"""

from typing import Literal

from bot.core.events import ModelUse, TimerKind
from bot.core.ids import ConversationId, EffectId, MessageId, TimerId
from bot.core.messages import Inbound, Outbound, Value

ReplyKind = Literal["flow", "model", "agent", "system", "bulk"]
"""Who or what says it; `bulk` is one of many messages of the company, and gives way to all others."""


class RecordMessage(Value, frozen=True, kw_only=True, tag="record_message"):
    """Keep a customer's message in the transcript. `unanswered` says why the bot will not answer it (`stale`,
    `opted_out`, ...).
    """

    id: MessageId
    conversation: ConversationId
    content: Inbound
    provider_id: str
    number: str
    at: float
    unanswered: str = ""


class SendMessage(Value, frozen=True, kw_only=True, tag="send_message"):
    """Send to the customer and keep in the transcript. `caused_at`: when the message it answers was accepted, unix
    seconds.
    """

    id: MessageId
    conversation: ConversationId
    content: Outbound
    kind: ReplyKind
    at: float
    caused_at: float
    number: str = ""
    use: ModelUse | None = None
    agent: str = ""


class WithholdMessage(Value, frozen=True, kw_only=True, tag="withhold_message"):
    """Keep a model's answer for the agents to see; it is never sent (a person took over while it was under way)."""

    id: MessageId
    conversation: ConversationId
    text: str
    use: ModelUse
    at: float


class Turn(Value, frozen=True, kw_only=True):
    """One line of history for a model: `role` is `user` or `assistant`."""

    role: Literal["user", "assistant"]
    text: str


class AskModel(Value, frozen=True, kw_only=True, tag="ask_model"):
    """Put a question to the chain of models; the outcome comes back as `ModelAnswered` or `ModelFailed` under `id`.

    `spent_usd` is what this conversation has cost so far, for the cap per conversation.
    """

    id: EffectId
    conversation: ConversationId
    system: str
    turns: tuple[Turn, ...]
    caused_at: float
    spent_usd: float = 0.0


class StartTimer(Value, frozen=True, kw_only=True, tag="start_timer"):
    """Fire `TimerFired` once at `due` (unix seconds) or within a second or two after."""

    id: TimerId
    kind: TimerKind
    due: float


class StopTimer(Value, frozen=True, kw_only=True, tag="stop_timer"):
    id: TimerId


class CloseConversation(Value, frozen=True, kw_only=True, tag="close_conversation"):
    """The conversation row is completed; a later message opens another. `by` is an agent's name, `customer`, or
    `timeout`.
    """

    conversation: ConversationId
    at: float
    by: str


class WriteAudit(Value, frozen=True, kw_only=True, tag="write_audit"):
    action: str
    by: str
    at: float
    detail: str = ""
    note: str = ""
    """What a person wrote about it: kept sealed, unlike `detail`."""


Effect = (
    RecordMessage | SendMessage | WithholdMessage | AskModel | StartTimer | StopTimer | CloseConversation | WriteAudit
)
