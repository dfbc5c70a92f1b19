"""Erasure in PostgreSQL: what is left of a customer, and what comes beside and after the transaction."""

import asyncio
from typing import Any

import asyncpg
import msgspec
import pytest

from bot.adapters.cipher import AesVault
from bot.adapters.postgres import erasures as erasures_module
from bot.adapters.postgres.directory import PostgresDirectory
from bot.adapters.postgres.effects import PostgresEffects
from bot.adapters.postgres.erasures import PostgresErasures
from bot.adapters.postgres.journal import PostgresJournal
from bot.adapters.postgres.outbox import PostgresOutbox
from bot.adapters.postgres.parking import PostgresParking
from bot.adapters.postgres.pool import Database
from bot.adapters.postgres.replicas import PostgresReplicas
from bot.adapters.postgres.store import PostgresStore
from bot.core.events import Sender
from bot.core.ids import ConversationId, CustomerId, EffectId, JournalSeq
from bot.ports.effects import ModelCall
from bot.ports.erasures import Erasure, ErasureReport
from bot.ports.failures import Unavailable
from bot.ports.journal import Unread
from bot.ports.store import Loaded
from bot.wire.msg91.reports import DeliveryReport, ReportStatus
from tests.acceptance.world import until
from tests.adapters.rows import (
    AT,
    conversation_row,
    effect_row,
    entry,
    inbound,
    new_uuid,
    new_vault,
    note,
    outbound,
    timer_row,
    write,
)

PHONE = "919876543210"
WAMID = "wamid.HBgMOTE5ODc2NTQzMjEwFQIAEhgg"
"""Contains the number, in base64."""


class World:
    """One customer with one conversation, and the adapters."""

    def __init__(self, database: Database, pool: asyncpg.Pool, vault: AesVault) -> None:
        self.pool = pool
        self.vault = vault
        self.directory = PostgresDirectory(database, vault)
        self.journal = PostgresJournal(database)
        self.store = PostgresStore(database)
        self.outbox = PostgresOutbox(database, vault)
        self.parking = PostgresParking(database)
        self.effects = PostgresEffects(database)
        self.replicas = PostgresReplicas(database, "0005")
        self.erasures = PostgresErasures(database, vault)
        self.talk = ConversationId(new_uuid())

    async def customer(self, phone: str = PHONE, user_id: str = "") -> CustomerId:
        sender = Sender(phone=phone, user_id=user_id)
        (customer,) = await self.directory.resolve([sender], lambda merge: entry(merge.kept))
        return customer

    async def talked(self, customer: CustomerId) -> None:
        """A conversation with everything in it that is not under the customer's key."""
        (heard, _) = await self.journal.append([entry(customer), entry(customer)])
        assert heard is not None
        theirs = inbound(self.talk, provider_id=WAMID)
        ours = (outbound(self.talk), outbound(self.talk, delivery_status="sending"))
        done = outbound(self.talk, delivery_status="sent", claimed_by="", provider_id=f"{WAMID}2")
        row = conversation_row(self.talk, escalation_reason=b"sealed")
        rows = write(
            customer,
            heard,
            conversations=(row,),
            messages=(theirs, done, *ours),
            effects=(effect_row(),),
            timers=(timer_row(),),
        )
        assert await self.store.commit([rows]) == [True]

    async def erase(self, phone: str = PHONE, key: bytes = b"key") -> Erasure:
        erasure = await self.erasures.begin(phone, key=key, by="admin", at=AT + 10)
        assert erasure is not None
        await self.erasures.work_off(erasure)
        return erasure

    async def value(self, sql: str, *arguments: Any) -> Any:
        return await self.pool.fetchval(sql, *arguments)


@pytest.fixture
async def world(database: Database, pool: asyncpg.Pool) -> World:
    return World(database, pool, new_vault())


async def test_what_lives_of_a_customer_ends_in_one_transaction(world: World) -> None:
    customer = await world.customer()
    await world.talked(customer)
    await world.parking.park(customer, JournalSeq(1), f"said {PHONE}", 3, AT)
    erasure = await world.erasures.begin(PHONE, key=b"key", by="admin", at=AT + 10)
    assert erasure is not None
    assert erasure.customers == (customer,)
    assert (await world.store.load([customer]))[customer] == Loaded(version=2, state=None, data_key=b"", erased=True)
    for table in ("identities", "timers", "effects", "parked"):
        assert await world.value(f"select count(*) from {table}") == 0
    assert await world.value("select count(*) from journal where consumed_at is null") == 0
    assert await world.value("select count(*) from messages where claimed_by <> ''") == 0
    talk = await world.pool.fetchrow("select status, extract(epoch from completed_at) from conversations")
    assert tuple(talk) == ("closed", AT + 10)
    assert await world.pool.fetchrow("select action, by_whom, user_id from audit") == (
        "customer_erased",
        "admin",
        customer,
    )
    assert await world.directory.known(Sender(phone=PHONE)) is None


async def test_working_off_empties_what_the_key_does_not_cover_and_counts_it(world: World) -> None:
    customer = await world.customer()
    await world.talked(customer)
    call = ModelCall(
        id=EffectId(new_uuid()), customer=customer, conversation=world.talk, outcome="answered", model="m",
        prompt_tokens=1, completion_tokens=1, cost_usd=0.5, estimated=False, attempts=1, seconds=1.0,
        generation_id="gen-1", at=AT,
    )  # fmt: skip
    await world.effects.account([call])
    await world.pool.execute(
        "insert into audit (action, by_whom, user_id, detail, note, created_at)"
        " values ('x', 'Ann', $1, 'd', 'n', now())",
        customer,
    )
    erasure = await world.erase()
    await world.effects.account([msgspec.structs.replace(call, id=EffectId(new_uuid()))])
    assert await world.erasures.report(b"key") == ErasureReport(
        status="pending", conversations=1, messages=2, events=2, cancelled=2, quarantined=0
    )
    rows = await world.pool.fetch("select content, sender_number, recipient_number, msg91_message_id from messages")
    assert {row["content"] + row["sender_number"] + row["recipient_number"] for row in rows} == {b""}
    assert {(row["msg91_message_id"] or "erased:")[:7] for row in rows} == {"erased:"}
    assert await world.value("select bool_and(sealed = '') from journal")
    assert await world.value("select sum(cost_usd) from model_calls where generation_id = ''") == 1
    assert await world.value("select escalation_reason from conversations") == b""
    assert await world.value("select bool_and(detail = '' and note = '') from audit")
    await world.erasures.work_off(erasure)
    assert (await world.erasures.report(b"key")).messages == 2  # type: ignore[union-attr]


async def test_many_messages_are_emptied_in_batches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasures_module, "MESSAGES_AT_ONCE", 3)
    monkeypatch.setattr(erasures_module, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(erasures_module, "CONVERSATIONS_AT_ONCE", 2)
    customer, other = await world.customer(), await world.customer("919876500001")
    await world.talked(other)
    talks = [new_uuid() for _ in range(5)]
    rows = tuple(inbound(talk) for talk in talks for _ in range(4))
    made = write(customer, conversations=tuple(conversation_row(talk) for talk in talks), messages=rows)
    assert await world.store.commit([made]) == [True]
    await world.erase()
    assert await world.value("select count(*) from messages where content = ''") == 20
    assert await world.value("select count(*) from messages where user_id = $1 and content <> ''", other) == 4
    assert await world.value("select count(*) from journal where sealed <> ''") == 2


async def test_what_the_provider_tells_late_says_nothing_about_the_customer(world: World) -> None:
    customer = await world.customer()
    await world.talked(customer)
    sending = await world.value("select id::text from messages where delivery_status = 'sending'")
    await world.erase()
    await world.outbox.note([note(sending, "sent", provider_id=f"{WAMID}9", request_id="r", reason=PHONE)])
    pending = await world.value(
        "select id::text from messages where direction = 'outbound' order by seq limit 1 offset 1"
    )
    await world.outbox.note([note(pending, "failed", reason=f"{PHONE} is unknown")])
    told_late: tuple[tuple[str, ReportStatus], ...] = (
        (f"{WAMID}9", "read"),
        (f"{WAMID}2", "failed"),
        (f"{WAMID}2", "delivered"),
    )
    for provider_id, status in told_late:
        report = DeliveryReport(provider_id=provider_id, status=status, recipient=PHONE, reason=PHONE)
        assert (await world.outbox.report([report], AT)).repeated == (False,)
    statuses = await world.value("select array_agg(delivery_status order by seq) from messages")
    assert statuses == ["received", "delivered", "failed", "read"]
    assert await world.value("select count(*) from reports") == 0
    assert await world.value("select bool_and(failure_reason = '') from messages")
    texts = "select string_agg(coalesce(msg91_message_id, '') || coalesce(request_id, '') || failure_reason, ' ')"
    told = await world.value(f"{texts} from messages")
    assert "wamid" not in told
    assert PHONE not in told


async def test_reports_that_wait_go_with_the_customer_and_others_stay(world: World) -> None:
    customer = await world.customer()
    await world.talked(customer)
    for recipient in (PHONE, "919876500001"):
        await world.outbox.report([DeliveryReport(provider_id=f"x{recipient}", status="sent", recipient=recipient)], AT)
    await world.erase()
    kept = await world.value("select array_agg(msg91_message_id) from reports")
    assert kept == ["x919876500001"]


async def test_quarantined_bodies_that_name_the_customer_are_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasures_module, "BODIES_AT_ONCE", 2)
    await world.customer(user_id="IN.26")
    bodies = (b'{"from":"+91 98765-43210"}', WAMID.encode(), b'{"u":"IN.26"}', b"somebody else", b"wamid.===x")
    for body in bodies:
        sealed = world.vault.seal(body, b"quarantine")
        await world.pool.execute("insert into quarantine (reason, sealed, received_at) values ('r', $1, now())", sealed)
    await world.pool.execute("insert into quarantine (reason, sealed, received_at) values ('r', 'bad', now())")
    await world.erase()
    assert await world.value("select count(*) from quarantine") == 3
    assert (await world.erasures.report(b"key")).quarantined == 3  # type: ignore[union-attr]


async def test_a_write_of_before_is_stale_and_one_that_waits_for_the_lock_too(world: World) -> None:
    customer = await world.customer()
    await world.talked(customer)
    async with world.pool.acquire() as connection, connection.transaction():
        await connection.execute("select from users where id = $1 for update", customer)
        erasing = asyncio.ensure_future(world.erase())
        await _waits(world, "erasure|Hold a customer")
        committing = asyncio.ensure_future(world.store.commit([write(customer, version=1, state=b"late")]))
        await _waits(world, "Commit a batch")
    results = await asyncio.gather(erasing, committing)
    assert await world.value("select state from users") is None
    assert results[1] in ([False], [True])
    assert await world.store.commit([write(customer, version=1)]) == [False]


async def _waits(world: World, statement: str) -> None:
    sql = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query ~ $1"
    await until(lambda: world.value(sql, statement), f"{statement} waits for a lock")


async def test_whom_the_customer_absorbed_is_erased_with_them(world: World) -> None:
    by_phone, by_id = await world.customer(), await world.customer("", "IN.26")
    await world.customer(PHONE, "IN.26")
    erasure = await world.erase()
    assert set(erasure.customers) == {by_phone, by_id}
    assert await world.value("select count(*) from users where data_key is not null") == 0
    assert await world.value("select count(*) from identities") == 0


async def test_an_erased_customer_gets_no_further_identity_merge_or_parking(world: World, database: Database) -> None:
    customer = await world.customer()
    await world.erase()
    await database.fetch("directory_link", [b"h"], [customer], ["user_id"], [b"sealed"])
    await world.parking.park(customer, JournalSeq(1), "late", 3, AT)
    other = await world.customer("919876500001")
    assert len(await database.fetch("directory_lock", [customer, other])) == 1
    assert await world.value("select count(*) from identities where user_id = $1", customer) == 0
    assert await world.value("select count(*) from parked") == 0


async def test_an_opt_out_outlives_the_erasure_until_somebody_is_made_under_that_number(world: World) -> None:
    customer = await world.customer(PHONE, "IN.26")
    await world.pool.execute("update users set opted_out = true")
    await world.erase()
    assert await world.value("select count(*) from suppressed") == 2
    again = await world.customer(PHONE, "IN.26")
    assert again != customer
    assert (await world.store.load([again]))[again].opted_out
    assert await world.value("select count(*) from suppressed") == 0
    another = await world.customer("919876500001")
    assert not (await world.store.load([another]))[another].opted_out


async def test_the_same_call_finds_its_erasure_and_nobody_has_none(world: World) -> None:
    assert await world.erasures.begin(PHONE, key=b"key", by="admin", at=AT) is None
    assert await world.erasures.report(b"key") is None
    await world.customer()
    first = await world.erase()
    await world.erasures.finish()
    again = await world.customer()
    repeated = await world.erasures.begin(PHONE, key=b"key", by="admin", at=AT)
    assert repeated is not None
    assert (repeated.id, repeated.worked_off, repeated.sought) == (first.id, True, b"")
    assert not (await world.store.load([again]))[again].erased


async def test_it_is_finished_when_it_is_worked_off_and_every_living_replica_has_heard(world: World) -> None:
    await world.customer()
    await world.replicas.beat("r1", 60.0)
    await world.replicas.beat("gone", 0.0)
    erasure = await world.erasures.begin(PHONE, key=b"key", by="admin", at=AT)
    assert erasure is not None
    (news,) = await world.erasures.unheard("r1")
    assert (news.id, news.customers) == (erasure.id, erasure.customers)
    await world.erasures.hear("r1", [news])
    assert await world.erasures.unheard("r1") == []
    await world.erasures.finish()
    assert (await world.erasures.report(b"key")).status == "pending"  # type: ignore[union-attr]
    await world.erasures.work_off(erasure)
    assert await world.value("select length(sought) > 0 from erasures")
    await world.erasures.finish()
    assert (await world.erasures.report(b"key")).status == "done"  # type: ignore[union-attr]
    assert await world.value("select sought from erasures") == b""
    assert len(await world.erasures.unheard("gone")) == 1


async def test_an_erasure_that_somebody_left_is_taken_up_once(world: World) -> None:
    await world.customer()
    erasure = await world.erasures.begin(PHONE, key=b"key", by="admin", at=AT)
    assert await world.erasures.take_up(60.0) is None
    await world.pool.execute("update erasures set worked_at = now() - interval '5 minutes'")
    assert await world.erasures.take_up(60.0) == erasure
    assert await world.erasures.take_up(60.0) is None


async def test_events_that_come_after_it_are_handed_on_or_emptied(world: World) -> None:
    customer = await world.customer()
    await world.erase()
    message, answer = entry(customer), entry(customer, kind="model_answered")
    first, second = await world.journal.append([message, answer])
    assert first is not None
    assert second is not None
    await world.pool.execute("insert into identities values ('left', $1, 'phone', 'x', now())", customer)
    assert await world.erasures.strays(customer, 10) == [
        Unread(seq=first, dedup=message.dedup, sealed=message.sealed),
        Unread(seq=second, dedup=answer.dedup, sealed=answer.sealed),
    ]
    assert await world.value("select count(*) from identities") == 0
    new = await world.customer()
    await world.erasures.settle(customer, {first: new}, [second], AT + 20)
    assert await world.erasures.strays(customer, 10) == []
    assert [row.seq for row in (await world.journal.unread([new], 10))[new]] == [first]
    assert await world.value("select sealed from journal where seq = $1", second) == b""
    assert await world.erasures.strays(new, 10) == []


async def test_a_key_that_is_lost_is_no_reason_to_keep_anything(world: World) -> None:
    customer = await world.customer()
    await world.pool.execute("update users set data_key = 'damaged'")
    await world.erase()
    assert (await world.store.load([customer]))[customer].erased


async def test_a_merge_that_ends_while_the_lock_is_waited_for_makes_the_caller_ask_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.customer()

    class Moving:
        """A session in which another customer turns up between two looks."""

        def __init__(self) -> None:
            self.answers = [[{"id": 1}], [{"id": 1}, {"id": 2}]]

        async def fetch(self, *_: Any) -> Any:
            return self.answers.pop(0)

    with pytest.raises(Unavailable, match="merged"):
        await world.erasures._held(Moving(), b"hash")  # type: ignore[arg-type]
