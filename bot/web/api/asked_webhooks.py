"""What callers may ask of outgoing webhooks."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec

from bot.core.announcements import EventType
from bot.ports.webhooks import DeliveryStatus
from bot.web.api.asked import Asked, Line, Moment, Paged
from bot.wire.public_addresses import LONGEST_URL

Url = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=LONGEST_URL, description="Where to post: an https address of the internet."),
]
Events = Annotated[
    list[EventType], msgspec.Meta(min_length=1, max_length=50, description="The types of event to be told of.")
]


class WebhookAsked(Asked, frozen=True, kw_only=True):
    """An endpoint to be made."""

    url: Url
    events: Events
    description: Line = ""


class WebhookChanged(Asked, frozen=True, kw_only=True):
    """What is left out stays. `active` true lets what waits go, and forgets all failures; false stops."""

    url: Url | None = None
    events: Events | None = None
    description: Line | None = None
    active: bool | None = None


class DeliveriesAsked(Paged, frozen=True, kw_only=True):
    id: UUID
    status: Annotated[DeliveryStatus | None, msgspec.Meta(description="What became of it.")] = None


class RedeliveryAsked(Asked, frozen=True, kw_only=True):
    id: UUID
    since: Annotated[Moment, msgspec.Meta(description="Events from then on.")]
    status: Annotated[
        Literal["failed", "delivered"], msgspec.Meta(description="Those given up, or those taken before.")
    ] = "failed"
