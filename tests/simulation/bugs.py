"""The bugs themselves: what is replaced by what, in the code or in what a store promises; `mutations.py` lists them."""

import asyncio
import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from bot.core.ids import CustomerId, JournalSeq
from bot.ports.failures import Unavailable
from bot.ports.journal import Entry
from bot.ports.outbox import Orphan
from bot.ports.spool import Spooled
from bot.ports.store import Write
from bot.runtime import lease, letters, seating
from bot.runtime.actor import Actor
from bot.runtime.committer import Attempt, Committer
from bot.runtime.dispatch import Dispatch
from bot.runtime.draining import Draining
from bot.runtime.engine import Engine
from bot.runtime.gate import Gate
from bot.runtime.hints import Hinting
from bot.runtime.intake import Intake
from bot.runtime.outbox import Delivery
from bot.runtime.parcels import Parcel
from bot.runtime.registry import Registry
from bot.runtime.spilled import Spilled
from bot.runtime.spooling import Spooling
from bot.runtime.sweep import Sweep
from bot.runtime.thinking import Outcome
from bot.runtime.waiter import Tally
from bot.runtime.writer import Claims
from bot.wire.msg91.deliveries import Item
from tests.runtime.memory import journal
from tests.runtime.memory.outbox import MemoryOutbox
from tests.runtime.memory.store import MemoryStore
from tests.runtime.memory.tables import Tables

Patch = tuple[object, str, object]
"""What is replaced: the owner, the name, and the new value."""


@contextlib.contextmanager
def replaced(owner: object, name: str, value: object) -> Iterator[None]:
    """`owner.name` is `value` inside."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


# --- what the store promises -----------------------------------------------------------------------------------------


def version_guard_skipped() -> Sequence[Patch]:
    def guarded(self: MemoryStore, write: Write, before: int) -> bool:
        return all(self._tables.journal[seq].consumed_at is None for seq in write.consumed)

    return [(MemoryStore, "_guarded", guarded)]


def earlier_event_overlooked() -> Sequence[Patch]:
    def guarded(self: MemoryStore, write: Write, before: int) -> bool:
        return write.version == before == self._tables.users[write.customer].version

    return [(MemoryStore, "_guarded", guarded)]


def dedup_key_forgotten() -> Sequence[Patch]:
    before = journal._append

    def append(tables: Tables, entry: Entry, given: set[JournalSeq]) -> JournalSeq | None:
        known = tables.dedups.pop(entry.dedup, None)
        seq = before(tables, entry, given)
        if known is not None:
            tables.dedups[entry.dedup] = known
        return seq

    return [(journal, "_append", append)]


def state_without_effects() -> Sequence[Patch]:
    before = MemoryStore._apply

    def apply(self: MemoryStore, write: Write) -> None:
        before(self, msgspec.structs.replace(write, messages=write.messages[:1]))

    return [(MemoryStore, "_apply", apply)]


def state_without_marks() -> Sequence[Patch]:
    before = MemoryStore._apply

    def apply(self: MemoryStore, write: Write) -> None:
        before(self, write)
        for seq in write.consumed[1:]:
            self._tables.journal[seq].consumed_at = None

    return [(MemoryStore, "_apply", apply)]


def orphans_of_the_living() -> Sequence[Patch]:
    before = MemoryOutbox._orphans

    def orphans(self: MemoryOutbox, me: str, limit: int, turn: int, since: int) -> list[Orphan]:
        with replaced(self._tables, "live", lambda now: set()):
            return before(self, me, limit, turn, since)

    return [(MemoryOutbox, "_orphans", orphans)]


# --- what the runtime does -------------------------------------------------------------------------------------------


def acknowledged_before_durable() -> Sequence[Patch]:
    before = Intake.accept

    async def accept(self: Intake, items: Sequence[Item]) -> Tally:
        async def later() -> None:
            with contextlib.suppress(Exception):
                await before(self, items)

        tasks.append(asyncio.get_running_loop().create_task(later()))
        return Tally()

    tasks: list[asyncio.Task[None]] = []
    return [(Intake, "accept", accept)]


def sent_before_marked() -> Sequence[Patch]:
    claims, publish = Dispatch.claims, Dispatch.publish
    unmarked: list[Claims] = []

    def claim(self: Dispatch, customer: CustomerId) -> Claims:
        found = claims(self, customer)
        if found.head_status == "sending":
            found.head_status = "pending"
            unmarked.append(found)
        return found

    def publishing(self: Dispatch, customer: Any, conversation: Any, effects: Any, told: Claims) -> None:
        if told in unmarked:
            told.head_status = "sending"
        publish(self, customer, conversation, effects, told)

    return [(Dispatch, "claims", claim), (Dispatch, "publish", publishing)]


def published_before_the_commit() -> Sequence[Patch]:
    begin, commit = Registry._commit, Committer.commit
    publishers: dict[Committer, Any] = {}

    def beginning(self: Registry, actor: Actor, steps: Any) -> None:
        publishers[self._committer] = self._around.publish
        begin(self, actor, steps)

    def committing(self: Committer, attempt: Attempt) -> None:
        publishers[self](attempt.actor.customer, attempt.conversation, attempt.effects, attempt.claims)
        commit(self, attempt)

    def nothing(self: Registry, actor: Actor, attempt: Attempt) -> None:
        around, self._around = self._around, msgspec.structs.replace(self._around, publish=lambda *_: None)
        effect(self, actor, attempt)
        self._around = around

    effect = Registry._take_effect
    return [
        (Registry, "_commit", beginning),
        (Committer, "commit", committing),
        (Registry, "_take_effect", nothing),
    ]


def journal_not_swept() -> Sequence[Patch]:
    async def forgotten(self: Sweep, *_: Any) -> None:
        """Nothing was forgotten."""

    return [(Sweep, "_forgotten", forgotten)]


def orphans_not_swept() -> Sequence[Patch]:
    async def orphans(self: Sweep) -> None:
        """Nobody died."""

    return [(Sweep, "_orphan_messages", orphans)]


def outcome_without_its_key() -> Sequence[Patch]:
    numbers = itertools.count()

    def answered(self: Engine, customer: CustomerId, outcome: Outcome) -> None:
        self.intake.post(customer, outcome, key=letters.event_key("ask", str(next(numbers))))

    return [(Engine, "_answered", answered)]


def refused_snapshot_believed() -> Sequence[Patch]:
    def is_of_use(seat: Any, actor: Actor) -> bool:
        return seat.snapshot is not None

    return [(seating, "_is_of_use", is_of_use)]


def nobody_lines_up() -> Sequence[Patch]:
    async def line_up(self: Spilled, customers: Sequence[CustomerId]) -> None:
        """Whoever was taken over has nothing to wait for."""

    return [(Spilled, "line_up", line_up)]


def lapsed_claims_trusted() -> Sequence[Patch]:
    return [(Gate, "lapsed", property(lambda _: False))]


def claims_left_before_the_drain() -> Sequence[Patch]:
    before = Engine._drain

    async def drain(self: Engine, seconds: float) -> None:
        with contextlib.suppress(Unavailable):
            await self._ports.replicas.leave(self.me)
        await before(self, seconds)

    return [(Engine, "_drain", drain)]


def uncertain_send_not_counted() -> Sequence[Patch]:
    before = Delivery.put

    def put(self: Delivery, parcel: Parcel) -> None:
        parcel.uncertain = False
        before(self, parcel)

    return [(Delivery, "put", put)]


def spool_overtaken() -> Sequence[Patch]:
    async def in_front(self: Spooling) -> bool:
        return False

    return [(Spooling, "in_front", in_front)]


def spool_emptied_before_the_append() -> Sequence[Patch]:
    before = Draining._first

    async def first(self: Draining) -> Sequence[Spooled]:
        found = await before(self)
        await self._spool.remove([entry.id for entry in found])
        return found

    return [(Draining, "_first", first)]


def alive_for_two_leases() -> Sequence[Patch]:
    return [(lease, "HELD_SHARE", 2.0)]


def nobody_hints() -> Sequence[Patch]:
    def elsewhere(self: Hinting, *_: Any) -> None:
        """The other one will see for itself."""

    return [(Hinting, "elsewhere", elsewhere)]
