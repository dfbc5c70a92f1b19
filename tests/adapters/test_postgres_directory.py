import asyncio

import asyncpg
import pytest

from bot.adapters.cipher import AesVault
from bot.adapters.postgres.directory import IDENTITY_CONTEXT, PostgresDirectory
from bot.adapters.postgres.journal import PostgresJournal
from bot.adapters.postgres.pool import Database
from bot.adapters.postgres.store import PostgresStore
from bot.core.events import Sender
from bot.core.ids import ConversationId, CustomerId
from bot.ports.directory import Merge
from bot.ports.journal import Entry
from tests.adapters.rows import AT, conversation_row, effect_row, entry, new_uuid, new_vault, timer_row, write

PHONE, USER_ID = "919876543210", "IN.2600000000000001"
BY_PHONE, BY_USER_ID, BY_BOTH = Sender(phone=PHONE), Sender(user_id=USER_ID), Sender(phone=PHONE, user_id=USER_ID)


@pytest.fixture(scope="module")
def vault() -> AesVault:
    return new_vault()


@pytest.fixture
def directory(database: Database, vault: AesVault) -> PostgresDirectory:
    return PostgresDirectory(database, vault)


class Announcements:
    """Makes entries of merges and remembers them."""

    def __init__(self) -> None:
        self.merges: list[Merge] = []

    def __call__(self, merge: Merge) -> Entry:
        self.merges.append(merge)
        return entry(merge.kept, kind="customer_merged", dedup=b"merge %d %d" % (merge.kept, merge.absorbed))


@pytest.fixture
def announce() -> Announcements:
    return Announcements()


async def identities_of(pool: asyncpg.Pool, vault: AesVault, customer: CustomerId) -> set[str]:
    key = await pool.fetchval("select data_key from users where id = $1", customer)
    rows = await pool.fetch("select sealed from identities where user_id = $1", customer)
    return {vault.customer(key).open(row["sealed"], IDENTITY_CONTEXT).decode() for row in rows}


async def test_a_new_sender_becomes_a_customer_whose_identities_are_sealed_under_their_key(
    directory: PostgresDirectory, announce: Announcements, pool: asyncpg.Pool, vault: AesVault
) -> None:
    (customer,) = await directory.resolve([BY_BOTH], announce)
    assert await identities_of(pool, vault, customer) == {PHONE, USER_ID}
    assert announce.merges == []


async def test_a_known_sender_stays_the_same_customer(directory: PostgresDirectory, announce: Announcements) -> None:
    (customer,) = await directory.resolve([BY_BOTH], announce)
    assert await directory.resolve([BY_USER_ID, BY_PHONE, BY_BOTH], announce) == [customer] * 3
    assert await directory.known(BY_USER_ID) == customer
    assert await directory.known(Sender(phone="911111111111")) is None


async def test_a_batch_of_strangers_and_acquaintances_keeps_its_order(
    directory: PostgresDirectory, announce: Announcements
) -> None:
    other = Sender(phone="911111111111")
    (known,) = await directory.resolve([BY_PHONE], announce)
    found = await directory.resolve([other, BY_PHONE, Sender(user_id="IN.7"), other], announce)
    assert (found[1], found[3]) == (known, found[0])
    assert len(set(found)) == 3


async def test_a_second_identity_is_linked_to_the_customer_who_shows_it(
    directory: PostgresDirectory, announce: Announcements, pool: asyncpg.Pool, vault: AesVault
) -> None:
    (customer,) = await directory.resolve([BY_USER_ID], announce)
    assert await directory.resolve([BY_BOTH], announce) == [customer]
    assert await directory.resolve([BY_PHONE], announce) == [customer]
    assert await identities_of(pool, vault, customer) == {PHONE, USER_ID}


async def test_a_sender_without_identity_is_an_error(directory: PostgresDirectory, announce: Announcements) -> None:
    with pytest.raises(ValueError, match="phone number or a user id"):
        await directory.resolve([Sender()], announce)


async def test_replicas_that_meet_the_same_strangers_agree(
    directory: PostgresDirectory, announce: Announcements, pool: asyncpg.Pool
) -> None:
    strangers = [Sender(phone=f"9100000000{n:02}", user_id=f"IN.{n}") for n in range(20)]
    found = await asyncio.gather(
        *(directory.resolve(order, announce) for order in (strangers, strangers[::-1], strangers))
    )
    assert found[0] == found[1][::-1] == found[2]
    assert await pool.fetchval("select count(*) from users") == 20


@pytest.mark.parametrize("first", [BY_PHONE, BY_USER_ID], ids=["phone first", "user id first"])
async def test_of_two_customers_the_one_with_the_phone_number_is_kept(
    directory: PostgresDirectory, announce: Announcements, pool: asyncpg.Pool, vault: AesVault, first: Sender
) -> None:
    second = BY_USER_ID if first is BY_PHONE else BY_PHONE
    found = {sender: (await directory.resolve([sender], announce))[0] for sender in (first, second)}
    kept, absorbed = found[BY_PHONE], found[BY_USER_ID]
    assert await directory.resolve([BY_BOTH, BY_USER_ID], announce) == [kept, kept]
    (merge,) = announce.merges
    assert (merge.kept, merge.absorbed, merge.held_by_person) == (kept, absorbed, False)
    assert await identities_of(pool, vault, kept) == {PHONE, USER_ID}


async def test_of_two_customers_with_phone_numbers_the_older_is_kept(
    directory: PostgresDirectory, announce: Announcements
) -> None:
    (older,) = await directory.resolve([BY_BOTH], announce)
    other = Sender(phone="911111111111")
    (younger,) = await directory.resolve([other], announce)
    assert await directory.resolve([Sender(phone=other.phone, user_id=USER_ID)], announce) == [older]
    assert [(merge.kept, merge.absorbed) for merge in announce.merges] == [(older, younger)]


async def test_a_merge_moves_what_waits_ends_what_is_open_and_is_announced_and_audited(
    directory: PostgresDirectory, announce: Announcements, pool: asyncpg.Pool, database: Database
) -> None:
    (kept,) = await directory.resolve([BY_PHONE], announce)
    (absorbed,) = await directory.resolve([BY_USER_ID], announce)
    journal, store = PostgresJournal(database), PostgresStore(database)
    id_ = new_uuid()
    open_conversation = conversation_row(id_, status="queue", department="sales")
    begun = write(absorbed, conversations=(open_conversation,), timers=(timer_row(),), effects=(effect_row(),))
    assert await store.commit([begun]) == [True]
    (waiting,) = await journal.append([entry(absorbed)])
    await pool.execute("insert into parked values (default, $1, $2, '', 1, now())", absorbed, waiting)

    await directory.resolve([BY_BOTH], announce)

    (merge,) = announce.merges
    assert (merge.held_by_person, merge.department) == (True, "sales")
    unread = await journal.unread([kept, absorbed], 9)
    assert [row.dedup for row in unread[kept]][1:] == [b"merge %d %d" % (kept, absorbed)]
    assert unread[kept][0].seq == waiting
    assert list(unread[absorbed]) == []
    conversation = await pool.fetchrow("select status, extract(epoch from completed_at)::float8 from conversations")
    assert tuple(conversation) == ("closed", AT)
    assert await pool.fetchval("select count(*) from timers") == 0
    assert await pool.fetchval("select count(*) from effects where done_at is null") == 0
    assert await pool.fetchval("select count(*) from parked") == 0
    audit = await pool.fetchrow("select action, by_whom, user_id, conversation_id::text, detail from audit")
    assert tuple(audit) == ("customers_merged", "system", kept, id_, f"absorbed customer {absorbed}")
    assert await directory.holder(ConversationId(id_)) == kept


async def test_a_replica_that_steps_the_absorbed_customer_is_stale_and_sees_who_absorbed_them(
    directory: PostgresDirectory, announce: Announcements, database: Database
) -> None:
    (kept,) = await directory.resolve([BY_PHONE], announce)
    (absorbed,) = await directory.resolve([BY_USER_ID], announce)
    store = PostgresStore(database)
    (before,) = (await store.load([absorbed])).values()
    await directory.resolve([BY_BOTH], announce)
    assert await store.commit([write(absorbed, version=before.version)]) == [False]
    assert (await store.load([absorbed]))[absorbed].merged_into == kept
    assert (await store.load([kept]))[kept].version == 0


async def test_who_was_absorbed_before_follows_into_the_next_merge(
    directory: PostgresDirectory, announce: Announcements, database: Database
) -> None:
    (first,) = await directory.resolve([Sender(user_id="IN.1")], announce)
    (second,) = await directory.resolve([Sender(phone="911", user_id="IN.2")], announce)
    assert await directory.resolve([Sender(phone="911", user_id="IN.1")], announce) == [second]
    (third,) = await directory.resolve([Sender(phone="922")], announce)
    assert await directory.resolve([Sender(phone="922", user_id="IN.1")], announce) == [second]
    merged = {id_: loaded.merged_into for id_, loaded in (await PostgresStore(database).load([first, third])).items()}
    assert merged == {first: second, third: second}


async def test_replicas_that_merge_the_same_customers_do_it_once(
    directory: PostgresDirectory, announce: Announcements, pool: asyncpg.Pool
) -> None:
    (kept,) = await directory.resolve([BY_PHONE], announce)
    await directory.resolve([BY_USER_ID], announce)
    found = await asyncio.gather(*(directory.resolve([BY_BOTH], announce) for _ in range(4)))
    assert list(found) == [[kept]] * 4
    assert await pool.fetchval("select count(*) from audit") == 1


async def test_a_merge_whose_announcement_fails_is_undone(
    directory: PostgresDirectory, announce: Announcements, pool: asyncpg.Pool
) -> None:
    def broken(merge: Merge) -> Entry:
        raise RuntimeError("cannot say")

    await directory.resolve([BY_PHONE], announce)
    (absorbed,) = await directory.resolve([BY_USER_ID], announce)
    with pytest.raises(RuntimeError):
        await directory.resolve([BY_BOTH], broken)
    assert await directory.known(BY_USER_ID) == absorbed


async def test_rows_accepted_for_an_absorbed_customer_are_redirected(
    directory: PostgresDirectory, database: Database
) -> None:
    journal = PostgresJournal(database)
    (seq,) = await journal.append([entry(CustomerId(1))])
    await directory.redirect(CustomerId(1), CustomerId(2))
    assert [row.seq for row in (await journal.unread([CustomerId(2)], 9))[CustomerId(2)]] == [seq]


async def test_nobody_holds_an_unknown_conversation(directory: PostgresDirectory) -> None:
    assert await directory.holder(ConversationId(new_uuid())) is None
