"""The way into the spool: what was accepted lines up there while the journal cannot take it (P8).

Order is kept by one rule: before a message is journalled, it has to be known that nothing waited in the spool a moment
ago, and who pushed to it waits a longer moment before it acknowledges. So whoever answers a customer's next message
has asked since, and found the one before it in the spool; or in the journal already, because an entry leaves the spool
only after its append. Under load one question serves many groups of webhooks.

A spool that nobody pushed to while it was being emptied becomes empty; under load somebody always does. So when little
waits, an append holds back for a moment and lets the last of it go first, instead of lengthening the queue for ever.

Redis away: it is left alone for a second, and the journal takes what comes. But when something waited there as it was
last heard of, that would be overtaken; then webhooks are refused, up to `HOLD_SECONDS`. After that, and where a replica
had not heard of it, those that wait are overtaken: with both stores failing at once, order is not promised.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from bot import metrics
from bot.ports.failures import Unavailable
from bot.ports.keys import Vault
from bot.ports.spool import Spool
from bot.runtime.clock import Clock
from bot.runtime.deadline import Deadline
from bot.runtime.spooled import Spooled, seal

AWAY_SECONDS = 1.0
"""After a failure the spool is not asked for so long."""
FRESH_SECONDS = 0.2
"""How long an empty spool counts as empty from the moment it was asked."""
ACKNOWLEDGE_SECONDS = 0.25
"""How long a message waits in the spool before it is acknowledged: longer than anybody goes without asking."""
HOLD_SECONDS = 30.0
"""How long webhooks are refused while deliveries wait in a spool that cannot be asked."""
FEW = 500
"""With no more than these waiting, an append holds back until they are gone."""
PAUSE_SECONDS = 0.25
"""How long it holds back at the most."""
POLL_SECONDS = 0.01
"""Between looks while it holds back."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class SpoolFull(Unavailable):
    """More deliveries wait in the spool than the bound allows."""


class Spooling:
    def __init__(self, *, spool: Spool, vault: Vault, clock: Clock, limit: int, within: float) -> None:
        """`limit`: deliveries that may wait, over all replicas. `within`: seconds PostgreSQL may take before what was
        to go there goes to the spool.
        """
        self._spool = spool
        self._vault = vault
        self._clock = clock
        self._limit = limit
        self._within = within
        self._away_until = float("-inf")
        self._heard_at = float("-inf")
        self._empty_until = float("-inf")
        self.waiting = 0
        """Deliveries that waited when the spool was last heard of."""

    @property
    def away(self) -> bool:
        return self._clock.monotonic() < self._away_until

    @property
    def in_use(self) -> bool:
        """Whether something waited when the spool was last heard of; no order may rest on it."""
        return self.waiting > 0

    @property
    def full(self) -> bool:
        return self.waiting >= self._limit

    async def in_front(self) -> bool:
        """Whether deliveries wait that a new one has to line up behind. Raises `Unavailable` when that is not known."""
        if self._clock.monotonic() < self._empty_until or (self.away and not self.in_use):
            return False
        until = self._clock.monotonic() + PAUSE_SECONDS
        try:
            while 0 < await self.look() <= FEW and self._clock.monotonic() < until:
                await self._clock.sleep(POLL_SECONDS)
        except Unavailable:
            return self._blind()
        return self.in_use

    def deadline(self) -> Deadline:
        """The time PostgreSQL has; past it `Unavailable` is raised."""
        return Deadline(self._clock, self._within)

    async def either(self, directly: Callable[[], Awaitable[T]], instead: Sequence[Spooled]) -> T | None:
        """For what needs no order: the result of `directly`, or None when `instead` was spooled, because PostgreSQL
        does not answer in time or was away a moment ago. Raises `Unavailable` when neither could be done.
        """
        if not self.in_use or self.away:
            try:
                async with self.deadline():
                    return await directly()
            except Unavailable as problem:
                log.warning("webhooks go to the spool", extra={"items": len(instead), "error": str(problem)})
        await self.push(instead)
        return None

    async def look(self) -> int:
        """How many wait. Raises `Unavailable`."""
        asked = self._clock.monotonic()
        try:
            self._count(await self._spool.waiting())
        except Unavailable:
            self.lost()
            raise
        if not self.waiting:
            self._empty_until = asked + FRESH_SECONDS
        return self.waiting

    async def push_in_order(self, deliveries: Sequence[Spooled]) -> None:
        """As `push`, and return when every replica that journals has asked since."""
        await self.push(deliveries)
        await self._clock.sleep(ACKNOWLEDGE_SECONDS)

    async def push(self, deliveries: Sequence[Spooled]) -> None:
        """Line these up; they are accepted when it returns. Raises `Unavailable`, and as such `SpoolFull`."""
        self._empty_until = float("-inf")
        if self.full:
            raise SpoolFull(f"{self.waiting} deliveries wait in the spool")
        try:
            await self._spool.push([seal(self._vault, delivery) for delivery in deliveries])
        except Unavailable:
            self.lost()
            raise
        self._count(self.waiting + len(deliveries))
        metrics.spooled_total.inc(len(deliveries))

    def lost(self) -> None:
        """The spool failed: leave it alone for a while."""
        metrics.store_errors_total.labels("spool").inc()
        self._away_until = self._clock.monotonic() + AWAY_SECONDS

    def _count(self, waiting: int) -> None:
        self.waiting = waiting
        self._heard_at = self._clock.monotonic()
        metrics.spool_waiting.set(waiting)

    def _blind(self) -> bool:
        """The spool cannot be asked: go on without it, unless something is known to wait there."""
        if self.in_use and self._clock.monotonic() < self._heard_at + HOLD_SECONDS:
            raise Unavailable("deliveries wait in a spool that does not answer")
        if self.in_use:
            log.error("deliveries in the spool are overtaken: it does not answer", extra={"waiting": self.waiting})
            self._count(0)
        return False
