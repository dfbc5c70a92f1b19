"""What administrators do to outgoing webhooks: who is told, with which secret, and what is told again.

A secret is drawn here and shown once; what is kept is sealed under the service's key. A change counts at this replica
at once and at the others when they next look (`bot/runtime/announcing.py`).
"""

from collections.abc import Sequence
from datetime import datetime
from secrets import token_bytes
from uuid import uuid4

import msgspec

from bot.core.announcements import EventType, encode_announcement, ping
from bot.ports.failures import Unavailable
from bot.ports.keys import Vault
from bot.ports.webhooks import DeliveryRow, DeliveryStatus, Endpoint, EndpointChanges, EndpointId, NewEndpoint, Webhooks
from bot.runtime.announcing import Announcing, secret_context
from bot.runtime.clock import Clock
from bot.runtime.writer import message_context
from bot.wire.public_addresses import problem_of
from bot.wire.standard_webhooks import SECRET_BYTES, secret_of

ENDPOINTS_MOST = 20
"""Endpoints there may be: each takes places under way and rows of its own."""
OVERLAP_SECONDS = 86_400.0
"""Seconds for which the secret before the new one goes on signing."""
REDELIVERED_MOST = 10_000
"""Deliveries that one call lets begin anew."""


class BadAddress(ValueError):
    """The address cannot be an endpoint; the message is a sentence for the caller."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A new endpoint with its secret, which is not to be had again."""

    endpoint: Endpoint
    secret: str


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    secret: str
    old_secret_until: datetime


class Endpoints:
    """Raises `Unavailable` when the store cannot be reached. Reading goes to `webhooks` itself."""

    def __init__(
        self, *, webhooks: Webhooks, vault: Vault, clock: Clock, announcing: Announcing, private: bool
    ) -> None:
        """`private`: whether endpoints may be reached over http and in private networks."""
        self.webhooks = webhooks
        self._vault = vault
        self._clock = clock
        self._announcing = announcing
        self._private = private

    async def make(self, url: str, events: Sequence[EventType], description: str) -> Made | None:
        """None when there are as many endpoints as there may be. Raises `BadAddress`."""
        self._check(url)
        key, id_ = token_bytes(SECRET_BYTES), EndpointId(str(uuid4()))
        new = NewEndpoint(id=id_, url=url, events=_once(events), description=description, secret=self._sealed(id_, key))
        made = await self.webhooks.make(new, most=ENDPOINTS_MOST)
        await self._heard()
        return Made(endpoint=made, secret=secret_of(key)) if made is not None else None

    async def change(
        self,
        endpoint: EndpointId,
        *,
        url: str | None,
        events: Sequence[EventType] | None,
        description: str | None,
        active: bool | None,
    ) -> Endpoint | None:
        """None when there is no such endpoint. Raises `BadAddress`."""
        if url is not None:
            self._check(url)
        wanted = None if events is None else _once(events)
        changes = EndpointChanges(url=url, events=wanted, description=description, active=active)
        changed = await self.webhooks.change(endpoint, changes)
        await self._heard()
        return changed

    async def remove(self, endpoint: EndpointId) -> bool:
        """Whether there was one; what waits for it is never delivered."""
        removed = await self.webhooks.remove(endpoint)
        await self._heard()
        return removed

    async def rotate(self, endpoint: EndpointId) -> Rotated | None:
        """Put a new secret in force; the one before it signs as well for `OVERLAP_SECONDS`."""
        key = token_bytes(SECRET_BYTES)
        until = await self.webhooks.rotate(endpoint, self._sealed(endpoint, key), overlap=OVERLAP_SECONDS)
        return Rotated(secret=secret_of(key), old_secret_until=until) if until is not None else None

    async def ping(self, endpoint: EndpointId) -> DeliveryRow | None:
        """Tell the endpoint something that means nothing; it goes the way of every event."""
        event = ping(endpoint, at=self._clock.now(), seed=self._clock.seed())
        sealed = self._vault.seal(encode_announcement(event), message_context(event.id))
        made = await self.webhooks.add(endpoint, event.id, event.type, sealed)
        self._announcing.wake()
        return made

    async def redeliver(self, delivery: int) -> DeliveryRow | None:
        """Let one delivery begin anew."""
        row = await self.webhooks.redeliver(delivery)
        self._announcing.wake()
        return row

    async def redeliver_since(self, endpoint: EndpointId, since: datetime, status: DeliveryStatus) -> int:
        """Let up to `REDELIVERED_MOST` deliveries with this status begin anew, the earliest first; how many."""
        count = await self.webhooks.redeliver_since(endpoint, since, status=status, limit=REDELIVERED_MOST)
        self._announcing.wake()
        return count

    def _check(self, url: str) -> None:
        if problem := problem_of(url, private=self._private):
            raise BadAddress(problem)

    def _sealed(self, endpoint: EndpointId, key: bytes) -> bytes:
        return self._vault.seal(key, secret_context(endpoint))

    async def _heard(self) -> None:
        """The change is durable; when looking fails now, the next look finds it."""
        try:
            await self._announcing.refresh()
        except Unavailable:
            self._announcing.wake()


def _once(events: Sequence[EventType]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(events))
