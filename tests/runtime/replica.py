"""Replicas of the service over stores in memory: built as `bot.app` builds them, only without a network."""

import asyncio
from collections.abc import Sequence

import msgspec

from bot.core.book import Book, Rules
from bot.core.events import MessageReceived, Sender, SendFailed, TimerFired
from bot.core.flow import Flow
from bot.core.ids import CustomerId
from bot.core.messages import Inbound, Text
from bot.core.state import Conversation, decode_conversation
from bot.runtime.breaker import Breaker
from bot.runtime.delivery_reports import Reports
from bot.runtime.desk import Acting
from bot.runtime.dispatch import Dispatch
from bot.runtime.flows import Bookshelf
from bot.runtime.intake import Intake, Tally
from bot.runtime.letters import event_key
from bot.runtime.outbox import Delivery, Limits
from bot.runtime.registry import Around, Registry
from bot.runtime.sweep import Sweep, Watch
from bot.runtime.tasks import Tasks
from bot.runtime.thinking import Caps, Outcome, Thinking
from bot.runtime.timers import TimerWheel
from bot.runtime.writer import STATE_CONTEXT
from bot.wire.msg91.deliveries import Received
from tests.runtime.memory.directory import MemoryDirectory
from tests.runtime.memory.journal import MemoryJournal, MemoryParking
from tests.runtime.memory.link import Link
from tests.runtime.memory.outbox import MemoryOutbox
from tests.runtime.memory.outside import MemoryChannel, MemoryModel
from tests.runtime.memory.rest import (
    MemoryEffects,
    MemoryFlowVersions,
    MemoryQuarantine,
    MemoryReplicas,
    MemoryTimers,
)
from tests.runtime.memory.seats import MemorySeats, Places
from tests.runtime.memory.store import MemoryStore
from tests.runtime.memory.tables import Tables
from tests.runtime.memory.vault import MemoryVault
from tests.runtime.simulated_clock import SimulatedClock

PHONE = "919876543210"
NUMBER = "919000000001"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    lease: float = 10.0
    idle: float = 60.0
    mailbox: int = 64
    batch: int = 256
    intake: int = 1000
    parcels: int = 1000
    delivery_workers: int = 4
    model_workers: int = 2
    waiting: int = 10
    give_up: float = 3600.0
    burst: int = 45
    interval: float = 6.0
    fail_max: int = 3
    day_usd: float = 100.0
    conversation_usd: float = 1.0


def book_of(*flows: Flow, version: str = "1", **rules: object) -> Book:
    """A book of these flows; without a quiet moment unless the rules have one."""
    made = msgspec.structs.replace(Rules(quiet_moment=0.0), **rules)
    return Book(
        version=version,
        rules=made,
        flows={flow.flow_id: flow for flow in flows},
        versions={flow.digest: flow for flow in flows},
    )


class World:
    """What replicas share: the stores, the provider, the models and time."""

    def __init__(self, book: Book | None = None) -> None:
        self.clock = SimulatedClock()
        self.tables = Tables()
        self.places: Places = {}
        self.vault = MemoryVault()
        self.channel = MemoryChannel()
        self.model = MemoryModel()
        self.book = book or book_of()
        self.wamids = 0

    def customer(self, phone: str = PHONE) -> CustomerId:
        return self.tables.identities["phone", phone]

    def conversation(self, phone: str = PHONE) -> Conversation:
        """The stored state of a customer."""
        user = self.tables.users[self.customer(phone)]
        if user.state is None:
            return Conversation()
        return decode_conversation(self.vault.customer(user.data_key).open(user.state, STATE_CONTEXT))

    def channel_text(self, message: str) -> str:
        """What reached the provider under our reference; empty when nothing did."""
        return next((sent.text for sent in self.channel.sent if sent.reference == message), "")

    def message(self, text: str | Inbound, phone: str = PHONE, **changes: object) -> MessageReceived:
        self.wamids += 1
        content = Text(text=text) if isinstance(text, str) else text
        event = MessageReceived(
            provider_id=f"wamid.in.{self.wamids}", sender=Sender(phone=phone), content=content, number=NUMBER
        )
        return msgspec.structs.replace(event, **changes)


class Replica:
    """One process of the service. `database` and `redis` are its links, to be cut or held."""

    def __init__(self, world: World, me: str = "r1", settings: Settings | None = None) -> None:
        self.world, self.me, self.settings = world, me, settings or Settings()
        self.database, self.redis = Link(), Link()
        self.clock = world.clock
        self.tasks = Tasks()
        tables, link, clock, settings = world.tables, self.database, world.clock, self.settings
        self.problems: Sequence[str] = ()
        self.shelf = Bookshelf(
            load=lambda: (None if self.problems else world.book, self.problems),
            compile_source=self._compile,
            versions=MemoryFlowVersions(tables, link),
            clock=clock,
            tasks=self.tasks,
        )
        outbox = MemoryOutbox(tables, link, clock)
        effects = MemoryEffects(tables, link, clock)
        directory = MemoryDirectory(tables, link, world.vault)
        journal, parking = MemoryJournal(tables, link, clock), MemoryParking(tables, link)
        self.replicas = MemoryReplicas(tables, link, clock)
        self.breaker = Breaker("msg91", fail_max=settings.fail_max, reset_timeout=10.0, clock=clock.monotonic)
        self.reports = Reports(outbox=outbox, clock=clock, most=settings.batch)
        self.wheel = TimerWheel(clock=clock, fire=self._timer_fired)
        self.delivery = Delivery(
            channel=world.channel,
            outbox=outbox,
            clock=clock,
            breaker=self.breaker,
            limits=Limits(
                rate=1e9,
                burst=settings.burst,
                interval=settings.interval,
                give_up=settings.give_up,
                parcels=settings.parcels,
                workers=settings.delivery_workers,
            ),
            failed=self._send_failed,
            default_number=NUMBER,
            me=me,
            most=settings.batch,
        )
        self.thinking = Thinking(
            model=world.model,
            effects=effects,
            clock=clock,
            caps=Caps(
                conversation_usd=settings.conversation_usd,
                day_usd=settings.day_usd,
                waiting=settings.waiting,
                workers=settings.model_workers,
            ),
            customer_hash=str,
            answered=self._answered,
        )
        self.dispatch = Dispatch(me=me, delivery=self.delivery, thinking=self.thinking, wheel=self.wheel)
        self.registry = Registry(
            store=MemoryStore(tables, link),
            journal=journal,
            seats=MemorySeats(world.places, self.redis, clock, me=me, lease=settings.lease),
            directory=directory,
            parking=parking,
            vault=world.vault,
            clock=clock,
            tasks=self.tasks,
            around=Around(
                book=self.shelf.book,
                claims=self.dispatch.claims,
                publish=self.dispatch.publish,
                merged=self._merged,
                fetch_flow=self.shelf.fetch,
                taken_over=self.delivery.spilled.line_up,
            ),
            lease_seconds=settings.lease,
            mailbox_limit=settings.mailbox,
            commit_most=settings.batch,
        )
        self.intake = Intake(
            journal=journal,
            directory=directory,
            quarantine=MemoryQuarantine(tables, link),
            reports=self.reports,
            vault=world.vault,
            tell=self.registry.tell,
            clock=clock,
            limit=settings.intake,
            most=settings.batch,
        )
        self.reports.connect(failed=self.delivery.reported_failed, proven=self.delivery.proofs.reported)
        self.desk = Acting(
            intake=self.intake,
            registry=self.registry,
            directory=directory,
            parking=parking,
            shelf=self.shelf,
            clock=clock,
        )
        self.sweep = Sweep(
            me=me,
            lease_seconds=settings.lease,
            idle_seconds=settings.idle,
            journal=journal,
            outbox=outbox,
            effects=effects,
            timers=MemoryTimers(tables, link),
            replicas=self.replicas,
            vault=world.vault,
            registry=self.registry,
            delivery=self.delivery,
            thinking=self.thinking,
            wheel=self.wheel,
            clock=clock,
            watches=(Watch(every=5.0, look=self.thinking.refresh),),
        )

    async def start(self, *, sweeping: bool = True) -> "Replica":
        await self.shelf.reload()
        await self.sweep.round()
        self.delivery.start()
        self.thinking.start()
        if sweeping:
            self.tasks.spawn(self.sweep.run(), "sweep")
        return self

    async def die(self) -> None:
        """Vanish: nothing is finished, nothing is said."""
        self.database.down = self.redis.down = True
        await self.end()

    async def end(self) -> None:
        """Let go of every task, so that a test leaves none."""
        self.wheel.close()
        await self.tasks.cancel()
        await self.thinking.stop()
        for worker in self.delivery._workers:
            worker.cancel()
        await asyncio.gather(*self.delivery._workers, return_exceptions=True)

    async def hear(self, text: str | Inbound, phone: str = PHONE, **changes: object) -> Tally:
        """A webhook with one message: returns when it is durable."""
        return await self.intake.accept([Received(event=self.world.message(text, phone, **changes))])

    async def say(self, text: str, phone: str = PHONE) -> None:
        """A message and all that comes of it at this moment."""
        await self.hear(text, phone)
        await self.clock.settled()

    def _compile(self, source: str) -> Flow:
        for flow in self.world.book.versions.values():
            if flow.source == source:
                return flow
        raise ValueError("it does not compile")

    def _merged(self) -> None:
        self.intake.forget()

    def _timer_fired(self, customer: CustomerId, event: TimerFired, key: bytes) -> None:
        self.intake.post(customer, event, key=key)

    def _answered(self, customer: CustomerId, outcome: Outcome) -> None:
        self.intake.post(customer, outcome, key=event_key("ask", outcome.ask_id))

    async def _send_failed(self, customer: CustomerId, event: SendFailed) -> None:
        await self.intake.tell(customer, event, key=event_key("failed", event.message_id))
