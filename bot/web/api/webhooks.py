"""Outgoing webhooks: who is told, with which secret, what became of deliveries, and telling again."""

from typing import Any
from uuid import UUID

from bot.ports.webhooks import DeliveryRow, Endpoint, EndpointId
from bot.runtime.endpoints import ENDPOINTS_MOST, BadAddress
from bot.web.api.answered_webhooks import (
    DeliveryList,
    DeliveryRecord,
    Redelivered,
    WebhookList,
    WebhookMade,
    WebhookRecord,
    WebhookRemoved,
    WebhookSecret,
)
from bot.web.api.asked import ById, ByNumber, Nothing
from bot.web.api.asked_webhooks import DeliveriesAsked, RedeliveryAsked, WebhookAsked, WebhookChanged
from bot.web.api.cursor import cursor_of, number_in
from bot.web.api.reading import moment_in
from bot.web.api.route import Call
from bot.web.errors import Refused, invalid

UNKNOWN = "There is no webhook endpoint with this id."


async def find(call: Call[Nothing, Nothing]) -> WebhookList:
    return WebhookList(items=[_shown(one) for one in await call.webhooks.webhooks.endpoints()], next=None)


async def make(call: Call[Nothing, WebhookAsked]) -> WebhookMade:
    body = call.body
    try:
        made = await call.webhooks.make(body.url, body.events, body.description)
    except BadAddress as problem:
        raise invalid(url=str(problem)) from None
    if made is None:
        raise Refused(409, f"There are {ENDPOINTS_MOST} endpoints already; remove one first.")
    await call.audit.record("webhook_made", by=call.caller, detail=made.endpoint.id)
    return WebhookMade(secret=made.secret, **_fields(made.endpoint))


async def show(call: Call[ById, Nothing]) -> WebhookRecord:
    return _known(await call.webhooks.webhooks.endpoint(_id(call.asked.id)))


async def change(call: Call[ById, WebhookChanged]) -> WebhookRecord:
    id_, body = _id(call.asked.id), call.body
    try:
        changed = await call.webhooks.change(
            id_, url=body.url, events=body.events, description=body.description, active=body.active
        )
    except BadAddress as problem:
        raise invalid(url=str(problem)) from None
    shown = _known(changed)
    await call.audit.record("webhook_changed", by=call.caller, detail=id_)
    return shown


async def remove(call: Call[ById, Nothing]) -> WebhookRemoved:
    id_ = _id(call.asked.id)
    if not await call.webhooks.remove(id_):
        raise Refused(404, UNKNOWN)
    await call.audit.record("webhook_removed", by=call.caller, detail=id_)
    return WebhookRemoved(status="done", id=id_)


async def rotate(call: Call[ById, Nothing]) -> WebhookSecret:
    id_ = _id(call.asked.id)
    rotated = await call.webhooks.rotate(id_)
    if rotated is None:
        raise Refused(404, UNKNOWN)
    await call.audit.record("webhook_secret_rotated", by=call.caller, detail=id_)
    return WebhookSecret(id=id_, secret=rotated.secret, old_secret_until=rotated.old_secret_until)


async def ping(call: Call[ById, Nothing]) -> DeliveryRecord:
    return _delivery(await call.webhooks.ping(_id(call.asked.id)), UNKNOWN)


async def deliveries(call: Call[DeliveriesAsked, Nothing]) -> DeliveryList:
    asked, id_ = call.asked, _id(call.asked.id)
    _known(await call.webhooks.webhooks.endpoint(id_))
    found = await call.webhooks.webhooks.deliveries(
        id_, status=asked.status, after=number_in(asked.cursor), limit=asked.limit + 1
    )
    shown = found[: asked.limit]
    following = cursor_of(shown[-1].id) if len(found) > asked.limit else None
    return DeliveryList(items=[_delivery(row, UNKNOWN) for row in shown], next=following)


async def redeliver(call: Call[ByNumber, Nothing]) -> DeliveryRecord:
    unknown = "No delivery that could be made again has this id: it is gone, or its endpoint or its customer is."
    again = _delivery(await call.webhooks.redeliver(call.asked.id), unknown)
    await call.audit.record("webhook_redelivered", by=call.caller, detail=f"delivery {again.id}")
    return again


async def redeliver_since(call: Call[RedeliveryAsked, Nothing]) -> Redelivered:
    asked, id_ = call.asked, _id(call.asked.id)
    since = moment_in(asked.since, "since")
    if since is None:
        raise invalid(since="Say from when on: a date or time such as 2026-01-31T08:30:00Z.")
    _known(await call.webhooks.webhooks.endpoint(id_))
    count = await call.webhooks.redeliver_since(id_, since, asked.status)
    await call.audit.record("webhook_redelivered", by=call.caller, detail=f"{count} of {id_}")
    return Redelivered(count=count)


def _id(id_: UUID) -> EndpointId:
    return EndpointId(str(id_))


def _known(endpoint: Endpoint | None) -> WebhookRecord:
    if endpoint is None:
        raise Refused(404, UNKNOWN)
    return _shown(endpoint)


def _shown(endpoint: Endpoint) -> WebhookRecord:
    return WebhookRecord(**_fields(endpoint))


def _delivery(row: DeliveryRow | None, unknown: str) -> DeliveryRecord:
    if row is None:
        raise Refused(404, unknown)
    return DeliveryRecord(**_fields(row))


def _fields(row: Endpoint | DeliveryRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__struct_fields__}
