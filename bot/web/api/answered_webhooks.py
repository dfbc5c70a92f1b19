"""What the API answers about outgoing webhooks."""

from typing import Literal

from bot.core.ids import ConversationId
from bot.ports.webhooks import DeliveryStatus
from bot.records import Answer, Moment
from bot.web.api.answered import Next


class WebhookRecord(Answer, frozen=True, kw_only=True):
    """An endpoint. `disabled_reason` says why it is not active; `failing_since`: it has taken nothing since then."""

    id: str
    url: str
    events: tuple[str, ...]
    description: str
    active: bool
    created_at: Moment
    disabled_at: Moment | None
    disabled_reason: str
    failing_since: Moment | None


class WebhookMade(WebhookRecord, frozen=True, kw_only=True):
    """A new endpoint; `secret` verifies signatures and is not to be had again."""

    secret: str


class WebhookList(Answer, frozen=True, kw_only=True):
    items: list[WebhookRecord]
    next: Next


class WebhookRemoved(Answer, frozen=True, kw_only=True):
    status: Literal["done"]
    id: str


class WebhookSecret(Answer, frozen=True, kw_only=True):
    """A new secret, not to be had again. Until `old_secret_until` the one before it signs as well."""

    id: str
    secret: str
    old_secret_until: Moment


class DeliveryRecord(Answer, frozen=True, kw_only=True):
    """One event for one endpoint. `last_status_code` is null until it answered; `error` is what was wrong last."""

    id: int
    webhook_id: str
    event_id: str
    type: str
    conversation_id: ConversationId | None
    status: DeliveryStatus
    attempts: int
    last_status_code: int | None
    error: str
    created_at: Moment
    next_try_at: Moment | None
    finished_at: Moment | None


class DeliveryList(Answer, frozen=True, kw_only=True):
    items: list[DeliveryRecord]
    next: Next


class Redelivered(Answer, frozen=True, kw_only=True):
    """How many deliveries begin anew."""

    count: int
