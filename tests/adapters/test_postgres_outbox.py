import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from bot.adapters.cipher import AesVault
from bot.adapters.postgres.directory import PostgresDirectory
from bot.adapters.postgres.outbox import PostgresOutbox
from bot.adapters.postgres.pool import Database
from bot.adapters.postgres.replicas import PostgresReplicas
from bot.adapters.postgres.store import PostgresStore
from bot.core.delivery import DeliveryStatus, advance
from bot.core.events import Sender
from bot.core.ids import CustomerId, MessageId
from bot.ports.failures import Unacceptable
from bot.ports.outbox import FailedReport, Orphan, ReportResult
from bot.wire.msg91.reports import DeliveryReport
from tests.adapters.rows import AT, conversation_row, entry, new_customer, new_uuid, new_vault, note, outbound, write

TURNS = itertools.count(1)
"""Each call that claims has a name of its own."""

STATUSES: tuple[DeliveryStatus, ...] = ("pending", "sending", "sent", "failed", "delivered", "read")


@pytest.fixture(scope="module")
def vault() -> AesVault:
    return new_vault()


@pytest.fixture
def outbox(database: Database, vault: AesVault) -> PostgresOutbox:
    return PostgresOutbox(database, vault)


@pytest.fixture
def replicas(database: Database) -> PostgresReplicas:
    return PostgresReplicas(database)


@pytest.fixture
async def anna(pool: asyncpg.Pool) -> CustomerId:
    return await new_customer(pool)


class Post:
    """Puts messages of customers into the outbox."""

    def __init__(self, database: Database) -> None:
        self._store = PostgresStore(database)
        self._conversations: dict[CustomerId, str] = {}

    async def __call__(self, customer: CustomerId, count: int = 1, **changes: Any) -> list[MessageId]:
        id_ = self._conversations.setdefault(customer, new_uuid())
        messages = tuple(outbound(id_, **changes) for _ in range(count))
        version = (await self._store.load([customer]))[customer].version
        rows = (conversation_row(id_),)
        assert await self._store.commit([write(customer, version=version, conversations=rows, messages=messages)]) == [
            True
        ]
        return [message.id for message in messages]


@pytest.fixture
def post(database: Database) -> Post:
    return Post(database)


async def row_of(pool: asyncpg.Pool, id_: MessageId) -> Any:
    return await pool.fetchrow("select * from messages where id = $1::uuid", id_)


async def status_of(pool: asyncpg.Pool, id_: MessageId) -> str:
    return str((await row_of(pool, id_))["delivery_status"])


def report(status: Any, id_: str = "", **changes: Any) -> DeliveryReport:
    return DeliveryReport(**{"status": status, "message_id": id_, "at": AT + 5, **changes})


# --- notes -----------------------------------------------------------------------------------------------------------


async def test_a_sent_message_keeps_what_the_provider_said(
    outbox: PostgresOutbox, post: Post, anna: CustomerId, pool: asyncpg.Pool
) -> None:
    (id_,) = await post(anna)
    await outbox.note([note(id_, "sending", attempts=1)])
    assert (await row_of(pool, id_))["claimed_by"] == "me"
    sent = note(id_, "sent", provider_id="wamid.1", request_id="r1", attempts=1, processing_time=0.5)
    assert await outbox.note([sent]) == ()
    row = await row_of(pool, id_)
    kept = ("delivery_status", "msg91_message_id", "request_id", "attempts", "processing_time", "claimed_by")
    assert tuple(row[name] for name in kept) == ("sent", "wamid.1", "r1", 1, 0.5, "")
    assert row["sent_at"].timestamp() == AT + 1


async def test_a_message_to_be_tried_again_waits_with_its_reason(
    outbox: PostgresOutbox, post: Post, anna: CustomerId, pool: asyncpg.Pool
) -> None:
    (id_,) = await post(anna)
    again = note(id_, "pending", reason="503", code=503, attempts=2, retry_at=AT + 60)
    await outbox.note([note(id_, "sending"), again])
    row = await row_of(pool, id_)
    assert (row["delivery_status"], row["failure_reason"], row["failure_code"], row["attempts"]) == (
        "pending", "503", 503, 2,
    )  # fmt: skip
    assert row["retry_at"].timestamp() == AT + 60
    await outbox.note([note(id_, "sent")])
    row = await row_of(pool, id_)
    assert (row["failure_reason"], row["failure_code"], row["retry_at"], row["attempts"]) == ("", 0, None, 2)


async def test_a_failure_is_kept_with_its_reason_and_leaves_the_outbox(
    outbox: PostgresOutbox, post: Post, anna: CustomerId, pool: asyncpg.Pool
) -> None:
    (id_,) = await post(anna)
    await outbox.note([note(id_, "failed", reason="blocked", code=131026)])
    row = await row_of(pool, id_)
    assert (row["delivery_status"], row["failure_reason"], row["failure_code"], row["claimed_by"]) == (
        "failed", "blocked", 131026, "",
    )  # fmt: skip


async def test_repeating_notes_changes_nothing(
    outbox: PostgresOutbox, post: Post, anna: CustomerId, pool: asyncpg.Pool
) -> None:
    (id_,) = await post(anna)
    notes = [note(id_, "sending"), note(id_, "sent", provider_id="wamid.1")]
    await outbox.note(notes)
    before = dict(await row_of(pool, id_))
    await outbox.note(notes)
    await outbox.note(notes[:1])
    assert dict(await row_of(pool, id_)) == before


async def test_a_note_that_a_report_overtook_adds_the_ids_and_steps_nothing_back(
    outbox: PostgresOutbox, post: Post, anna: CustomerId, pool: asyncpg.Pool
) -> None:
    (id_,) = await post(anna)
    await outbox.report([report("delivered", id_)], AT)
    await outbox.note([note(id_, "sent", provider_id="wamid.1"), note(MessageId(new_uuid()), "sent")])
    row = await row_of(pool, id_)
    assert (row["delivery_status"], row["msg91_message_id"]) == ("delivered", "wamid.1")


async def test_a_note_with_a_bad_value_is_unacceptable(outbox: PostgresOutbox) -> None:
    with pytest.raises(Unacceptable):
        await outbox.note([note(MessageId("x"), "sent")])


# --- reports ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(["sent", "delivered", "read", "failed"])))
async def test_reports_in_any_order_end_in_the_status_that_the_core_says(
    outbox: PostgresOutbox, post: Post, anna: CustomerId, pool: asyncpg.Pool, order: tuple[DeliveryStatus, ...]
) -> None:
    (id_,) = await post(anna)
    expected: DeliveryStatus = "pending"
    for status in order:
        expected = advance(expected, status)
        await outbox.report([report(status, id_)], AT)
        assert await status_of(pool, id_) == expected


async def test_the_database_ranks_statuses_as_the_core_does(pool: asyncpg.Pool) -> None:
    for old, new in itertools.product(STATUSES, STATUSES):
        further = await pool.fetchval("select delivery_rank($1) > delivery_rank($2)", new, old)
        assert further == (advance(old, new) != old)


async def test_reports_of_one_batch_are_taken_together(
    outbox: PostgresOutbox, post: Post, anna: CustomerId, pool: asyncpg.Pool
) -> None:
    first, second = await post(anna, 2)
    reports = [report("read", first, at=AT + 9), report("delivered", first, at=AT + 7), report("sent", second, at=None)]
    result = await outbox.report(reports, AT + 3)
    assert result == ReportResult(repeated=(False, False, False), failed=(), accepted_messages=(first, second))
    row = await row_of(pool, first)
    assert [row[name].timestamp() for name in ("sent_at", "delivered_at", "read_at")] == [AT + 7, AT + 7, AT + 9]
    assert (row["claimed_by"], row["delivery_status"]) == ("", "read")
    assert (await row_of(pool, second))["sent_at"].timestamp() == AT + 3


async def test_a_report_again_is_a_duplicate(outbox: PostgresOutbox, post: Post, anna: CustomerId) -> None:
    (id_,) = await post(anna)
    await outbox.report([report("delivered", id_)], AT)
    again = [report("delivered", id_), report("read", id_), report("read", id_)]
    assert (await outbox.report(again, AT)).repeated == (True, False, True)


async def test_a_failure_is_told_with_the_providers_words_and_again_when_it_is_reported_again(
    outbox: PostgresOutbox, post: Post, anna: CustomerId, pool: asyncpg.Pool
) -> None:
    (id_,) = await post(anna)
    failed = report("failed", id_, reason="blocked", code=131026)
    result = await outbox.report([failed, failed], AT)
    assert result.failed == (FailedReport(message=id_, customer=anna, reason="blocked", code=131026),)
    assert sum(result.repeated) == 1
    assert result.accepted_messages == ()
    assert (await outbox.report([failed], AT)).failed == result.failed  # the first answer may have been lost
    row = await row_of(pool, id_)
    assert (row["failure_reason"], row["failure_code"], row["claimed_by"]) == ("blocked", 131026, "")


async def test_a_failure_of_a_message_that_arrived_is_none(
    outbox: PostgresOutbox, post: Post, anna: CustomerId, pool: asyncpg.Pool
) -> None:
    (id_,) = await post(anna)
    await outbox.note([note(id_, "sent")])
    result = await outbox.report([report("failed", id_, reason="late"), report("delivered", id_)], AT)
    assert result == ReportResult(repeated=(False,) * len(result.repeated), failed=(), accepted_messages=())
    assert (await row_of(pool, id_))["failure_reason"] == ""


async def test_a_report_is_matched_by_the_providers_id(
    outbox: PostgresOutbox, post: Post, anna: CustomerId, pool: asyncpg.Pool
) -> None:
    (id_,) = await post(anna)
    await outbox.note([note(id_, "sent", provider_id="wamid.1")])
    await outbox.report([report("read", "not ours", provider_id="wamid.1")], AT)
    assert await status_of(pool, id_) == "read"


async def test_a_report_brings_the_providers_id(
    outbox: PostgresOutbox, post: Post, anna: CustomerId, pool: asyncpg.Pool
) -> None:
    (id_,) = await post(anna)
    await outbox.report([report("sent", id_, provider_id="wamid.1")], AT)
    await outbox.report([report("delivered", provider_id="wamid.1")], AT)
    assert await status_of(pool, id_) == "delivered"


async def test_of_a_call_for_many_the_recipient_decides(
    outbox: PostgresOutbox, post: Post, database: Database, vault: AesVault, pool: asyncpg.Pool
) -> None:
    directory = PostgresDirectory(database, vault)
    phones = ("911111111111", "922222222222")
    first, second = await directory.resolve([Sender(phone=phone) for phone in phones], lambda m: entry(m.kept))
    (one,), (other,) = await post(first), await post(second)
    await outbox.note([note(one, "sent", request_id="r1"), note(other, "sent", request_id="r1")])
    await outbox.report([report("delivered", request_id="r1", recipient=phones[1])], AT)
    assert (await status_of(pool, one), await status_of(pool, other)) == ("sent", "delivered")


@pytest.mark.parametrize("ids", [{"provider_id": "wamid.1"}, {"request_id": "r1"}], ids=["provider", "request"])
async def test_a_report_before_the_note_waits_for_it(
    outbox: PostgresOutbox, post: Post, anna: CustomerId, pool: asyncpg.Pool, ids: dict[str, Any]
) -> None:
    (id_,) = await post(anna)
    early = [report("delivered", **ids), report("sent", **ids)]
    assert await outbox.report(early, AT) == ReportResult(repeated=(False, False), failed=(), accepted_messages=())
    assert (await outbox.report(early, AT)).repeated == (True, True)
    await outbox.note([note(id_, "sent", **ids)])
    assert await status_of(pool, id_) == "delivered"
    assert (await outbox.report(early, AT)).repeated == (True, True)


async def test_a_failure_before_the_note_comes_back_from_the_note(
    outbox: PostgresOutbox, post: Post, anna: CustomerId, pool: asyncpg.Pool
) -> None:
    (id_,) = await post(anna)
    await outbox.report([report("failed", provider_id="wamid.1", reason="blocked", code=7)], AT)
    failed = await outbox.note([note(id_, "sent", provider_id="wamid.1")])
    assert failed == (FailedReport(message=id_, customer=anna, reason="blocked", code=7),)
    assert await status_of(pool, id_) == "failed"


async def test_a_report_written_beside_its_note_is_settled_later(
    outbox: PostgresOutbox, post: Post, anna: CustomerId, pool: asyncpg.Pool
) -> None:
    (id_,) = await post(anna)
    now = await pool.fetchval("select extract(epoch from now())::float8")
    await outbox.report([report("failed", provider_id="wamid.1", reason="blocked", at=now)], now)
    await pool.execute("update messages set msg91_message_id = 'wamid.1'")
    assert [failed.message for failed in await outbox.settle()] == [id_]
    assert await outbox.settle() == ()


async def test_a_report_of_a_stranger_waits_without_harm(outbox: PostgresOutbox) -> None:
    strange = [report("read", new_uuid(), provider_id="x", request_id="y", recipient="919"), report("sent", "text")]
    assert (await outbox.report(strange, AT)).accepted_messages == ()
    assert (await outbox.report(strange, AT)).repeated == (True, True)


# --- orphans ---------------------------------------------------------------------------------------------------------


async def test_messages_of_a_replica_that_left_are_claimed_in_order(
    outbox: PostgresOutbox, post: Post, replicas: PostgresReplicas, anna: CustomerId, pool: asyncpg.Pool
) -> None:
    await replicas.beat("me", 60)
    await replicas.beat("other", 60)
    messages = await post(anna, 3)
    await outbox.note([note(messages[0], "sending", attempts=1), note(messages[1], "pending", retry_at=AT + 60)])
    assert list(await outbox.orphans("other", 10, turn=next(TURNS))) == []
    await replicas.leave("me")
    orphans = await outbox.orphans("other", 10, turn=next(TURNS))
    assert [orphan.id for orphan in orphans] == messages
    assert [orphan.uncertain for orphan in orphans] == [True, False, False]
    assert [orphan.retry_at for orphan in orphans] == [None, AT + 60, None]
    assert [orphan.attempts for orphan in orphans] == [1, 0, 0]
    first = orphans[0]
    assert (first.customer, first.data_key, first.content, first.recipient_number) == (anna, b"key", b"content", b"to")
    assert (first.caused_at, first.created_at, first.kind) == (AT, AT, "flow")
    assert list(await outbox.orphans("other", 10, turn=next(TURNS))) == []
    assert (await row_of(pool, messages[0]))["claimed_by"] == "other"


async def test_a_replica_that_is_silent_too_long_is_gone(
    outbox: PostgresOutbox, post: Post, replicas: PostgresReplicas, anna: CustomerId
) -> None:
    await replicas.beat("other", 60)
    await replicas.beat("me", 0)
    messages = await post(anna)
    assert [orphan.id for orphan in await outbox.orphans("other", 10, turn=next(TURNS))] == messages


async def test_replicas_share_orphans_out_by_whole_customers(
    outbox: PostgresOutbox, post: Post, replicas: PostgresReplicas, pool: asyncpg.Pool
) -> None:
    names = ["r1", "r2", "r3"]
    for name in names:
        await replicas.beat(name, 60)
    customers = [await new_customer(pool) for _ in range(12)]
    messages = {customer: await post(customer, 3) for customer in customers}
    claimed: dict[CustomerId, list[list[MessageId]]] = {customer: [] for customer in customers}

    async def claim() -> list[Sequence[Orphan]]:
        rounds = await asyncio.gather(*(outbox.orphans(name, 2, turn=next(TURNS)) for name in names))
        return [found for found in rounds if found]

    while rounds := await claim():
        for orphans in rounds:
            for customer, group in itertools.groupby(orphans, key=lambda orphan: orphan.customer):
                claimed[customer].append([orphan.id for orphan in group])
    assert claimed == {customer: [ids] for customer, ids in messages.items()}


async def test_a_customer_whose_messages_another_replica_is_claiming_is_skipped(
    outbox: PostgresOutbox, post: Post, replicas: PostgresReplicas, anna: CustomerId, pool: asyncpg.Pool
) -> None:
    await replicas.beat("other", 60)
    messages = await post(anna)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("select from users for no key update")
        assert list(await outbox.orphans("other", 10, turn=next(TURNS))) == []
    assert [orphan.id for orphan in await outbox.orphans("other", 10, turn=next(TURNS))] == messages


async def test_what_lines_up_behind_a_living_replicas_message_is_left_until_that_replica_is_gone(
    outbox: PostgresOutbox, post: Post, replicas: PostgresReplicas, anna: CustomerId
) -> None:
    await replicas.beat("me", 60)
    await replicas.beat("other", 60)
    (first,) = await post(anna)
    (second,) = await post(anna, claimed_by="-")
    assert list(await outbox.orphans("other", 10, turn=next(TURNS))) == []
    await replicas.leave("me")
    assert [orphan.id for orphan in await outbox.orphans("other", 10, turn=next(TURNS))] == [first, second]


async def test_customers_with_messages_that_others_or_nobody_has_claimed_are_told_from_the_rest(
    outbox: PostgresOutbox, post: Post, pool: asyncpg.Pool
) -> None:
    mine, others, nobodys, done, silent = [await new_customer(pool) for _ in range(5)]
    await post(mine)
    await post(others, claimed_by="other")
    await post(nobodys, claimed_by="-")
    (sent,) = await post(done, claimed_by="other")
    await outbox.note([note(sent, "sent")])
    assert set(await outbox.behind("me", [mine, others, nobodys, done, silent])) == {others, nobodys}
    assert list(await outbox.behind("me", [mine])) == []


async def test_what_is_still_mine_is_confirmed_against_those_who_think_me_gone(
    outbox: PostgresOutbox, post: Post, replicas: PostgresReplicas, anna: CustomerId
) -> None:
    await replicas.beat("other", 60)
    await replicas.beat("me", 60)
    mine, sent = await post(anna, 2)
    await outbox.note([note(sent, "sent")])
    assert await outbox.still_mine("me", [sent, mine, MessageId(new_uuid())]) == [mine]
    await replicas.leave("me")
    assert list(await outbox.orphans("other", 10, turn=next(TURNS))) == []


async def test_what_somebody_claimed_is_not_mine_any_more(
    outbox: PostgresOutbox, post: Post, replicas: PostgresReplicas, anna: CustomerId
) -> None:
    await replicas.beat("other", 60)
    messages = await post(anna)
    await outbox.orphans("other", 10, turn=next(TURNS))
    await replicas.beat("me", 60)
    assert await outbox.still_mine("me", messages) == []
