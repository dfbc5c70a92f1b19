"""`bot seed` against a real database: what it writes is what REST shows, and it never writes where it should not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from bot import metrics
from bot.adapters.postgres.stores import Stores, opened
from bot.app import NotReady, unlocked
from bot.commands.seed import plant, plant_once, seed
from bot.config import Settings
from tests.conftest import SQL_DIR

NOW = datetime(2025, 6, 4, 12, 0, tzinfo=UTC)
KEY = "test:" + "QUFB" * 10 + "QUE="


def settings(url: str, **changes: str) -> Settings:
    fields = {"database_url": url, "environment": "development", "encryption_keys": KEY, **changes}
    return Settings(sql_dir=Path(SQL_DIR), **fields)  # type: ignore[arg-type]


def unreadable() -> float:
    return float(sum(metrics.sealed_bad_total.labels(what)._value.get() for what in ("record", "data_key")))


async def test_everything_that_is_written_can_be_read(database_url: str) -> None:
    planted = await plant(settings(database_url), conversations=120, days=30, chance=1, now=NOW.timestamp())
    before = unreadable()
    async with opened(database_url, sql_dir=SQL_DIR, size=2) as base:
        vault = await unlocked(settings(database_url), base.keyring)
        records = Stores(base, vault).records
        page = await records.conversations(status=None, words=None, after=None, limit=200)
        assert len(page) == planted.conversations
        for conversation in page:
            assert conversation.phone_number
            assert conversation.last_message
            transcript = await records.transcript(conversation.id, before=None, limit=50)
            assert [message.created_at for message in transcript] == sorted(
                message.created_at for message in transcript
            )
            assert all(message.text and message.sender_number and message.recipient_number for message in transcript)
        named = next(conversation for conversation in page if conversation.name)
        assert named.phone_number is not None
        assert (await records.user(named.phone_number)) is not None
        found = await records.conversations(status=None, words=(named.phone_number[-4:],), after=None, limit=200)
        assert named.id in {conversation.id for conversation in found}
        stats = await records.stats(NOW - timedelta(days=40), NOW)
        assert stats.messages.inbound + stats.messages.outbound == planted.messages
        assert stats.conversations.started == planted.conversations
        assert stats.model.cost_usd > 0
    assert unreadable() == before


async def test_nobody_seems_to_wait_for_an_answer(database_url: str) -> None:
    await plant(settings(database_url), conversations=300, days=2, chance=4)
    async with opened(database_url, sql_dir=SQL_DIR, size=1) as base:
        stores = Stores(base, await unlocked(settings(database_url), base.keyring))
        assert await stores.watch.unanswered(datetime.now(UTC).timestamp() - 60) == 0
        assert (await stores.watch.outbox()).count == 0


async def test_a_database_with_customers_is_left_alone_unless_somebody_is_sure(database_url: str) -> None:
    await plant(settings(database_url), conversations=150, days=30, chance=1, now=NOW.timestamp())
    with pytest.raises(NotReady, match="has customers already"):
        await plant(settings(database_url), conversations=10, days=30, chance=2)
    await plant(settings(database_url), conversations=10, days=30, chance=2, sure=True)


async def test_what_is_there_already_is_not_written_twice_and_nothing_stays_of_the_attempt(database_url: str) -> None:
    wanted = settings(database_url)
    await plant(wanted, conversations=20, days=30, chance=1, now=NOW.timestamp())
    connection = await asyncpg.connect(database_url)
    before = await connection.fetchval("select count(*) from messages")
    with pytest.raises(NotReady, match="another --seed"):
        await plant(wanted, conversations=20, days=30, chance=1, now=NOW.timestamp())
    assert await connection.fetchval("select count(*) from messages") == before
    await connection.close()


async def test_production_is_refused_without_yes(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    production = settings(database_url, environment="production")
    with pytest.raises(NotReady, match="--yes"):
        await seed(production, conversations=5, days=5, chance=1, now=None, sure=False)
    await seed(production, conversations=5, days=5, chance=1, now=None, sure=True)
    assert "5 conversations" in capsys.readouterr().out


async def test_a_database_without_the_schema_is_refused(servers: object, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("delete from schema_migrations")
    await connection.close()
    with pytest.raises(NotReady, match="migrations are pending"):
        await plant(settings(database_url), conversations=5, days=5, chance=1)


async def test_the_demo_begins_with_history_once(database_url: str) -> None:
    for _ in range(2):
        await plant_once(settings(database_url), conversations=30, days=30)
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("select count(*) from conversations") <= 30
    await connection.close()
