"""One replica: a process with the engine that the service runs, over stores that everybody shares."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import orjson

from bot.core.book import Book
from bot.core.flow import Flow
from bot.core.ids import JournalSeq
from bot.ports.failures import Unavailable
from bot.ports.hints import Hint
from bot.ports.journal import Entry
from bot.ports.store import Write
from bot.runtime.engine import Engine, Ports
from bot.runtime.intake import Overloaded
from bot.runtime.lease import held_seconds
from bot.wire.msg91.callbacks import read_webhook
from tests.runtime.memory import journal
from tests.runtime.memory.directory import MemoryDirectory
from tests.runtime.memory.erasures import MemoryErasures
from tests.runtime.memory.hints import Box, Boxes, MemoryHints
from tests.runtime.memory.journal import MemoryJournal, MemoryParking
from tests.runtime.memory.link import Link
from tests.runtime.memory.outbox import MemoryOutbox
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
from tests.runtime.replica import NUMBER, Settings, sizes_of
from tests.simulation.chance import Chance
from tests.simulation.clock import SimulatedTime
from tests.simulation.history import Commit, History
from tests.simulation.loop import Process, SimulatedLoop
from tests.simulation.network import SimulatedLink, Site
from tests.simulation.provider import Provider, SimulatedModel
from tests.simulation.trace import Trace

T = TypeVar("T")

DRAIN_SECONDS = 5.0


class Broken(Exception):
    """The connection to a replica broke or timed out: whoever asked does not know what became of it."""


class Ground:
    """What all replicas stand on: the stores, the provider, the models, time and the network."""

    def __init__(self, loop: SimulatedLoop, chance: Callable[[str], Chance], trace: Trace, history: History) -> None:
        self.loop, self.chance, self.trace, self.history = loop, chance, trace, history
        self.clock = SimulatedTime(loop, chance("stores"))
        self.tables = Tables()
        self.places: Places = {}
        self.boxes: Boxes = {}
        self.queue = Queue()
        self.hints_lost = 0.0
        """Share of the hints that are lost; as many come late, and as many twice."""
        self.vault = MemoryVault()
        self.database = Site("postgres", typical=0.002, timeout=3.0)
        self.redis = Site("redis", typical=0.0005, timeout=0.5)


class RecordingStore(MemoryStore):
    """The store, with a list of the writes that took effect."""

    def __init__(self, tables: Tables, link: Link, history: History, trace: Trace) -> None:
        super().__init__(tables, link)
        self._history = history
        self._trace = trace

    def _apply(self, write: Write) -> None:
        super()._apply(write)
        outbound = [row for row in write.messages if row.direction == "outbound"]
        made = [(row.id, row.delivery_status, row.claimed_by) for row in outbound]
        self._trace.detail(f"commit of {write.customer} at {write.version}: {write.consumed} -> {made}")
        self._history.commits.append(
            Commit(customer=write.customer, version=write.version, consumed=write.consumed, write=write)
        )


class RecordingJournal(MemoryJournal):
    """The journal, with the moment at which each event came to stand in it.

    As in PostgreSQL a number is drawn before the row can be seen, so a row with a smaller number may appear later.
    """

    def __init__(self, tables: Tables, link: Link, ground: Ground) -> None:
        super().__init__(tables, link, ground.clock)
        self._ground = ground

    async def append(self, entries: Sequence[Entry]) -> Sequence[JournalSeq | None]:
        drawn = [self._tables.number() for _ in entries]
        return await self._link.call("journal.append", lambda: self._append(entries, drawn))

    def _append(self, entries: Sequence[Entry], drawn: Sequence[int]) -> Sequence[JournalSeq | None]:
        tables, numbers = self._tables, self._tables._numbers
        tables._numbers = itertools.chain(drawn, numbers)  # type: ignore[assignment]
        places = journal.append(tables, entries)
        tables._numbers = numbers
        for seq in filter(None, places):
            self._ground.history.journalled.setdefault(seq, self._ground.loop.time())
        return places


class LossyHints(MemoryHints):
    """Hints of which some are lost, late, or come twice."""

    def __init__(self, link: Link, ground: Ground, *, me: str) -> None:
        super().__init__(ground.boxes, link, ground.clock, me=me)
        self._ground = ground

    async def send(self, hints: Sequence[Hint]) -> None:
        await self._link.call("hints.send", lambda: self._put(hints))

    def _put(self, hints: Sequence[Hint]) -> None:
        chance, lost = self._ground.chance("hints"), self._ground.hints_lost
        for hint in hints:
            if chance.happens(lost):
                self._ground.trace.note("hint lost", hint.to)
                continue
            for _ in range(2 if chance.happens(lost) else 1):
                delay = chance.soon(2.0) if chance.happens(lost) else 0.0
                box = self._boxes.setdefault(hint.to, Box())
                outside = self._ground.loop.outside.context
                self._ground.loop.call_later(delay, box.put, hint.words, context=outside)


class Replica:
    """A process, its links and its engine. `serving`: it takes webhooks. `stopping`: it was told to end."""

    def __init__(self, ground: Ground, name: str, settings: Settings, book: Book, provider: Provider) -> None:
        chance = ground.chance(name)
        self.name = name
        self.ground = ground
        self.process = Process(name)
        self.process.at_death.append(self._break_connections)
        self.clock = SimulatedTime(ground.loop, chance)
        self.database = SimulatedLink(ground.loop, self.process, ground.database, chance, ground.trace)
        self.redis = SimulatedLink(ground.loop, self.process, ground.redis, chance, ground.trace)
        self.model = SimulatedModel(chance, ground.trace)
        self.serving = False
        self.stopping = False
        self._book = book
        self._settings = settings
        self._asked: dict[asyncio.Future[Any], None] = {}
        self.engine = Engine(
            me=name,
            ports=self._ports(provider),
            sizes=sizes_of(settings),
            clock=self.clock,
            load=lambda: (book, ()),
            compile_source=self._compile,
            default_number=NUMBER,
        )

    async def start(self) -> None:
        """Within the process: as the service starts. Raises `Unavailable`: then the process ends, and another comes."""
        await self.engine.shelf.reload()
        await self.engine.start()
        self.serving = True

    async def stop(self) -> None:
        """Within the process: what SIGTERM does."""
        self.serving = False
        await self.engine.stop(DRAIN_SECONDS)

    async def take_webhook(self, body: object) -> int:
        """Within the process: what `bot.web.webhook` does, without HTTP. The status."""
        if not self.serving:
            return 503
        delivery = read_webhook(orjson.dumps(body), our_numbers=frozenset({NUMBER}))
        if delivery.problem is not None:
            return 400
        try:
            await self.engine.intake.accept(delivery.items)
        except (Overloaded, Unavailable):
            return 503
        return 200

    async def ask(self, work: Callable[[], Coroutine[Any, Any, T]], *, patience: float) -> T:
        """From outside: have `work` done in the process and hear its answer. Raises `Broken`."""
        loop, chance = self.ground.loop, self.ground.chance("network")
        answer: asyncio.Future[T] = loop.create_future()

        def begin() -> None:
            if not self.process.alive:
                _break(answer)
                return
            self._asked[answer] = None
            task = loop.spawn(self.process, _outcome(work), f"request to {self.name}")
            task.add_done_callback(lambda done: loop.call_later(chance.heavy(0.002), end, done), context=outside)

        def end(done: asyncio.Task[T | Exception]) -> None:
            self._asked.pop(answer, None)
            if answer.done():
                return
            result = Broken() if done.cancelled() else done.result()
            if isinstance(result, Exception):
                answer.set_exception(result)
            else:
                answer.set_result(result)

        outside = loop.outside.context
        loop.call_later(chance.heavy(0.002), begin, context=outside)
        expiry = loop.call_later(patience, _break, answer, context=outside)
        try:
            return await answer
        finally:
            expiry.cancel()

    def _break_connections(self) -> None:
        for answer in self._asked:
            _break(answer)
        self._asked.clear()

    def _ports(self, provider: Provider) -> Ports:
        ground, link, clock = self.ground, self.database, self.ground.clock
        tables = ground.tables
        return Ports(
            store=RecordingStore(tables, link, ground.history, ground.trace),
            journal=RecordingJournal(tables, link, ground),
            directory=MemoryDirectory(tables, link, ground.vault),
            quarantine=MemoryQuarantine(tables, link),
            parking=MemoryParking(tables, link),
            past=MemoryPast(tables, link),
            outbox=MemoryOutbox(tables, link, clock),
            effects=MemoryEffects(tables, link, clock),
            erasures=MemoryErasures(tables, link, clock),
            timers=MemoryTimers(tables, link),
            replicas=MemoryReplicas(tables, link, clock),
            flow_versions=MemoryFlowVersions(tables, link),
            seats=MemorySeats(ground.places, self.redis, clock, me=self.name, lease=held_seconds(self._settings.lease)),
            hints=LossyHints(self.redis, ground, me=self.name),
            spool=MemorySpool(ground.queue, self.redis, clock),
            channel=provider,
            model=self.model,
            vault=ground.vault,
            webhooks=MemoryWebhooks(tables, link, clock),
            courier=MemoryCourier(),
        )

    def _compile(self, source: str) -> Flow:
        found: Sequence[Flow] = [flow for flow in self._book.versions.values() if flow.source == source]
        if not found:
            raise ValueError("it does not compile")
        return found[0]


async def _outcome(work: Callable[[], Coroutine[Any, Any, T]]) -> T | Exception:
    try:
        return await work()
    except Exception as error:  # noqa: BLE001 - whoever asked hears of it
        return error


def _break(answer: asyncio.Future[Any]) -> None:
    if not answer.done():
        answer.set_exception(Broken())
        answer.exception()
