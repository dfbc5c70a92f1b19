"""The sweep: once a second it looks for whatever was forgotten, by this replica or by one that is gone.

Everything else in the service is speed; this is why nothing is lost. Each part stands alone: one that fails is counted,
logged, and tried again at the next round, and the others go on.
"""

import asyncio
import itertools
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
from bot.runtime.lease import forgotten_seconds, held_seconds, round_seconds
from bot.runtime.outbox import Delivery
from bot.runtime.parcels import Parcel
from bot.runtime.registry import Registry
from bot.runtime.thinking import Thinking, decode_question
from bot.runtime.timers import TimerWheel
from bot.runtime.writer import IDENTITY_CONTEXT, message_context

CLOCKS_DIFFER = 60.0
"""Seconds by which another replica's clock may be ahead: what it accepted seems to lie in the future."""
AT_ONCE = 500
"""Rows of each kind taken at a look."""
GLANCE_SECONDS = 0.1
"""Seconds between looks at due timers while there are more than one look takes."""

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
        self._held = held_seconds(lease_seconds)
        self._pause = round_seconds(lease_seconds)
        self._forgotten_after = forgotten_seconds(lease_seconds)
        self._looking = asyncio.Lock()
        self._cut_off = False
        self._adopts_from = 0.0
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
        self._turns = itertools.count(1)
        self._unheard: int | None = None
        """The first call that claimed effects and has no answer yet."""
        self._more_due = False

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await self.round()
            await self._between()

    async def round(self) -> None:
        """One look at everything."""
        async with self._looking:
            await self._round()

    async def left_behind(self) -> None:
        """Another replica has stopped: one look at all that it may have left, however short a time it has waited."""
        async with self._looking:
            await self._part("outbox", self._orphan_messages)
            await self._part("journal", lambda: self._forgotten(-CLOCKS_DIFFER))
            await self._part("effects", self._orphan_effects)

    async def _between(self) -> None:
        """Pause; while many timers are due, look for more of them as fast as what was found is worked off and sent.

        So who writes meanwhile has to wait behind a few of them only.
        """
        end = self._clock.monotonic() + self._pause
        while self._more_due and end - self._clock.monotonic() > GLANCE_SECONDS:
            await self._clock.sleep(GLANCE_SECONDS)
            if self._registry.letters + len(self._delivery) < AT_ONCE:
                async with self._looking:
                    await self._part("timers", self._due_timers)
        await self._rest(max(0.0, end - self._clock.monotonic()))

    async def _rest(self, seconds: float) -> None:
        """Sleep. How much longer it takes than it should is how late the event loop is."""
        began = self._clock.monotonic()
        await self._clock.sleep(seconds)
        metrics.loop_lag_seconds.observe(max(0.0, self._clock.monotonic() - began - seconds))

    async def _round(self) -> None:
        await self._part("heartbeat", self._beat)
        await self._part("outbox", self._orphan_messages)  # before anything that makes a customer's next message
        await self._part("timers", self._due_timers)
        await self._part("journal", lambda: self._forgotten(self._forgotten_after))
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
        """Say that we live. After a pause longer than that holds, ask what is still ours before anything goes out.

        If it was the store that was away, the others were as silent: nothing of theirs is taken over for a while.
        """
        began = self._clock.monotonic()
        try:
            await self._replicas.beat(self._me, self._held)
        except Unavailable:
            self._cut_off = True
            raise
        lapsed = self._delivery.gate.lapsed  # perhaps only while the sign of life was on its way
        if lapsed and self._cut_off:
            self._adopts_from = began + self._held
        self._cut_off = False
        if lapsed:
            await self._delivery.confirm()
        self._delivery.gate.ours_until(began + self._held)

    async def _due_timers(self) -> None:
        due = await self._timers.due(self._clock.now(), AT_ONCE)
        self._more_due = len(due) == AT_ONCE
        for timer in due:
            metrics.swept_total.labels("timer").inc()
            try:
                self._wheel.swept(timer, msgspec.convert(timer.kind, TimerKind))
            except msgspec.ValidationError:
                metrics.newer_total.labels("timer").inc()

    async def _forgotten(self, seconds: float) -> None:
        for customer in await self._journal.forgotten(self._clock.now() - seconds, AT_ONCE):
            metrics.swept_total.labels("event").inc()
            self._registry.wake(customer)

    async def _orphan_messages(self) -> None:
        began = self._clock.monotonic()
        room = self._delivery.free
        if room <= 0 or began < self._adopts_from:
            return
        await self._delivery.spilled.let_go()
        limit, turn, spilled = min(room, AT_ONCE), next(self._turns), self._delivery.spilled
        spilled.claiming = turn if spilled.claiming is None else spilled.claiming
        orphans = await self._outbox.orphans(self._me, limit, turn=turn, since=spilled.claiming)
        spilled.claiming = None
        for orphan in orphans:
            self._adopt_in_order(orphan)
        if len(orphans) < limit:
            await self._delivery.spilled.swept(began)

    def _adopt_in_order(self, orphan: Orphan) -> None:
        """Adopt what was claimed. While a commit of the customer is under way its messages may come before these, or
        behind them: then both are let go, and claimed again together.
        """
        if self._registry.is_committing(orphan.customer):
            self._delivery.spilled.give_up(orphan.customer, orphan.id)
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
        if self._clock.monotonic() < self._adopts_from:
            return
        turn = next(self._turns)
        self._unheard = turn if self._unheard is None else self._unheard
        orphans = await self._effects.orphans(self._me, AT_ONCE, turn=turn, since=self._unheard)
        self._unheard = None
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
