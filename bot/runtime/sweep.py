"""The sweep: once a second it looks for whatever was forgotten, by this replica or by one that is gone.

Everything else in the service is speed; this is why nothing is lost. Each part stands alone: one that fails is counted,
logged, and tried again at the next round, and the others go on.
"""

import logging
from collections.abc import Awaitable, Callable

import msgspec

from bot import metrics
from bot.core.effects import AskModel
from bot.core.events import TimerKind
from bot.core.ids import CustomerId
from bot.core.messages import decode_outbound
from bot.ports.effects import Effects, OrphanEffect
from bot.ports.failures import Unavailable
from bot.ports.journal import Journal
from bot.ports.keys import Vault
from bot.ports.outbox import Orphan, Outbox
from bot.ports.replicas import Replicas
from bot.ports.timers import Timers
from bot.runtime.clock import Clock
from bot.runtime.outbox import Delivery
from bot.runtime.parcels import Parcel
from bot.runtime.registry import Registry
from bot.runtime.thinking import Thinking, decode_question
from bot.runtime.timers import TimerWheel
from bot.runtime.writer import IDENTITY_CONTEXT, message_context

ROUND_SECONDS = 1.0
FORGOTTEN_AFTER = 2.0
"""Seconds an accepted event may wait unconsumed before the sweep tells its actor again."""
AT_ONCE = 500
"""Rows of each kind taken in one round."""

log = logging.getLogger(__name__)


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """Something to look at now and then, such as numbers that only the store knows. `every`: seconds between looks."""

    every: float
    look: Callable[[], Awaitable[None]]


class Sweep:
    def __init__(
        self,
        *,
        me: str,
        lease_seconds: float,
        idle_seconds: float,
        journal: Journal,
        outbox: Outbox,
        effects: Effects,
        timers: Timers,
        replicas: Replicas,
        vault: Vault,
        registry: Registry,
        delivery: Delivery,
        thinking: Thinking,
        wheel: TimerWheel,
        clock: Clock,
        watches: tuple[Watch, ...],
    ) -> None:
        self._me = me
        self._lease = lease_seconds
        self._idle = idle_seconds
        self._journal = journal
        self._outbox = outbox
        self._effects = effects
        self._timers = timers
        self._replicas = replicas
        self._vault = vault
        self._registry = registry
        self._delivery = delivery
        self._thinking = thinking
        self._wheel = wheel
        self._clock = clock
        self._watches = watches
        self._watched_at = [float("-inf")] * len(watches)
        self._message_token = self._token()
        self._effect_token = self._token()
        self._found: list[Orphan] = []

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await self.round()
            await self._clock.sleep(ROUND_SECONDS)

    async def round(self) -> None:
        """One look at everything."""
        await self._part("heartbeat", self._beat)
        await self._part("outbox", self._orphan_messages)  # before anything that makes a customer's next message
        await self._part("timers", self._due_timers)
        await self._part("journal", self._forgotten)
        await self._part("reports", self._overlooked_reports)
        await self._part("effects", self._orphan_effects)
        await self._part("retire", lambda: self._registry.retire(self._idle))
        for index, watch in enumerate(self._watches):
            if self._clock.monotonic() - self._watched_at[index] >= watch.every:
                self._watched_at[index] = self._clock.monotonic()
                await self._part("watch", watch.look)
        self._gauges()

    async def _part(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Unavailable as problem:
            metrics.sweep_failures_total.labels(name).inc()
            log.warning("the sweep could not look", extra={"part": name, "error": str(problem)})
        except Exception:
            metrics.sweep_failures_total.labels(name).inc()
            log.exception("a part of the sweep failed", extra={"part": name})

    def _gauges(self) -> None:
        metrics.live_conversations.set(len(self._registry))
        metrics.mailbox_letters.set(self._registry.letters)
        metrics.outbox_waiting.set(len(self._delivery))
        metrics.model_waiting.set(self._thinking.waiting)

    async def _beat(self) -> None:
        """Say that we live. After a pause longer than the lease, ask what is still ours before anything goes out."""
        began = self._clock.monotonic()
        lapsed = self._delivery.gate.lapsed
        await self._replicas.beat(self._me, self._lease)
        if lapsed:
            await self._delivery.confirm()
        self._delivery.gate.ours_until(began + self._lease)

    async def _due_timers(self) -> None:
        for timer in await self._timers.due(self._clock.now(), AT_ONCE):
            metrics.swept_total.labels("timer").inc()
            self._wheel.swept(timer, msgspec.convert(timer.kind, TimerKind))

    async def _forgotten(self) -> None:
        for customer in await self._journal.forgotten(self._clock.now() - FORGOTTEN_AFTER, AT_ONCE):
            metrics.swept_total.labels("event").inc()
            self._registry.wake(customer)

    async def _orphan_messages(self) -> None:
        began = self._clock.monotonic()
        room = self._delivery.free
        if room <= 0:
            return
        limit = min(room, AT_ONCE)
        orphans = await self._outbox.orphans(self._me, limit, token=self._message_token)
        self._message_token = self._token()
        self._found += orphans
        self._adopt_found()
        if len(orphans) < limit and not self._found:
            await self._delivery.spilled.swept(began)

    def _token(self) -> int:
        """Names a call that claims, until its answer came."""
        return self._clock.seed() >> 1

    def _adopt_found(self) -> None:
        """Adopt what was claimed. A customer whose commit is under way waits: its messages may come before these."""
        found, self._found = self._found, []
        for orphan in found:
            if self._registry.is_committing(orphan.customer):
                self._found.append(orphan)
            else:
                self._adopt(orphan)

    async def _overlooked_reports(self) -> None:
        await self._delivery.reported_failed(await self._outbox.settle())

    def _adopt(self, orphan: Orphan) -> None:
        metrics.swept_total.labels("message").inc()
        try:
            sealer = self._vault.customer(orphan.data_key)
            content = decode_outbound(sealer.open(orphan.content, message_context(orphan.id)))
            recipient = sealer.open(orphan.recipient_number, IDENTITY_CONTEXT).decode()
        except (ValueError, msgspec.DecodeError):
            metrics.sealed_bad_total.labels("message").inc()
            log.exception("a message in the outbox cannot be opened", extra={"message_id": orphan.id})
            return
        self._delivery.put(
            Parcel(
                id=orphan.id,
                customer=orphan.customer,
                recipient=recipient,
                content=content,
                number=orphan.number,
                kind=orphan.kind,
                caused_at=orphan.caused_at,
                created_at=orphan.created_at,
                marked=orphan.uncertain,
                attempts=orphan.attempts,
                not_before=orphan.retry_at or 0.0,
                uncertain=orphan.uncertain,
            )
        )

    async def _orphan_effects(self) -> None:
        orphans = await self._effects.orphans(self._me, AT_ONCE, token=self._effect_token)
        self._effect_token = self._token()
        for orphan in orphans:
            question = self._open_question(orphan)
            if question is not None:
                metrics.swept_total.labels("effect").inc()
                self._thinking.ask(CustomerId(orphan.customer), question)

    def _open_question(self, orphan: OrphanEffect) -> AskModel | None:
        try:
            sealer = self._vault.customer(orphan.data_key)
            return decode_question(sealer.open(orphan.sealed, message_context(orphan.id)))
        except (ValueError, msgspec.DecodeError):
            metrics.sealed_bad_total.labels("effect").inc()
            log.exception("an effect cannot be opened", extra={"effect": orphan.id})
            return None
