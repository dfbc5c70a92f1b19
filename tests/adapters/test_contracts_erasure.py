"""The promises of erasure, held against the store in memory and the real one: what simulations rest on."""

import msgspec
import pytest

from bot.adapters.postgres.directory import PostgresDirectory
from bot.adapters.postgres.erasures import PostgresErasures
from bot.adapters.postgres.journal import PostgresJournal
from bot.adapters.postgres.outbox import PostgresOutbox
from bot.adapters.postgres.parking import PostgresParking
from bot.adapters.postgres.pool import Database
from bot.adapters.postgres.replicas import PostgresReplicas
from bot.adapters.postgres.store import PostgresStore
from bot.core.events import Sender
from bot.core.ids import CustomerId, JournalSeq
from bot.ports.directory import Directory
from bot.ports.erasures import Erasure, Erasures
from bot.ports.journal import Journal
from bot.ports.outbox import Outbox
from bot.ports.parking import Parking
from bot.ports.replicas import Replicas
from bot.ports.store import Store
from tests.adapters.rows import AT, conversation_row, entry, new_uuid, new_vault, note, outbound, timer_row, write
from tests.runtime.memory.directory import MemoryDirectory
from tests.runtime.memory.erasures import MemoryErasures
from tests.runtime.memory.journal import MemoryJournal, MemoryParking
from tests.runtime.memory.link import Link
from tests.runtime.memory.outbox import MemoryOutbox
from tests.runtime.memory.rest import MemoryReplicas
from tests.runtime.memory.store import MemoryStore
from tests.runtime.memory.tables import Tables
from tests.runtime.memory.vault import MemoryVault
from tests.runtime.simulated_clock import SimulatedClock

ANNA = Sender(phone="910000000001")


class Stores(msgspec.Struct):
    """One side: all ports over the same data."""

    directory: Directory
    erasures: Erasures
    journal: Journal
    outbox: Outbox
    parking: Parking
    replicas: Replicas
    store: Store

    async def customer(self) -> CustomerId:
        (customer,) = await self.directory.resolve([ANNA], lambda merge: entry(merge.kept))
        return customer

    async def erase(self) -> Erasure:
        erasure = await self.erasures.begin(ANNA.phone, key=b"key", by="admin", at=AT)
        assert erasure is not None
        return erasure

    async def status(self) -> str:
        report = await self.erasures.report(b"key")
        assert report is not None
        return report.status


@pytest.fixture(params=["memory", "postgres"])
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "memory":
        tables, link, clock = Tables(), Link(), SimulatedClock()
        return Stores(
            directory=MemoryDirectory(tables, link, MemoryVault()),
            erasures=MemoryErasures(tables, link, clock),
            journal=MemoryJournal(tables, link, clock),
            outbox=MemoryOutbox(tables, link, clock),
            parking=MemoryParking(tables, link),
            replicas=MemoryReplicas(tables, link, clock),
            store=MemoryStore(tables, link),
        )
    database: Database = request.getfixturevalue("database")
    vault = new_vault()
    return Stores(
        directory=PostgresDirectory(database, vault),
        erasures=PostgresErasures(database, vault),
        journal=PostgresJournal(database),
        outbox=PostgresOutbox(database, vault),
        parking=PostgresParking(database),
        replicas=PostgresReplicas(database, "0005"),
        store=PostgresStore(database),
    )


async def test_an_erased_customer_is_known_by_nothing_and_stale_for_everybody(stores: Stores) -> None:
    anna = await stores.customer()
    (waiting,) = await stores.journal.append([entry(anna)])
    assert waiting is not None
    await stores.erase()
    loaded = (await stores.store.load([anna]))[anna]
    assert (loaded.erased, loaded.state, loaded.data_key, loaded.version) == (True, None, b"", 1)
    assert await stores.store.commit([write(anna, waiting)]) == [False]
    assert (await stores.journal.unread([anna], 10))[anna] == []
    assert await stores.directory.known(ANNA) is None
    await stores.parking.park(anna, JournalSeq(1), "late", 3, AT)
    assert not (await stores.store.load([anna]))[anna].parked
    assert await stores.customer() != anna


async def test_its_unsent_messages_are_nobodys_and_late_notes_do_not_bring_them_back(stores: Stores) -> None:
    anna, talk = await stores.customer(), new_uuid()
    message = outbound(talk)
    rows = write(anna, conversations=(conversation_row(talk),), messages=(message,), timers=(timer_row(),))
    assert await stores.store.commit([rows]) == [True]
    await stores.replicas.beat("me", 60.0)
    await stores.erase()
    assert await stores.outbox.still_mine("me", [message.id]) == []
    await stores.outbox.note([note(message.id, "sending")])
    assert await stores.outbox.behind("other", [anna]) == []
    assert await stores.outbox.orphans("other", 10, turn=1) == []


async def test_it_is_done_when_worked_off_and_heard_by_all_who_live(stores: Stores) -> None:
    await stores.customer()
    for me in ("r1", "r2"):
        await stores.replicas.beat(me, 60.0)
    erasure = await stores.erase()
    assert [news.customers for news in await stores.erasures.unheard("r1")] == [erasure.customers]
    await stores.erasures.hear("r1", [erasure])
    await stores.erasures.work_off(erasure)
    await stores.erasures.finish()
    assert await stores.status() == "pending"
    await stores.replicas.leave("r2")
    await stores.erasures.finish()
    assert await stores.status() == "done"
    again = await stores.erase()
    assert (again.id, again.worked_off) == (erasure.id, True)
    assert await stores.erasures.take_up(0.0) is None


async def test_what_comes_after_it_is_moved_or_dropped(stores: Stores) -> None:
    anna = await stores.customer()
    await stores.erase()
    first, second = await stores.journal.append([entry(anna), entry(anna)])
    assert first is not None
    assert second is not None
    assert [row.seq for row in await stores.erasures.strays(anna, 10)] == [first, second]
    again = await stores.customer()
    await stores.erasures.settle(anna, {first: again}, [second], AT)
    assert await stores.erasures.strays(anna, 10) == []
    assert await stores.erasures.strays(again, 10) == []
    assert [row.seq for row in (await stores.journal.unread([again], 10))[again]] == [first]
