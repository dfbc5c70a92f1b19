"""Two releases at once: what only the newer one knows is left to its replicas, and no customer notices."""

import pytest

from bot import metrics
from bot.core.events import Envelope, Sender, encode_envelope
from bot.core.ids import TimerId
from bot.ports.journal import Entry
from bot.ports.keys import Sealer
from bot.ports.store import TimerRow
from bot.runtime.letters import event_key
from bot.runtime.setbacks import NEWER_SECONDS
from tests.runtime.books import echo_book
from tests.runtime.conftest import Starting
from tests.runtime.memory.tables import Timer
from tests.runtime.memory.vault import MemoryVault
from tests.runtime.replica import PHONE, Replica, World
from tests.runtime.simulated_clock import SimulatedClock

EVENT, NEW_EVENT = b"\xb0message_received", b"\xb0question_arrived"
MODE, NEW_MODE = b"\xa4mode\xa5model", b"\xa4mode\xa5dream"


class NewerSealer:
    """What a newer release seals has another event and another mode, which only that release reads."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def seal(self, plain: bytes, context: bytes = b"") -> bytes:
        return self._sealer.seal(plain.replace(EVENT, NEW_EVENT).replace(MODE, NEW_MODE), context)

    def open(self, sealed: bytes, context: bytes = b"") -> bytes:
        return self._sealer.open(sealed, context).replace(NEW_EVENT, EVENT).replace(NEW_MODE, MODE)


class NewerVault(MemoryVault):
    def seal(self, plain: bytes, context: bytes = b"") -> bytes:
        return super().seal(plain.replace(EVENT, NEW_EVENT), context)

    def open(self, sealed: bytes, context: bytes = b"") -> bytes:
        return super().open(sealed, context).replace(NEW_EVENT, EVENT)

    def customer(self, wrapped: bytes) -> Sealer:
        return NewerSealer(super().customer(wrapped))


@pytest.fixture
def world() -> World:
    return World(echo_book())


async def newer(world: World, starting: Starting, me: str = "new") -> Replica:
    """A replica of the newer release; those that began before it stay what they are."""
    world.vault = NewerVault()
    return await starting(me)


async def journalled(world: World, replica: Replica, text: str) -> None:
    """A message that is in the journal and of which no actor was told."""
    event = world.message(text)
    key = event_key(event.provider_id)
    envelope = Envelope(event=event, at=world.clock.now(), seed=world.clock.seed())
    customer = await replica.intake.resolve(Sender(phone=PHONE))
    sealed = world.vault.seal(encode_envelope(envelope), key)
    entry = Entry(dedup=key, customer=customer, kind="message_received", sealed=sealed, at=envelope.at)
    await replica._ports.journal.append([entry])


def heard(world: World) -> list[str]:
    """The numbers of the customer's messages in the order of the transcript."""
    rows = sorted(world.tables.messages.values(), key=lambda row: row.seq)
    return [one.row.provider_id.rpartition(".")[2] for one in rows if one.row.direction == "inbound"]


def unread(world: World) -> int:
    return sum(row.consumed_at is None for row in world.tables.journal.values())


def counted(what: str) -> float:
    return float(metrics.newer_total.labels(what)._value.get())


async def test_an_event_that_only_a_newer_release_knows_is_left_to_its_replicas(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    old = await starting("old")
    await old.say("one")
    new = await newer(world, starting)
    before = counted("journal")
    await journalled(world, new, "two")
    await old.hear("three")
    await clock.advance(6)
    assert counted("journal") > before
    assert heard(world) == ["1", "2", "3"]
    assert (unread(world), world.tables.parked) == (0, {})


async def test_a_state_that_only_a_newer_release_knows_waits_for_its_replicas(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    new = await newer(world, starting)
    await new.say("one")
    world.vault = MemoryVault()
    old = await starting("old")
    await new.registry.leave()
    await new.die()
    before = counted("state")
    await old.hear("two")
    await clock.advance(NEWER_SECONDS / 2)
    assert counted("state") > before
    assert heard(world) == ["1"]
    await newer(world, starting, "new again")
    await clock.advance(15)
    assert heard(world) == ["1", "2"]
    assert (unread(world), world.tables.parked) == (0, {})


async def test_what_no_newer_replica_comes_for_is_parked_and_nothing_is_lost(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    old = await starting("old")
    await old.say("one")
    new = await newer(world, starting)
    await journalled(world, new, "two")
    await new.die()
    await old.hear("three")
    await clock.advance(NEWER_SECONDS - 10)
    assert world.tables.parked == {}
    await clock.advance(30)
    (parked,) = world.tables.parked.values()
    assert (parked.error, parked.attempts) == ("this release does not know the event in the journal row", 3)
    assert (heard(world), unread(world)) == (["1"], 2)


async def test_a_timer_of_a_kind_that_only_a_newer_release_knows_holds_up_no_other(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    old = await starting("old", sweeping=False)
    await old.say("one")
    customer = world.customer()
    (known,) = [timer for timer in world.tables.timers.values() if timer.row.kind == "session"]
    row = TimerRow(id=TimerId("0" * 8), kind="birthday", due=clock.now())
    world.tables.timers[row.id] = Timer(customer=customer, row=row)
    before = counted("timer")
    await clock.advance(known.row.due - clock.now() + 1)
    await old.sweep.round()
    await clock.settled()
    assert counted("timer") == before + 1
    assert known.row.id not in world.tables.timers
    assert row.id in world.tables.timers
