"""Tells the company's own systems: claims deliveries that are due, signs and sends them, and notes what became of them.

What is to be told lies in the store, made with the commit it tells of; so nothing here is more than speed. A replica
knows which types of event anybody wants (`wanted`) and looks anew every few seconds. While nobody wants any, nothing is
made and nothing is asked. Each endpoint has places of its own under way, so that one that hangs holds up no other.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from bot import metrics
from bot.core.retries import announce_delay
from bot.ports.failures import Unavailable
from bot.ports.keys import Sealer, Vault
from bot.ports.webhooks import Answered, Attempted, Claimed, Courier, DeliveryStatus, EndpointId, Patience, Webhooks
from bot.runtime.clock import Clock
from bot.runtime.group import Group
from bot.runtime.tasks import Tasks
from bot.runtime.writer import message_context
from bot.wire.standard_webhooks import signed_headers

REFRESH_SECONDS = 5.0
"""Seconds between looks at the endpoints: a change made through another replica counts here no later than that."""
LOOK_SECONDS = 1.0
"""Seconds between looks for what is due, while there is an active endpoint."""
AT_ONCE = 8
"""Deliveries under way to one endpoint from one replica."""
CLAIM_SECONDS = 60.0
"""After that a claim is void; an attempt takes ten seconds at most. A replica that is gone loses its claims at once."""
LETS_PASS = 5
"""Failed attempts after which an event does not hold up later ones of the same customer any more (some 40 minutes)."""
PATIENCE = Patience(failures=5, pause=5.0, longest_pause=300.0, disable_after=5 * 86_400.0)
"""Five failures in a row: an endpoint gets one probe every 5 s to 5 min. Five days without a success: disabled."""
NOTES_AT_ONCE = 200
GONE = 410
"""Standard Webhooks: the receiver asks to be told nothing any more."""
ERASED = "the customer was erased"

log = logging.getLogger(__name__)


class Announcing:
    """One for each replica. `wanted` are the types of event that an active endpoint asks for."""

    def __init__(
        self, *, me: str, webhooks: Webhooks, courier: Courier, vault: Vault, clock: Clock, tasks: Tasks
    ) -> None:
        self.wanted: frozenset[str] = frozenset()
        self._me = me
        self._webhooks = webhooks
        self._courier = courier
        self._vault = vault
        self._clock = clock
        self._tasks = tasks
        self._active: frozenset[EndpointId] = frozenset()
        self._under_way: Counter[EndpointId] = Counter()
        self._due = asyncio.Event()
        self._stopping = False
        self._notes: Group[tuple[Claimed, Attempted], None] = Group(
            "webhook notes", perform=self._note, settle=self._noted, clock=clock, most=NOTES_AT_ONCE, patient=True
        )

    def __len__(self) -> int:
        """Deliveries under way."""
        return self._under_way.total()

    async def refresh(self) -> None:
        """Learn who wants what, and what waits for them. Raises `Unavailable`."""
        active = [endpoint for endpoint in await self._webhooks.endpoints() if endpoint.active]
        self.wanted = frozenset(kind for endpoint in active for kind in endpoint.events)
        self._active = frozenset(endpoint.id for endpoint in active)
        if not active:
            metrics.webhook_backlog.set(0)
            metrics.webhook_oldest_seconds.set(0)
            return
        self.wake()
        backlog = await self._webhooks.backlog()
        metrics.webhook_backlog.set(backlog.count)
        metrics.webhook_oldest_seconds.set(backlog.oldest_seconds)

    def wake(self) -> None:
        """Something may be due: look at once."""
        self._due.set()

    async def run(self) -> None:
        """Deliver until cancelled or stopped."""
        while not self._stopping:
            await self._look_again()
            try:
                await self._claim()
            except Unavailable as problem:
                metrics.store_errors_total.labels("webhooks").inc()
                log.warning("webhooks could not be claimed", extra={"error": str(problem)})
                await self._clock.sleep(LOOK_SECONDS)
            except Exception:
                log.exception("looking for webhooks failed")
                await self._clock.sleep(LOOK_SECONDS)

    async def stop(self) -> None:
        """Claim nothing any more, and return when everything under way is noted."""
        self._stopping = True
        self.wake()
        while len(self):
            await self._clock.sleep(0.02)

    async def _look_again(self) -> None:
        again = self._clock.later(LOOK_SECONDS, self.wake) if self._active else None
        await self._due.wait()
        self._due.clear()
        if again is not None:
            again.cancel()

    def _rooms(self) -> Mapping[EndpointId, int]:
        rooms = {endpoint: AT_ONCE - self._under_way[endpoint] for endpoint in sorted(self._active)}
        return {endpoint: room for endpoint, room in rooms.items() if room > 0}

    async def _claim(self) -> None:
        rooms = self._rooms()
        if not rooms or self._stopping:
            return
        claimed = await self._webhooks.claim(
            self._me, rooms, seconds=CLAIM_SECONDS, lets_pass=LETS_PASS, failures=PATIENCE.failures
        )
        for one in claimed:
            self._under_way[one.endpoint] += 1
            self._tasks.spawn(self._deliver(one), "webhook")

    async def _deliver(self, claimed: Claimed) -> None:
        """One attempt. Whatever goes wrong here is the attempt's failure, or its place would never be free again."""
        try:
            attempted = await self._attempt(claimed)
        except Exception as problem:
            log.exception("an outgoing webhook failed unexpectedly", extra={"delivery": claimed.id})
            attempted = self._judged(claimed, Answered(error=f"{type(problem).__name__} in this service"))
        self._notes.add((claimed, attempted))

    async def _attempt(self, claimed: Claimed) -> Attempted:
        if claimed.customer is not None and not claimed.data_key:
            return Attempted(id=claimed.id, status="cancelled", tried=False, error=ERASED)
        body = self._sealer(claimed).open(claimed.sealed, message_context(claimed.event_id))
        keys = [self._vault.open(secret, secret_context(claimed.endpoint)) for secret in claimed.secrets]
        headers = signed_headers(keys, event_id=claimed.event_id, at=self._clock.now(), body=body)
        return self._judged(claimed, await self._courier.deliver(claimed.url, headers, body))

    def _sealer(self, claimed: Claimed) -> Sealer:
        return self._vault if claimed.customer is None else self._vault.customer(claimed.data_key)

    def _judged(self, claimed: Claimed, answered: Answered) -> Attempted:
        """2xx is success. Everything else is tried again, but for 410 and what was tried for a day."""
        if 200 <= answered.status < 300:
            return Attempted(id=claimed.id, status="delivered", status_code=answered.status)
        delay = announce_delay(
            claimed.attempts + 1, retry_after=answered.retry_after, chance=(self._clock.seed() % 1000) / 1000
        )
        gone = answered.status == GONE
        status: DeliveryStatus = "failed" if gone or delay is None else "pending"
        return Attempted(
            id=claimed.id,
            status=status,
            delay=delay or 0.0,
            status_code=answered.status,
            error=answered.error or f"HTTP {answered.status}",
            gone=gone,
        )

    async def _note(self, noted: Sequence[tuple[Claimed, Attempted]]) -> Sequence[None]:
        disabled = await self._webhooks.note(self._me, [attempted for _, attempted in noted], PATIENCE)
        for one in disabled:
            log.error("a webhook endpoint was disabled", extra={"webhook": one.id, "reason": one.reason})
        if disabled:
            await self.refresh()
        return [None] * len(noted)

    def _noted(self, item: tuple[Claimed, Attempted], result: Exception | None) -> None:
        claimed, attempted = item
        self._under_way[claimed.endpoint] -= 1
        if result is None:
            outcome = "retry" if attempted.status == "pending" else attempted.status
            metrics.webhook_deliveries_total.labels(outcome).inc()
        self.wake()


def secret_context(endpoint: EndpointId) -> bytes:
    """What binds a sealed secret to its endpoint."""
    return b"webhook " + endpoint.encode()
