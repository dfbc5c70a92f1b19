"""One side of outgoing webhooks' contract: an implementation with what stands around it."""

import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from bot.core.events import Sender
from bot.core.ids import ConversationId, CustomerId
from bot.ports.directory import Directory
from bot.ports.replicas import Replicas
from bot.ports.store import AnnouncementRow, Store
from bot.ports.webhooks import Attempted, Claimed, EndpointId, NewEndpoint, Patience, Webhooks
from tests.adapters.rows import AT, entry, new_uuid, write

PATIENCE = Patience(failures=3, pause=100.0, longest_pause=250.0, disable_after=1000.0)
RECEIVED, STARTED = "message.received", "conversation.started"
NOBODY = EndpointId("9878def2-07a7-4852-b896-d07fa1a537e1")
_phones = itertools.count(910_000_000_001)


class Side(msgspec.Struct):
    """One implementation with what stands around it. `lapse` lets seconds pass for everything that is written down."""

    webhooks: Webhooks
    store: Store
    directory: Directory
    replicas: Replicas
    lapse: Callable[[float], Awaitable[None]]

    async def customer(self) -> CustomerId:
        (customer,) = await self.directory.resolve([Sender(phone=str(next(_phones)))], lambda m: entry(m.kept))
        return customer

    async def endpoint(self, *events: str, most: int = 100, **changes: Any) -> EndpointId:
        fields = {"url": "https://example.com/", "events": events or (RECEIVED,), "description": "", "secret": b"s1"}
        made = await self.webhooks.make(NewEndpoint(id=EndpointId(new_uuid()), **{**fields, **changes}), most=most)
        assert made is not None
        return made.id

    async def tell(self, customer: CustomerId, *kinds: str) -> list[str]:
        """Commit a write that announces these; the ids of the events."""
        rows = tuple(announcement(kind) for kind in kinds)
        version = (await self.store.load([customer]))[customer].version
        assert await self.store.commit([write(customer, version=version, announcements=rows)]) == [True]
        return [row.id for row in rows]

    async def claim(self, *endpoints: EndpointId, me: str = "me", room: int = 10) -> Sequence[Claimed]:
        rooms = dict.fromkeys(endpoints, room)
        return await self.webhooks.claim(me, rooms, seconds=60.0, lets_pass=2, failures=PATIENCE.failures)

    async def note(self, claimed: Claimed, status: Any, me: str = "me", **changes: Any) -> list[str]:
        noted = Attempted(**{"id": claimed.id, "status": status, "status_code": 500, "error": "HTTP 500", **changes})
        return [one.reason for one in await self.webhooks.note(me, [noted], PATIENCE)]

    async def statuses(self, endpoint: EndpointId) -> list[str]:
        return [row.status for row in await self.webhooks.deliveries(endpoint, status=None, after=None, limit=100)]


def announcement(kind: str = RECEIVED, **changes: Any) -> AnnouncementRow:
    fields = {"id": new_uuid(), "type": kind, "conversation": ConversationId(new_uuid()), "sealed": b"\0body", "at": AT}
    return AnnouncementRow(**{**fields, **changes})
