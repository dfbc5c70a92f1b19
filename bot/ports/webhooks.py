"""Outgoing webhooks: who is told, what waits to be told, and the way out.

A delivery is one event for one endpoint. It is made in the transaction of the commit whose event it is, claimed by one
replica at a time, and ends as `delivered`, `failed` (given up) or `cancelled` (its customer was erased).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NewType, Protocol

from bot.core.ids import ConversationId, CustomerId
from bot.ports.journal import Backlog
from bot.ports.record import Record

EndpointId = NewType("EndpointId", str)
"""`webhook_endpoints.id`, a UUID."""
DeliveryStatus = Literal["pending", "delivered", "failed", "cancelled"]


class Endpoint(Record, frozen=True, kw_only=True):
    """Who is told. `disabled_reason` is empty while it is active; `failing_since`: nothing was taken since then."""

    id: EndpointId
    url: str
    events: tuple[str, ...]
    description: str
    active: bool
    created_at: datetime
    disabled_at: datetime | None
    disabled_reason: str
    failing_since: datetime | None


class NewEndpoint(Record, frozen=True, kw_only=True):
    """`secret` is sealed under the service's key."""

    id: EndpointId
    url: str
    events: tuple[str, ...]
    description: str
    secret: bytes


class EndpointChanges(Record, frozen=True, kw_only=True):
    """What is None stays. Becoming active again forgets all failures."""

    url: str | None = None
    events: tuple[str, ...] | None = None
    description: str | None = None
    active: bool | None = None


class DeliveryRow(Record, frozen=True, kw_only=True):
    """A delivery for those who look after it. `last_status_code` is null until an endpoint answered."""

    id: int
    webhook_id: EndpointId
    event_id: str
    type: str
    conversation_id: ConversationId | None
    status: DeliveryStatus
    attempts: int
    last_status_code: int | None
    error: str
    created_at: datetime
    next_try_at: datetime | None
    finished_at: datetime | None


class Claimed(Record, frozen=True, kw_only=True):
    """A delivery that is ours to attempt. `sealed` is under the customer's key, or the service's without a customer.

    `data_key` is empty for a customer whose key was destroyed. `secrets` are sealed, the one in force first.
    """

    id: int
    endpoint: EndpointId
    url: str
    secrets: tuple[bytes, ...]
    event_id: str
    customer: CustomerId | None
    data_key: bytes
    sealed: bytes
    attempts: int


class Attempted(Record, frozen=True, kw_only=True):
    """What became of a claimed delivery. `pending` with `delay` seconds means: to be tried again then.

    `gone`: the endpoint asked never to be told again. `tried`: it counts as an attempt of the endpoint.
    """

    id: int
    status: DeliveryStatus
    tried: bool = True
    delay: float = 0.0
    status_code: int = 0
    error: str = ""
    gone: bool = False


class Patience(Record, frozen=True, kw_only=True):
    """When an endpoint is left alone: after `failures` in a row for `pause` seconds, doubling up to `longest_pause`;
    for good after `disable_after` seconds without a success.
    """

    failures: int
    pause: float
    longest_pause: float
    disable_after: float


class Disabled(Record, frozen=True, kw_only=True):
    id: EndpointId
    reason: str


class Answered(Record, frozen=True, kw_only=True):
    """What an endpoint said. `status` 0: it said nothing, and `error` is why. `retry_after` in seconds."""

    status: int = 0
    retry_after: float | None = None
    error: str = ""


class Webhooks(Protocol):
    """Endpoints and their deliveries. Raises `Unavailable`."""

    async def endpoints(self) -> Sequence[Endpoint]:
        """All of them, the one made last first."""
        ...

    async def endpoint(self, endpoint: EndpointId) -> Endpoint | None: ...

    async def make(self, new: NewEndpoint, *, most: int) -> Endpoint | None:
        """None when there are `most` endpoints already."""
        ...

    async def change(self, endpoint: EndpointId, changes: EndpointChanges) -> Endpoint | None: ...

    async def remove(self, endpoint: EndpointId) -> bool:
        """What waits for it is never delivered; False when there is none."""
        ...

    async def rotate(self, endpoint: EndpointId, secret: bytes, *, overlap: float) -> datetime | None:
        """Put a new sealed secret in force; when the one before it stops signing, None when there is no endpoint."""
        ...

    async def add(self, endpoint: EndpointId, event_id: str, kind: str, sealed: bytes) -> DeliveryRow | None:
        """A delivery that belongs to no customer, whether the endpoint is active or not."""
        ...

    async def deliveries(
        self, endpoint: EndpointId, *, status: DeliveryStatus | None, after: int | None, limit: int
    ) -> Sequence[DeliveryRow]:
        """The latest first; `after` is the id of the last one seen."""
        ...

    async def redeliver(self, delivery: int) -> DeliveryRow | None:
        """Let a delivery begin anew; one that waits is due at once. None when it is gone or its customer erased."""
        ...

    async def redeliver_since(
        self, endpoint: EndpointId, since: datetime, *, status: DeliveryStatus, limit: int
    ) -> int:
        """Let at most `limit` deliveries with this status begin anew, the earliest first; how many."""
        ...

    async def claim(
        self, me: str, rooms: Mapping[EndpointId, int], *, seconds: float, lets_pass: int, failures: int
    ) -> Sequence[Claimed]:
        """Claim what is due: at most as many for each endpoint as it has room, one for one that fails `failures` times.

        Of one customer only the earliest open delivery is due, until `lets_pass` attempts of it have failed. A claim
        ends after `seconds`, or when its replica is gone.
        """
        ...

    async def note(self, me: str, attempts: Sequence[Attempted], patience: Patience) -> Sequence[Disabled]:
        """Record outcomes of what `me` claimed; the endpoints that were disabled for them."""
        ...

    async def backlog(self) -> Backlog:
        """What waits for active endpoints, counted up to a bound, and the age of the oldest."""
        ...

    async def forget(self, older_than: float, limit: int) -> int:
        """Remove at most `limit` deliveries made before `older_than` (unix seconds), whatever their status."""
        ...


class Courier(Protocol):
    async def deliver(self, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        """Post `body` once. Never raises for what an endpoint or the network does."""
        ...
