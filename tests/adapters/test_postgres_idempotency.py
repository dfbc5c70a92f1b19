"""Answers that are kept: for the same call only, as long as they count, and readable by nobody but the service."""

import asyncpg
import pytest

from bot.adapters.cipher import AesVault, ServiceKeys
from bot.adapters.postgres.idempotency import PostgresIdempotency
from bot.adapters.postgres.past import PostgresPast
from bot.adapters.postgres.pool import Database
from bot.core.ids import MessageId
from tests.adapters.rows import entry as new_entry
from tests.adapters.rows import new_customer, new_uuid, new_vault

CALL, REQUEST, ANSWER, PHONE = (
    "1\nPOST /messages\nk1",
    '{"message":"Hi"}',
    b'{"phone_number":"919876543210"}',
    "919876543210",
)
DAY = 86_400.0


@pytest.fixture
def vault() -> AesVault:
    return new_vault()


@pytest.fixture
def kept(database: Database, vault: AesVault) -> PostgresIdempotency:
    return PostgresIdempotency(database, vault, seconds=DAY)


async def age(pool: asyncpg.Pool, seconds: float) -> None:
    await pool.execute("update idempotency set created_at = now() - make_interval(secs => $1)", seconds)


async def test_what_was_answered_is_found_by_the_same_call(kept: PostgresIdempotency) -> None:
    assert await kept.recall(CALL, REQUEST) is None
    await kept.remember(CALL, REQUEST, 201, ANSWER, [PHONE])
    found = await kept.recall(CALL, REQUEST)
    assert found is not None
    assert (found.status, found.answer, found.same) == (201, ANSWER, True)
    assert await kept.recall(CALL + "1", REQUEST) is None


async def test_another_request_under_the_same_call_is_told_from_it(kept: PostgresIdempotency) -> None:
    await kept.remember(CALL, REQUEST, 201, ANSWER, [])
    found = await kept.recall(CALL, REQUEST + " ")
    assert found is not None
    assert not found.same


async def test_the_first_answer_stays(kept: PostgresIdempotency) -> None:
    await kept.remember(CALL, REQUEST, 201, ANSWER, [])
    await kept.remember(CALL, REQUEST, 409, b"{}", [])
    found = await kept.recall(CALL, REQUEST)
    assert found is not None
    assert found.status == 201


async def test_an_answer_that_is_too_old_does_not_count_and_makes_room(
    kept: PostgresIdempotency, pool: asyncpg.Pool
) -> None:
    await kept.remember(CALL, REQUEST, 201, ANSWER, [])
    await age(pool, DAY + 1)
    assert await kept.recall(CALL, REQUEST) is None
    await kept.remember(CALL, REQUEST, 409, b"{}", [])
    found = await kept.recall(CALL, REQUEST)
    assert found is not None
    assert found.status == 409


async def test_nothing_in_the_table_can_be_read(kept: PostgresIdempotency, pool: asyncpg.Pool) -> None:
    await kept.remember(CALL, REQUEST, 201, ANSWER, [PHONE])
    row = str(dict(await pool.fetchrow("select * from idempotency")))
    for readable in (CALL, "POST", REQUEST, PHONE, "phone_number"):
        assert readable not in row


async def test_an_answer_whose_key_is_gone_is_as_good_as_none(
    kept: PostgresIdempotency, database: Database, vault: AesVault
) -> None:
    await kept.remember(CALL, REQUEST, 201, ANSWER, [])

    class Rotated(AesVault):
        def __init__(self) -> None:
            other = ServiceKeys({"k2": b"\2" * 32})
            super().__init__(other, other.new_key())
            self.fingerprint = vault.fingerprint  # type: ignore[method-assign]

    assert await PostgresIdempotency(database, Rotated(), seconds=DAY).recall(CALL, REQUEST) is None


async def test_old_answers_are_deleted_batch_by_batch(
    kept: PostgresIdempotency, database: Database, pool: asyncpg.Pool
) -> None:
    for number in range(5):
        await kept.remember(f"{CALL}{number}", REQUEST, 201, ANSWER, [])
    await age(pool, DAY + 1)
    await kept.remember(CALL, REQUEST, 201, ANSWER, [])
    deleted = [len(await database.fetch("idempotency_forget", DAY, 3)) for _ in range(3)]
    assert deleted == [3, 2, 0]
    assert await kept.recall(CALL, REQUEST) is not None


async def test_an_answer_is_found_by_the_numbers_in_it_when_a_customer_is_erased(
    kept: PostgresIdempotency, pool: asyncpg.Pool, vault: AesVault
) -> None:
    await kept.remember(CALL, REQUEST, 201, ANSWER, [PHONE, "918000000001"])
    await kept.remember(CALL + "2", REQUEST, 201, ANSWER, [])
    fingerprint = vault.fingerprint("phone", PHONE)
    found = await pool.fetchval("select count(*) from idempotency where subjects && array[$1::bytea]", fingerprint)
    assert found == 1


# --- what became of events -------------------------------------------------------------------------------------------


async def test_only_events_that_were_consumed_are_told_of(database: Database, pool: asyncpg.Pool) -> None:
    customer = await new_customer(pool)
    entries = [new_entry(customer) for _ in range(3)]
    for one, consumed in zip(entries, (True, False, True), strict=True):
        await pool.execute(
            "insert into journal (dedup, user_id, kind, sealed, accepted_at, consumed_at)"
            " values ($1, $2, $3, $4, now(), case when $5 then now() end)",
            one.dedup,
            customer,
            one.kind,
            one.sealed,
            consumed,
        )
    found = await PostgresPast(database).events([one.dedup for one in entries[:2]])
    assert found == {entries[0].dedup: entries[0].sealed}
    assert await PostgresPast(database).events([]) == {}


async def test_messages_are_told_of_in_the_order_of_the_conversation(database: Database, pool: asyncpg.Pool) -> None:
    customer = await new_customer(pool)
    ids = [MessageId(new_uuid()) for _ in range(4)]
    columns = (
        "id, conversation_id, user_id, direction, message_type, kind, content, sender_number, recipient_number,"
        " caused_at, created_at, delivery_status"
    )
    for one, direction in ((ids[2], "outbound"), (ids[0], "outbound"), (ids[1], "inbound")):
        await pool.execute(
            f"insert into messages ({columns})"
            " values ($1, $2, $3, $4, 'text', 'agent', '', '', '', now(), now(), 'sent')",
            one,
            new_uuid(),
            customer,
            direction,
        )
    assert await PostgresPast(database).messages(ids) == [ids[2], ids[0]]
