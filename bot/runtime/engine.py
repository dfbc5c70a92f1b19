"""Everything between the ports, built once and in one place: the service runs it, and so do simulations.

What starts, and stops the other way round: reports, delivery, models, timers, the registry, the intake, the desk, and
at last the sweep, which finds whatever was forgotten. Stopping: drain mailboxes and the outbox to a deadline, leave
every seat, last notes. What is left then is in the store for whoever sweeps.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

import msgspec

from bot.core.book import Book
from bot.core.conversation import step
from bot.core.events import SendFailed, TimerFired
from bot.core.flow import Flow
from bot.core.ids import CustomerId
from bot.ports.directory import Directory
from bot.ports.effects import Effects
from bot.ports.erasures import Erasures
from bot.ports.failures import Unavailable
from bot.ports.flow_versions import FlowVersions
from bot.ports.hints import Hints
from bot.ports.journal import Journal
from bot.ports.keys import Vault
from bot.ports.outbox import Outbox
from bot.ports.outside import Channel, Model
from bot.ports.parking import Parking
from bot.ports.past import Past
from bot.ports.quarantine import Quarantine
from bot.ports.replicas import Replicas
from bot.ports.seats import Seats
from bot.ports.spool import Spool
from bot.ports.store import Store
from bot.ports.timers import Timers
from bot.ports.webhooks import Courier, Webhooks
from bot.runtime.announcing import REFRESH_SECONDS, Announcing
from bot.runtime.around import Around
from bot.runtime.breaker import Breaker, BreakerState, ignore_change
from bot.runtime.clock import Clock
from bot.runtime.delivery_reports import Reports
from bot.runtime.desk import Acting
from bot.runtime.dispatch import Dispatch
from bot.runtime.draining import Draining
from bot.runtime.endpoints import Endpoints
from bot.runtime.erasing import CustomerErasing
from bot.runtime.flows import Bookshelf
from bot.runtime.hints import Hinting
from bot.runtime.intake import Intake
from bot.runtime.journalling import Journalling
from bot.runtime.letters import event_key
from bot.runtime.outbox import Delivery
from bot.runtime.pacing import Limits
from bot.runtime.recollection import Recollection
from bot.runtime.registry import Registry
from bot.runtime.spooling import Spooling
from bot.runtime.sweep import Sweep, Watch
from bot.runtime.tasks import Tasks
from bot.runtime.thinking import Caps, Outcome, Thinking
from bot.runtime.timers import TimerWheel
from bot.runtime.tracing import Tracing

WATCH_SECONDS = 5.0
"""Seconds between looks at what only the store can count."""

log = logging.getLogger(__name__)


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """The world as the engine sees it: one adapter for each port. Without a model a person is offered instead."""

    store: Store
    journal: Journal
    directory: Directory
    quarantine: Quarantine
    parking: Parking
    past: Past
    outbox: Outbox
    effects: Effects
    erasures: Erasures
    timers: Timers
    replicas: Replicas
    flow_versions: FlowVersions
    seats: Seats
    hints: Hints
    spool: Spool
    channel: Channel
    model: Model | None
    vault: Vault
    webhooks: Webhooks
    courier: Courier


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds and times; what each means stands at the setting of the same name in `bot.config`."""

    lease_seconds: float
    actor_idle: float
    mailbox_limit: int
    batch_limit: int
    intake_limit: int
    spool_limit: int
    accept_timeout: float
    breaker_failures: int
    """Failures of the provider in a row that open its breaker."""
    breaker_seconds: float
    """Seconds an open breaker waits before it lets a probe through."""
    sending: Limits
    thinking: Caps


class Engine:
    """One replica without its web server. Start once, stop once."""

    def __init__(
        self,
        *,
        me: str,
        ports: Ports,
        sizes: Sizes,
        clock: Clock,
        load: Callable[[], tuple[Book | None, Sequence[str]]],
        compile_source: Callable[[str], Flow],
        default_number: str,
        on_breaker: Callable[[str, BreakerState], None] = ignore_change,
        watches: Sequence[Watch] = (),
        private_webhooks: bool = False,
        tracing: Tracing | None = None,
    ) -> None:
        """`load` reads the flow files; `watches` are looked at by the sweep. `private_webhooks`: endpoints of outgoing
        webhooks may be in private networks. `tracing` needs `ports` that are traced, too.
        """
        self.me = me
        self.clock = clock
        self._ports = ports
        self._tracing = tracing
        self._stopped = False
        self.tasks = Tasks()
        self.shelf = Bookshelf(
            load=load, compile_source=compile_source, versions=ports.flow_versions, clock=clock, tasks=self.tasks
        )
        self.breaker = Breaker(
            "msg91",
            fail_max=sizes.breaker_failures,
            reset_timeout=sizes.breaker_seconds,
            clock=clock.monotonic,
            on_change=on_breaker,
        )
        self.spooling = Spooling(
            spool=ports.spool, vault=ports.vault, clock=clock, limit=sizes.spool_limit, within=sizes.accept_timeout
        )
        self.reports = Reports(outbox=ports.outbox, spooling=self.spooling, clock=clock, most=sizes.batch_limit)
        self.wheel = TimerWheel(clock=clock, fire=self._timer_fired)
        self.delivery = Delivery(
            channel=ports.channel,
            outbox=ports.outbox,
            clock=clock,
            breaker=self.breaker,
            limits=sizes.sending,
            failed=self._send_failed,
            default_number=default_number,
            me=me,
            most=sizes.batch_limit,
        )
        self.thinking = Thinking(
            model=ports.model,
            effects=ports.effects,
            clock=clock,
            caps=sizes.thinking,
            customer_hash=lambda customer: ports.vault.fingerprint("model_user", str(customer)).hex(),
            answered=self._answered,
        )
        self.announcing = Announcing(
            me=me, webhooks=ports.webhooks, courier=ports.courier, vault=ports.vault, clock=clock, tasks=self.tasks
        )
        self.endpoints = Endpoints(
            webhooks=ports.webhooks,
            vault=ports.vault,
            clock=clock,
            announcing=self.announcing,
            private=private_webhooks,
        )
        self.hinting = Hinting(hints=ports.hints, me=me, clock=clock)
        self.registry = self._registry(sizes)
        self.journalling = Journalling(
            journal=ports.journal,
            directory=ports.directory,
            vault=ports.vault,
            tell=self.registry.tell if tracing is None else tracing.telling(self.registry.tell),
            clock=clock,
        )
        self.intake = Intake(
            journalling=self.journalling,
            spooling=self.spooling,
            quarantine=ports.quarantine,
            reports=self.reports,
            vault=ports.vault,
            clock=clock,
            limit=sizes.intake_limit,
            most=sizes.batch_limit,
        )
        self.draining = self._draining(sizes)
        self.reports.connect(failed=self.delivery.reported_failed, proven=self.delivery.proofs.reported)
        self.desk = Acting(
            intake=self.intake,
            registry=self.registry,
            directory=ports.directory,
            parking=ports.parking,
            recollection=Recollection(past=ports.past, vault=ports.vault, clock=clock, most=sizes.batch_limit),
            shelf=self.shelf,
            tasks=self.tasks,
            clock=clock,
            asked=None if tracing is None else tracing.asked,
        )
        self.erasing = CustomerErasing(
            me=me,
            erasures=ports.erasures,
            spooling=self.spooling,
            registry=self.registry,
            delivery=self.delivery,
            thinking=self.thinking,
            journalling=self.journalling,
            vault=ports.vault,
            clock=clock,
            tasks=self.tasks,
        )
        self.sweep = self._sweep(sizes, watches)
        self.hinting.connect(registry=self.registry, departed=self._departed)

    async def start(self, *, sweeping: bool = True) -> None:
        """The first sweep, and from then on one a second, unless the caller wants to sweep for itself.

        Before any step it is known who wants to be told of it. Raises `Unavailable`.
        """
        await self.announcing.refresh()
        await self.sweep.round()
        self.delivery.start()
        self.thinking.start()
        self.tasks.spawn(self.hinting.listen(), "hints")
        if sweeping:
            self.tasks.spawn(self.sweep.run(), "sweep")
            self.tasks.spawn(self.announcing.run(), "webhooks")
            self.tasks.spawn(self.draining.run(), "spool")

    async def stop(self, drain_seconds: float) -> None:
        """Drain to the deadline and let go of everything. Nothing new may be accepted any more. Safe to call twice."""
        if self._stopped:
            return
        self._stopped = True
        try:
            async with asyncio.timeout(drain_seconds):
                await self._drain(drain_seconds)
        except TimeoutError:
            log.warning(
                "not everything was finished in time",
                extra={"letters": self.registry.letters, "outgoing": len(self.delivery)},
            )
        self.wheel.close()
        await self.thinking.stop()
        await self.registry.leave()
        await self.tasks.cancel()
        with contextlib.suppress(Unavailable):
            await self._ports.replicas.leave(self.me)
            await self.hinting.depart(await self._ports.replicas.others(self.me))

    async def _drain(self, seconds: float) -> None:
        self.draining.stop()
        await self.intake.drained()
        await self.reports.drained()
        await self.registry.drained()
        await self.delivery.stop(seconds / 2)
        await self.delivery.drained()
        await self.intake.drained()  # sends that failed meanwhile are events
        await self.registry.drained()
        await self.announcing.stop()

    # --- between the parts -------------------------------------------------------------------------------------------

    def _registry(self, sizes: Sizes) -> Registry:
        ports = self._ports
        dispatch = Dispatch(me=self.me, delivery=self.delivery, thinking=self.thinking, wheel=self.wheel)
        return Registry(
            store=ports.store,
            journal=ports.journal,
            seats=ports.seats,
            directory=ports.directory,
            parking=ports.parking,
            vault=ports.vault,
            clock=self.clock,
            tasks=self.tasks,
            around=Around(
                book=self.shelf.book,
                claims=dispatch.claims,
                publish=dispatch.publish,
                merged=self._merged,
                fetch_flow=self.shelf.fetch,
                taken_over=self.delivery.spilled.line_up,
                elsewhere=self.hinting.elsewhere,
                erased=self._erased,
                telling=self.announcing,
                step=step if self._tracing is None else self._tracing.step,
            ),
            lease_seconds=sizes.lease_seconds,
            mailbox_limit=sizes.mailbox_limit,
            commit_most=sizes.batch_limit,
        )

    def _draining(self, sizes: Sizes) -> Draining:
        ports = self._ports
        return Draining(
            me=self.me,
            spool=ports.spool,
            spooling=self.spooling,
            journalling=self.journalling,
            reports=self.reports,
            quarantine=ports.quarantine,
            vault=ports.vault,
            clock=self.clock,
            most=sizes.batch_limit,
        )

    def _sweep(self, sizes: Sizes, watches: Sequence[Watch]) -> Sweep:
        ports = self._ports
        return Sweep(
            me=self.me,
            lease_seconds=sizes.lease_seconds,
            idle_seconds=sizes.actor_idle,
            journal=ports.journal,
            outbox=ports.outbox,
            effects=ports.effects,
            timers=ports.timers,
            replicas=ports.replicas,
            vault=ports.vault,
            registry=self.registry,
            delivery=self.delivery,
            thinking=self.thinking,
            wheel=self.wheel,
            clock=self.clock,
            watches=(
                *watches,
                Watch(every=WATCH_SECONDS, look=self.thinking.refresh),
                Watch(every=0.0, look=self.erasing.look),
                Watch(every=REFRESH_SECONDS, look=self.announcing.refresh),
            ),
        )

    def _erased(self, customer: CustomerId) -> None:
        self.erasing.stray(customer)

    def _merged(self) -> None:
        self.intake.forget()

    def _departed(self) -> None:
        self.tasks.spawn(self.sweep.left_behind(), "departed")

    def _timer_fired(
        self, customer: CustomerId, event: TimerFired, *, key: bytes, done: Callable[[bool | Exception], None]
    ) -> None:
        self.intake.post(customer, event, key=key, done=done)

    def _answered(self, customer: CustomerId, outcome: Outcome) -> None:
        self.intake.post(customer, outcome, key=event_key("ask", outcome.ask_id))

    async def _send_failed(self, customer: CustomerId, event: SendFailed) -> None:
        await self.intake.tell(customer, event, key=event_key("failed", event.message_id))
