"""What was stored sealed is read as records, and the in-memory records of the web tests keep the same contract."""

from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from bot.adapters.cipher import AesVault, ServiceKeys
from bot.adapters.postgres.pool import Database
from bot.adapters.postgres.queries import load_queries
from bot.adapters.postgres.records import PREVIEW, PostgresRecords
from bot.core.ids import ConversationId, MessageId
from bot.core.messages import Media, Text, encode_content
from bot.core.modes import Mode
from bot.core.search import query_words, search_words
from bot.records import ConversationRecord, MessageRecord, Records, UserRecord
from tests.conftest import SQL_DIR
from tests.web.api_world import START, MemoryRecords, Scene, a_scene, at, conversation, id_at, message

PRIYA = "919876543210"
OLD, NOW, WAITING, DONE, HELD = (ConversationId(id_at(minutes)) for minutes in (0, 10, 20, 30, 40))


class Stored:
    """A scene in PostgreSQL, sealed under a key for each customer."""

    def __init__(self, pool: asyncpg.Pool, vault: AesVault) -> None:
        self._pool = pool
        self._vault = vault
        self.customers: dict[tuple[str | None, str | None], int] = {}
        self._keys: dict[int, bytes] = {}

    async def keep(self, scene: Scene) -> None:
        for user in scene.users:
            await self.customer(user)
        for talk in scene.conversations:
            await self.talk(talk, self.customers[talk.phone_number, talk.user_id])
        talks = {talk.id: talk for talk in scene.conversations}
        for said in scene.messages:
            talk = talks[said.conversation_id]
            await self.said(said, self.customers[talk.phone_number, talk.user_id])
        await self._rest(scene, talks)

    async def customer(self, user: UserRecord) -> int:
        wrapped = self._vault.new_customer_key()
        key = self._vault.customer(wrapped)
        name = key.seal((user.name or "").encode(), b"name")
        words = search_words(user.phone_number or "", user.name or "")
        prints = [self._vault.fingerprint("search", word) for word in words]
        number: int = await self._pool.fetchval(
            "insert into users (data_key, name, language, opted_out, search, created_at, updated_at)"
            " values ($1, $2, $3, $4, $5, $6, $7) returning id",
            *(wrapped, name, user.language, user.opted_out, prints, user.created_at, user.updated_at),
        )
        for kind, value in (("phone", user.phone_number), ("user_id", user.user_id)):
            if value:
                await self._pool.execute(
                    "insert into identities (hash, user_id, kind, sealed) values ($1, $2, $3, $4)",
                    *(self._vault.fingerprint(kind, value), number, kind, key.seal(value.encode(), b"identity")),
                )
        self.customers[user.phone_number, user.user_id] = number
        self._keys[number] = wrapped
        return number

    async def talk(self, talk: ConversationRecord, customer: int) -> None:
        hidden = {"phone_number", "user_id", "name", "erased", "last_message"}
        names = [name for name in talk.__struct_fields__ if name not in hidden]
        places = ", ".join(f"${place}" for place in range(2, len(names) + 2))
        key = self._vault.customer(self._keys[customer])
        reason = key.seal(talk.escalation_reason.encode(), b"reason") if talk.escalation_reason else b""
        await self._pool.execute(
            f"insert into conversations (user_id, {', '.join(names)}) values ($1, {places})",
            customer,
            *(reason if name == "escalation_reason" else getattr(talk, name) for name in names),
        )

    async def said(self, said: MessageRecord, customer: int) -> None:
        key = self._vault.customer(self._keys[customer])
        hidden = {"content", "text", "erased", "sender_number", "recipient_number", "seq"}
        names = [name for name in said.__struct_fields__ if name not in hidden]
        places = ", ".join(f"${place}" for place in range(7, len(names) + 7))
        assert said.content is not None
        await self._pool.execute(
            "insert into messages (user_id, content, sender_number, recipient_number, caused_at, seq, "
            f"{', '.join(names)}) overriding system value values ($1, $2, $3, $4, $5, $6, {places})",
            customer,
            key.seal(encode_content(said.content), UUID(said.id).bytes),
            key.seal((said.sender_number or "").encode(), b"identity"),
            key.seal((said.recipient_number or "").encode(), b"identity"),
            said.created_at,
            said.seq,
            *(getattr(said, name) for name in names),
        )

    async def _rest(self, scene: Scene, talks: dict[ConversationId, ConversationRecord]) -> None:
        for call in scene.calls:
            await self._pool.execute(
                "insert into model_calls (id, user_id, conversation_id, outcome, model, prompt_tokens,"
                " completion_tokens, cost_usd, estimated, attempts, seconds, generation_id, created_at)"
                " values ($1, 1, $2, 'answered', 'm', $3, 1, $4, $5, 1, 1.0, '', $6)",
                *(uuid4(), call.conversation, call.tokens - 1, call.cost_usd, call.estimated, call.created_at),
            )
        for parked in scene.parked:
            talk = talks[parked.conversation_id or OLD]
            customer = self.customers[talk.phone_number, talk.user_id]
            seq = await self._pool.fetchval(
                "insert into journal (dedup, user_id, kind, sealed, accepted_at) values ($1, $2, $3, '', $4)"
                " returning seq",
                *(uuid4().bytes, customer, parked.event, parked.parked_at),
            )
            await self._pool.execute(
                "insert into parked (id, user_id, journal_seq, error, attempts, parked_at)"
                " overriding system value values ($1, $2, $3, $4, $5, $6)",
                *(parked.id, customer, seq, parked.error, parked.attempts, parked.parked_at),
            )
        for body in scene.quarantine:
            sealed = self._vault.seal((body.body or "").encode(), b"quarantine")
            await self._pool.execute(
                "insert into quarantine (id, reason, sealed, received_at) overriding system value"
                " values ($1, $2, $3, $4)",
                *(body.id, body.reason, sealed, body.received_at),
            )


def with_previews(scene: Scene) -> Scene:
    """The scene with each conversation showing the newest of its messages."""
    newest = {said.conversation_id: said.text for said in scene.messages}
    talks = tuple(msgspec.structs.replace(talk, last_message=newest.get(talk.id)) for talk in scene.conversations)
    return msgspec.structs.replace(scene, conversations=talks)


@pytest.fixture
def vault() -> AesVault:
    keys = ServiceKeys({"k1": b"k" * 32})
    return AesVault(keys, keys.new_key())


@pytest.fixture
def stored(pool: asyncpg.Pool, vault: AesVault) -> Stored:
    return Stored(pool, vault)


@pytest.fixture
def postgres(database: Database, vault: AesVault) -> PostgresRecords:
    return PostgresRecords(database, vault)


@pytest.fixture
async def filled(stored: Stored, postgres: PostgresRecords) -> PostgresRecords:
    await stored.keep(a_scene())
    return postgres


@pytest.fixture(params=["memory", "postgres"])
def records(request: pytest.FixtureRequest) -> Records:
    """The same scene, kept in both ways."""
    if request.param == "memory":
        return MemoryRecords(with_previews(a_scene()))
    filled: PostgresRecords = request.getfixturevalue("filled")
    return filled


# --- the contract ----------------------------------------------------------------------------------------------------


async def test_all_conversations_are_read_as_they_were_stored(records: Records) -> None:
    found = await records.conversations(status=None, words=None, after=None, limit=10)
    assert list(found) == list(reversed(with_previews(a_scene()).conversations))


@pytest.mark.parametrize(
    ("status", "query", "after", "expected"),
    [
        ("queue", None, None, [WAITING]),
        ("agent", None, None, [HELD]),
        ("agent", None, HELD, []),
        ("bot", None, None, [NOW]),
        ("bot", None, NOW, []),
        ("model", None, None, []),
        ("closed", None, None, [DONE, OLD]),
        ("closed", None, DONE, [OLD]),
        (None, None, WAITING, [NOW, OLD]),
        (None, "+91 98765 43210", None, [NOW, OLD]),
        (None, "3210", NOW, [OLD]),
        ("bot", "priya", None, [NOW]),
        (None, "priya jonas", None, []),
        (None, "zoe", None, [WAITING]),
    ],
)
async def test_conversations_are_found(
    records: Records, status: Mode | None, query: str | None, after: ConversationId | None, expected: list[str]
) -> None:
    words = None if query is None else query_words(query)
    found = await records.conversations(status=status, words=words, after=after, limit=10)
    assert [one.id for one in found] == expected


@pytest.mark.parametrize(("status", "query"), [(None, None), ("queue", None), (None, "priya")])
async def test_a_list_keeps_to_its_limit(records: Records, status: Mode | None, query: str | None) -> None:
    words = None if query is None else query_words(query)
    assert len(await records.conversations(status=status, words=words, after=None, limit=1)) == 1


async def test_one_conversation_is_read(records: Records) -> None:
    found = await records.conversation(NOW)
    assert found is not None
    assert (found.id, found.last_message) == (NOW, "Your order number?")
    assert await records.conversation(ConversationId(str(uuid4()))) is None


async def test_a_transcript_is_read_in_order(records: Records) -> None:
    assert list(await records.transcript(NOW, before=None, limit=10)) == list(a_scene().messages[:3])
    assert [one.seq for one in await records.transcript(NOW, before=None, limit=2)] == [2, 3]
    assert [one.seq for one in await records.transcript(NOW, before=2, limit=2)] == [1]
    assert list(await records.transcript(OLD, before=None, limit=2)) == []


async def test_one_message_is_read(records: Records) -> None:
    wanted = a_scene().messages[1]
    assert await records.message(wanted.id) == wanted
    assert await records.message(MessageId(str(uuid4()))) is None


async def test_the_use_of_models_is_added_up(records: Records) -> None:
    used, unused = await records.model_use(NOW), await records.model_use(OLD)
    assert (used.calls, used.tokens, used.estimated) == (2, 200, True)
    assert used.cost_usd == pytest.approx(0.0035)
    assert (unused.calls, unused.tokens, unused.cost_usd, unused.estimated) == (0, 0, 0.0, False)


async def test_customers_are_read_by_number(records: Records) -> None:
    for user in a_scene().users:
        if user.phone_number:
            assert await records.user(user.phone_number) == user
    assert await records.user("919999999999") is None


async def test_parked_and_quarantined_are_read_latest_first(records: Records) -> None:
    scene = a_scene()
    assert list(await records.parked(after=None, limit=5)) == list(reversed(scene.parked))
    assert list(await records.parked(after=9, limit=5)) == [scene.parked[0]]
    assert list(await records.quarantine(after=None, limit=2)) == [scene.quarantine[2], scene.quarantine[1]]
    assert list(await records.quarantine(after=2, limit=2)) == [scene.quarantine[0]]


@pytest.mark.parametrize(("since", "until"), [(0, 60), (10, 30), (0, 0.001), (30, 30.001), (100, 200)])
async def test_numbers_of_a_period_are_counted(records: Records, since: float, until: float) -> None:
    expected = await MemoryRecords(a_scene()).stats(at(since), at(until))
    found = await records.stats(at(since), at(until))
    assert found.model.cost_usd == pytest.approx(expected.model.cost_usd)
    same = msgspec.structs.replace(found.model, cost_usd=expected.model.cost_usd)
    assert msgspec.structs.replace(found, model=same) == expected


# --- what only a store with keys can show ----------------------------------------------------------------------------


async def test_an_erased_customer_is_shown_without_what_was_theirs(
    stored: Stored, pool: asyncpg.Pool, postgres: PostgresRecords
) -> None:
    await stored.keep(a_scene())
    await pool.execute("update users set data_key = null where id = $1", stored.customers[PRIYA, None])
    talk = await postgres.conversation(NOW)
    assert talk is not None
    assert (talk.erased, talk.phone_number, talk.name, talk.last_message) == (True, None, None, None)
    said = (await postgres.transcript(NOW, before=None, limit=1))[0]
    assert (said.erased, said.content, said.text, said.sender_number, said.recipient_number) == (True, *[None] * 4)
    assert said.failure_reason == "window closed"
    user = await postgres.user(PRIYA)
    assert user is not None
    assert (user.erased, user.phone_number, user.name) == (True, None, None)
    parked = await postgres.parked(after=None, limit=5)
    assert [one.erased for one in parked] == [False, True]


async def test_a_key_that_is_not_ours_reads_as_erased(
    stored: Stored, pool: asyncpg.Pool, postgres: PostgresRecords
) -> None:
    await stored.keep(a_scene())
    await pool.execute("update users set data_key = $1", b"x" * 60)
    user = await postgres.user(PRIYA)
    assert user is not None
    assert user.erased


@pytest.mark.parametrize("plain", [None, b"\xc1"])
async def test_a_value_that_does_not_open_is_null_and_its_neighbours_are_read(
    stored: Stored, pool: asyncpg.Pool, postgres: PostgresRecords, vault: AesVault, plain: bytes | None
) -> None:
    await stored.keep(a_scene())
    broken = UUID(a_scene().messages[1].id)
    wrapped = await pool.fetchval("select data_key from users where id = $1", stored.customers[PRIYA, None])
    content = b"x" * 40 if plain is None else vault.customer(wrapped).seal(plain, broken.bytes)
    await pool.execute("update messages set content = $2 where id = $1", broken, content)
    await pool.execute("update quarantine set sealed = 'x' where id = 2")
    found = await postgres.transcript(NOW, before=None, limit=5)
    assert [one.text for one in found] == ["help me", None, "Your order number?"]
    assert not found[1].erased
    assert [one.body for one in await postgres.quarantine(after=None, limit=5)] == ['{"n":3}', None, '{"n":1}']


async def test_a_preview_is_the_beginning_of_the_newest_message(stored: Stored, postgres: PostgresRecords) -> None:
    scene = a_scene()
    await stored.keep(scene)
    priya = stored.customers[PRIYA, None]
    await stored.said(message(scene.conversations[1], 12, Text(text="x" * (PREVIEW + 1)), seq=90), priya)
    await stored.said(message(scene.conversations[0], 13, Media(kind="image", url="https://x"), seq=91), priya)
    found = {one.id: one for one in await postgres.conversations(status=None, words=None, after=None, limit=9)}
    assert found[NOW].last_message == "x" * PREVIEW
    assert found[OLD].last_message == "[image]"


async def test_an_absorbed_customer_is_shown_as_the_one_who_absorbed_them(
    stored: Stored, pool: asyncpg.Pool, postgres: PostgresRecords
) -> None:
    await stored.keep(a_scene())
    kept, absorbed = stored.customers[PRIYA, None], stored.customers[None, "IN.26001"]
    await pool.execute("update users set merged_into = $1 where id = $2", kept, absorbed)
    talk = await postgres.conversation(WAITING)
    assert talk is not None
    assert (talk.phone_number, talk.name) == (PRIYA, "Priya Sharma")
    found = await postgres.conversations(status=None, words=query_words("priya"), after=None, limit=9)
    assert [one.id for one in found] == [WAITING, NOW, OLD]
    user = await postgres.user(PRIYA)
    assert user is not None
    assert (user.conversations, user.conversation_id) == (3, WAITING)


async def test_a_customer_who_never_came_to_talk_is_read(stored: Stored, postgres: PostgresRecords) -> None:
    silent = msgspec.structs.replace(a_scene().users[0], conversation_id=None, conversations=0, name=None)
    await stored.customer(silent)
    assert await postgres.user(PRIYA) == silent


async def test_a_parked_customer_whose_event_is_gone_is_shown(
    stored: Stored, pool: asyncpg.Pool, postgres: PostgresRecords
) -> None:
    await stored.keep(a_scene())
    await pool.execute("delete from journal")
    assert [one.event for one in await postgres.parked(after=None, limit=5)] == ["", ""]


async def test_bounds_of_a_period_hold_to_the_microsecond(stored: Stored, postgres: PostgresRecords) -> None:
    moment = START + timedelta(microseconds=7)
    talk = conversation(7 / 60e6, PRIYA, created_at=moment)
    customer = await stored.customer(a_scene().users[0])
    await stored.talk(talk, customer)
    tick = timedelta(microseconds=1)
    assert (await postgres.stats(moment, moment + tick)).conversations.started == 1
    assert (await postgres.stats(moment - tick, moment)).conversations.started == 0
    assert (await postgres.stats(moment + tick, moment + 2 * tick)).conversations.started == 0


async def test_lists_are_read_by_index(pool: asyncpg.Pool) -> None:
    queries = load_queries(SQL_DIR)
    wanted = {
        "records_conversations_recent": ("null, null, 5", "conversations_pkey"),
        "records_conversations_open": ("'bot', null, 5", "conversations_open"),
        "records_conversations_held": ("'queue', null, 5", "conversations_held"),
        "records_conversations_found": ("null, null, 5, '{}'", "users_search"),
        "records_transcript": (f"'{NOW}', null, 5", "messages_conversation"),
        "records_stats_messages": ("now(), now()", "messages_pkey"),
    }
    async with pool.acquire() as connection:
        for name, (arguments, index) in wanted.items():
            await connection.execute(f"prepare {name} as {queries[name]}")
            plan = await connection.fetch(f"explain execute {name} ({arguments})")
            assert any(index in row[0] for row in plan), (name, plan)
