"""What the API answers beside the records themselves: lists, a transcript, what became of a deed."""

from typing import Annotated, Literal

import msgspec

from bot.core.ids import ConversationId, MessageId
from bot.ports.tokens import Scope, TokenId
from bot.records import (
    Answer,
    AuditRecord,
    ConversationRecord,
    FlowSummary,
    MessageRecord,
    ModelTotals,
    Moment,
    ParkedRecord,
    QuarantineRecord,
)

Next = Annotated[str | None, msgspec.Meta(description="Cursor of the next page, null on the last.")]


class ConversationList(Answer, frozen=True, kw_only=True):
    items: list[ConversationRecord]
    next: Next


class ConversationDetail(ConversationRecord, frozen=True, kw_only=True):
    """A conversation with a page of its transcript, in order; `messages_next` is the cursor of the page before it."""

    messages: list[MessageRecord]
    messages_next: Next
    model: ModelTotals


class Deed(Answer, frozen=True, kw_only=True):
    """What became of it. `pending` (202): it is safely written down and will be done; ask again with the same key."""

    status: Literal["done", "pending"]
    conversation_id: ConversationId
    messages: list[MessageId]


class Sent(Answer, frozen=True, kw_only=True):
    """`message_id` is the first of `messages`, null while `status` is `pending` (202)."""

    status: Literal["done", "pending"]
    message_id: MessageId | None
    messages: list[MessageId]


class FlowList(Answer, frozen=True, kw_only=True):
    items: list[FlowSummary]
    next: Next


class ParkedList(Answer, frozen=True, kw_only=True):
    items: list[ParkedRecord]
    next: Next


class QuarantineList(Answer, frozen=True, kw_only=True):
    items: list[QuarantineRecord]
    next: Next


class Settled(Answer, frozen=True, kw_only=True):
    """A parked customer was let go on."""

    status: Literal["done"]
    id: int


class AuditList(Answer, frozen=True, kw_only=True):
    items: list[AuditRecord]
    next: Next


class TokenRecord(Answer, frozen=True, kw_only=True):
    """A token. `created_by` is the name of the token it was made with; `last_used_at` is right to the minute."""

    id: TokenId
    name: str
    scopes: tuple[Scope, ...]
    created_at: Moment
    created_by: str
    last_used_at: Moment | None
    expires_at: Moment | None
    revoked_at: Moment | None


class TokenMade(TokenRecord, frozen=True, kw_only=True):
    """A new token; `token` is what to send as bearer, and is not to be had again."""

    token: str


class TokenList(Answer, frozen=True, kw_only=True):
    items: list[TokenRecord]
    next: Next
