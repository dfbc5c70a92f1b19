"""Replicas of the service over stores in memory: the engine that `bot.app` runs, without a network."""

import asyncio
from collections.abc import Sequence

import msgspec

from bot.core.book import Book, Rules
from bot.core.events import MessageReceived, Sender
from bot.core.flow import Flow
from bot.core.ids import CustomerId
from bot.core.messages import Inbound, Text
from bot.core.state import Conversation, decode_conversation
from bot.runtime.engine import Engine, Ports, Sizes
from bot.runtime.lease import held_seconds
from bot.runtime.pacing import Limits
from bot.runtime.thinking import Caps
from bot.runtime.waiter import Tally
from bot.runtime.writer import STATE_CONTEXT
from bot.wire.msg91.deliveries import Received
from tests.runtime.memory.directory import MemoryDirectory
from tests.runtime.memory.erasures import MemoryErasures
from tests.runtime.memory.hints import Boxes, MemoryHints
from tests.runtime.memory.journal import MemoryJournal, MemoryParking
from tests.runtime.memory.link import Link
from tests.runtime.memory.outbox import MemoryOutbox
from tests.runtime.memory.outside import MemoryChannel, MemoryModel
from tests.runtime.memory.past import MemoryPast
from tests.runtime.memory.rest import (
    MemoryEffects,
    MemoryFlowVersions,
    MemoryQuarantine,
    MemoryReplicas,
    MemoryTimers,
)
from tests.runtime.memory.seats import MemorySeats, Places
from tests.runtime.memory.spool import MemorySpool, Queue
from tests.runtime.memory.store import MemoryStore
from tests.runtime.memory.tables import Tables
from tests.runtime.memory.vault import MemoryVault
from tests.runtime.memory.webhooks import MemoryCourier, MemoryWebhooks
from tests.runtime.simulated_clock import SimulatedClock

PHONE = "919876543210"
NUMBER = "919000000001"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    lease: float = 10.0
    idle: float = 60.0
    mailbox: int = 64
    batch: int = 256
    intake: int = 1000
    spool: int = 1000
    accept: float = 1.0
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


def sizes_of(settings: Settings) -> Sizes:
    return Sizes(
        lease_seconds=settings.lease,
        actor_idle=settings.idle,
        mailbox_limit=settings.mailbox,
        batch_limit=settings.batch,
        intake_limit=settings.intake,
        spool_limit=settings.spool,
        accept_timeout=settings.accept,
        breaker_failures=settings.fail_max,
        breaker_seconds=10.0,
        sending=Limits(
            rate=1e9,
            burst=settings.burst,
            interval=settings.interval,
            give_up=settings.give_up,
            parcels=settings.parcels,
            workers=settings.delivery_workers,
        ),
        thinking=Caps(
            conversation_usd=settings.conversation_usd,
            day_usd=settings.day_usd,
            waiting=settings.waiting,
            workers=settings.model_workers,
        ),
    )


class World:
    """What replicas share: the stores, the provider, the models and time."""

    def __init__(self, book: Book | None = None) -> None:
        self.clock = SimulatedClock()
        self.tables = Tables()
        self.places: Places = {}
        self.boxes: Boxes = {}
        self.queue = Queue()
        self.vault = MemoryVault()
        self.channel = MemoryChannel()
        self.model = MemoryModel()
        self.courier = MemoryCourier()
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


class Replica(Engine):
    """One process of the service. `database` and `redis` are its links, to be cut or held."""

    clock: SimulatedClock

    def __init__(self, world: World, me: str = "r1", settings: Settings | None = None) -> None:
        self.world, self.settings = world, settings or Settings()
        self.database, self.redis = Link(), Link()
        self.problems: Sequence[str] = ()
        self.replicas = MemoryReplicas(world.tables, self.database, world.clock)
        super().__init__(
            me=me,
            ports=self._ports_of(world, me),
            sizes=sizes_of(self.settings),
            clock=world.clock,
            load=lambda: (None if self.problems else world.book, self.problems),
            compile_source=self._compile,
            default_number=NUMBER,
        )

    def _ports_of(self, world: World, me: str) -> Ports:
        tables, link, clock = world.tables, self.database, world.clock
        return Ports(
            store=MemoryStore(tables, link),
            journal=MemoryJournal(tables, link, clock),
            directory=MemoryDirectory(tables, link, world.vault),
            quarantine=MemoryQuarantine(tables, link),
            parking=MemoryParking(tables, link),
            past=MemoryPast(tables, link),
            outbox=MemoryOutbox(tables, link, clock),
            effects=MemoryEffects(tables, link, clock),
            erasures=MemoryErasures(tables, link, clock),
            timers=MemoryTimers(tables, link),
            replicas=self.replicas,
            flow_versions=MemoryFlowVersions(tables, link),
            seats=MemorySeats(world.places, self.redis, clock, me=me, lease=held_seconds(self.settings.lease)),
            hints=MemoryHints(world.boxes, self.redis, clock, me=me),
            spool=MemorySpool(world.queue, self.redis, clock),
            channel=world.channel,
            model=world.model,
            vault=world.vault,
            webhooks=MemoryWebhooks(tables, link, clock),
            courier=world.courier,
        )

    async def begin(self, *, sweeping: bool = True) -> "Replica":
        """Read the flows and start."""
        await self.shelf.reload()
        await self.start(sweeping=sweeping)
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
