"""Outgoing webhooks in PostgreSQL: endpoints, and deliveries that were made with the commits they tell of."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, get_args

from bot.adapters.postgres.columns import as_json
from bot.adapters.postgres.pool import Database
from bot.core.ids import ConversationId
from bot.ports.journal import Backlog
from bot.ports.webhooks import (
    Attempted,
    Claimed,
    DeliveryRow,
    DeliveryStatus,
    Disabled,
    Endpoint,
    EndpointChanges,
    EndpointId,
    NewEndpoint,
    Patience,
)

LARGEST_ID = 2**63 - 1
COUNTED_MOST = 10_000
"""Waiting deliveries of one endpoint that are counted: enough to know that something is wrong."""
BY_REQUEST = "by request"


class PostgresWebhooks:
    """Fulfils `bot.ports.webhooks.Webhooks`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def endpoints(self) -> Sequence[Endpoint]:
        return [_endpoint(row) for row in await self._database.fetch("webhooks_endpoints", None)]

    async def endpoint(self, endpoint: EndpointId) -> Endpoint | None:
        return _first(await self._database.fetch("webhooks_endpoints", endpoint))

    async def make(self, new: NewEndpoint, *, most: int) -> Endpoint | None:
        return _first(
            await self._database.fetch("webhooks_make", new.id, new.url, new.events, new.description, new.secret, most)
        )

    async def change(self, endpoint: EndpointId, changes: EndpointChanges) -> Endpoint | None:
        values = changes.url, changes.events, changes.description, changes.active
        return _first(await self._database.fetch("webhooks_change", endpoint, *values, BY_REQUEST))

    async def remove(self, endpoint: EndpointId) -> bool:
        return bool(await self._database.fetch("webhooks_remove", endpoint))

    async def rotate(self, endpoint: EndpointId, secret: bytes, *, overlap: float) -> datetime | None:
        rows = await self._database.fetch("webhooks_rotate", endpoint, secret, overlap)
        return rows[0]["old_secret_until"] if rows else None

    async def add(self, endpoint: EndpointId, event_id: str, kind: str, sealed: bytes) -> DeliveryRow | None:
        rows = await self._database.fetch("webhooks_add", endpoint, event_id, kind, sealed)
        return _delivery(rows[0]) if rows else None

    async def deliveries(
        self, endpoint: EndpointId, *, status: DeliveryStatus | None, after: int | None, limit: int
    ) -> Sequence[DeliveryRow]:
        statuses = get_args(DeliveryStatus) if status is None else (status,)
        before = LARGEST_ID if after is None else after
        rows = await self._database.fetch("webhooks_deliveries", endpoint, statuses, before, limit)
        return [_delivery(row) for row in rows]

    async def redeliver(self, delivery: int) -> DeliveryRow | None:
        rows = await self._database.fetch("webhooks_redeliver", delivery)
        return _delivery(rows[0]) if rows else None

    async def redeliver_since(
        self, endpoint: EndpointId, since: datetime, *, status: DeliveryStatus, limit: int
    ) -> int:
        return len(await self._database.fetch("webhooks_redeliver_since", endpoint, status, since, limit))

    async def claim(
        self, me: str, rooms: Mapping[EndpointId, int], *, seconds: float, lets_pass: int, failures: int
    ) -> Sequence[Claimed]:
        asked = list(rooms), list(rooms.values())
        rows = await self._database.fetch("webhooks_claim", me, *asked, seconds, failures, lets_pass)
        return [_claimed(row) for row in rows]

    async def note(self, me: str, attempts: Sequence[Attempted], patience: Patience) -> Sequence[Disabled]:
        limits = patience.failures, patience.pause, patience.longest_pause, patience.disable_after
        rows = await self._database.fetch("webhooks_note", as_json(attempts), me, *limits)
        return [Disabled(id=EndpointId(str(row["id"])), reason=row["disabled_reason"]) for row in rows]

    async def backlog(self) -> Backlog:
        (row,) = await self._database.fetch("webhooks_backlog", COUNTED_MOST)
        return Backlog(count=row["count"], oldest_seconds=row["oldest_seconds"])

    async def forget(self, older_than: float, limit: int) -> int:
        return len(await self._database.fetch("webhooks_forget", older_than, limit))


def _first(rows: Sequence[Any]) -> Endpoint | None:
    return _endpoint(rows[0]) if rows else None


def _endpoint(row: Any) -> Endpoint:
    fields = dict(row)
    return Endpoint(**{**fields, "id": EndpointId(str(row["id"])), "events": tuple(row["events"])})


def _delivery(row: Any) -> DeliveryRow:
    conversation, waits = row["conversation_id"], row["status"] == "pending"
    return DeliveryRow(
        id=row["id"],
        webhook_id=EndpointId(str(row["endpoint_id"])),
        event_id=str(row["event_id"]),
        type=row["type"],
        conversation_id=ConversationId(str(conversation)) if conversation else None,
        status=row["status"],
        attempts=row["attempts"],
        last_status_code=row["last_status_code"],
        error=row["error"],
        created_at=row["created_at"],
        next_try_at=row["next_try_at"] if waits else None,
        finished_at=row["finished_at"],
    )


def _claimed(row: Any) -> Claimed:
    return Claimed(
        id=row["id"],
        endpoint=EndpointId(str(row["endpoint_id"])),
        url=row["url"],
        secrets=tuple(secret for secret in (row["secret"], row["old_secret"]) if secret),
        event_id=str(row["event_id"]),
        customer=row["user_id"],
        data_key=row["data_key"] or b"",
        sealed=row["sealed"],
        attempts=row["attempts"],
    )
