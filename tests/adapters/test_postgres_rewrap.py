"""Rotation of the service's keys: what is sealed anew, what is left alone, and what somebody else did meanwhile."""

import asyncio
import os
import uuid
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from bot.adapters.cipher import KEY_CONTEXT, AesVault, ServiceKeys
from bot.adapters.postgres.keyring import PostgresKeyring
from bot.adapters.postgres.pool import Database
from bot.adapters.postgres.sealed import HOLDINGS, PAGE, PostgresSealed
from bot.commands.keys import counts_of, missing, verdicts
from bot.ports.webhooks import EndpointId
from bot.runtime.announcing import secret_context
from bot.runtime.intake import QUARANTINE_CONTEXT

K1, K2 = b"\1" * 32, b"\2" * 32
OLD, BOTH, NEW = ServiceKeys({"k1": K1}), ServiceKeys({"k2": K2, "k1": K1}), ServiceKeys({"k2": K2})
SEALED: dict[str, str] = {
    "users": "select data_key from users where data_key is not null",
    "keyring": "select wrapped from keyring",
    "journal": "select sealed from journal where consumed_at is null",
    "quarantine": "select sealed from quarantine",
    "secrets": "select secret from webhook_endpoints",
    "old secrets": "select old_secret from webhook_endpoints",
}


@pytest.fixture
def sealed(database: Database) -> PostgresSealed:
    return PostgresSealed(database, BOTH)


async def customers(pool: asyncpg.Pool, count: int, keys: ServiceKeys = OLD) -> list[int]:
    rows = await pool.fetch(
        "insert into users (data_key) select unnest($1::bytea[]) returning id", [keys.new_key() for _ in range(count)]
    )
    return [row["id"] for row in rows]


async def event(pool: asyncpg.Pool, sealed: bytes, dedup: bytes, *, consumed: bool = False, age: int = 100) -> int:
    sql = (
        "insert into journal (dedup, user_id, kind, sealed, accepted_at, consumed_at) values"
        " ($1, 1, 'x', $2, now() - make_interval(secs => $3), case when $4 then now() end) returning seq"
    )
    return int(await pool.fetchval(sql, dedup, sealed, float(age), consumed))


async def fill(pool: asyncpg.Pool, database: Database) -> dict[str, Any]:
    """One of everything under the old key; what is in it by name."""
    await customers(pool, 3)
    await PostgresKeyring(database).obtain("fingerprint", OLD.seal(b"fingerprint", KEY_CONTEXT))
    dedup, endpoint = os.urandom(16), uuid.uuid4()
    context = secret_context(EndpointId(str(endpoint)))
    await event(pool, OLD.seal(b"waits", dedup), dedup)
    await event(pool, OLD.seal(b"applied"), os.urandom(16), consumed=True)
    quarantine = "insert into quarantine (reason, sealed, received_at) values ('bad', $1, now())"
    await pool.execute(quarantine, OLD.seal(b"body", QUARANTINE_CONTEXT))
    await pool.execute(
        "insert into webhook_endpoints (id, url, events, secret, old_secret) values ($1, 'https://x', '{}', $2, $3)",
        endpoint,
        OLD.seal(b"whsec_new", context),
        OLD.seal(b"whsec_old", context),
    )
    return {"dedup": dedup, "context": context}


async def values(pool: asyncpg.Pool, sql: str) -> list[bytes]:
    return [row[0] for row in await pool.fetch(sql)]


async def test_everything_that_stays_is_sealed_anew_and_opens_without_the_old_key(
    pool: asyncpg.Pool, database: Database, sealed: PostgresSealed
) -> None:
    known = await fill(pool, database)
    keys = [OLD.unwrap(key) for key in await values(pool, SEALED["users"])]
    done = await sealed.reseal()
    assert done.changed == {"keyring": 1, "users": 3, "webhook_secrets": 1, "journal_unread": 1, "quarantine": 1}
    assert done.unreadable == {}
    assert [NEW.unwrap(key) for key in await values(pool, SEALED["users"])] == keys
    contexts = (KEY_CONTEXT, known["dedup"], QUARANTINE_CONTEXT, known["context"], known["context"])
    names = ("keyring", "journal", "quarantine", "secrets", "old secrets")
    opened = [NEW.open((await values(pool, SEALED[name]))[0], of) for name, of in zip(names, contexts, strict=True)]
    assert opened == [b"fingerprint", b"waits", b"body", b"whsec_new", b"whsec_old"]


async def test_to_do_it_twice_changes_nothing(pool: asyncpg.Pool, database: Database, sealed: PostgresSealed) -> None:
    await fill(pool, database)
    await sealed.reseal()
    before = [await values(pool, sql) for sql in SEALED.values()]
    assert (await sealed.reseal()).changed == {}
    assert [await values(pool, sql) for sql in SEALED.values()] == before


async def test_several_processes_may_do_it_at_once(pool: asyncpg.Pool, sealed: PostgresSealed) -> None:
    await customers(pool, 2 * PAGE + 10)
    before = [OLD.unwrap(key) for key in await values(pool, SEALED["users"] + " order by id")]
    done = await asyncio.gather(*(sealed.reseal() for _ in range(3)))
    assert sum(one.changed.get("users", 0) for one in done) == 2 * PAGE + 10
    assert [NEW.unwrap(key) for key in await values(pool, SEALED["users"] + " order by id")] == before


class Overtaken(Database):
    """A database in which something happens between the reading of customers' keys and the writing."""

    async def fetch(self, name: str, *arguments: Any) -> Sequence[Any]:
        if name == "reseal_users":
            await self._pool.execute("update users set data_key = null where id = $1", arguments[0][0])
        return await super().fetch(name, *arguments)


async def test_a_key_that_an_erasure_destroyed_meanwhile_stays_destroyed(
    pool: asyncpg.Pool, database: Database
) -> None:
    erased, other = await customers(pool, 2)
    done = await PostgresSealed(Overtaken(pool, database._queries), BOTH).reseal()
    assert done.changed == {"users": 1}
    found = dict(await pool.fetch("select id, data_key from users"))
    assert found[erased] is None
    assert NEW.unwrap(found[other])


async def test_what_no_key_opens_is_told_and_left_alone(pool: asyncpg.Pool, sealed: PostgresSealed) -> None:
    (good,) = await customers(pool, 1)
    (lost,) = await customers(pool, 1, ServiceKeys({"k0": b"\0" * 32}))
    before = await pool.fetchval("select data_key from users where id = $1", lost)
    done = await sealed.reseal()
    assert (done.changed, done.unreadable) == ({"users": 1}, {"users": 1})
    assert await pool.fetchval("select data_key from users where id = $1", lost) == before
    assert NEW.unwrap(await pool.fetchval("select data_key from users where id = $1", good))


async def test_an_event_that_just_came_is_left_to_whoever_applies_it(
    pool: asyncpg.Pool, sealed: PostgresSealed
) -> None:
    await event(pool, OLD.seal(b"x", b"d" * 16), b"d" * 16, age=0)
    assert (await sealed.reseal()).changed == {}


async def test_the_customer_goes_on_with_the_sealer_of_the_same_key(pool: asyncpg.Pool, sealed: PostgresSealed) -> None:
    await customers(pool, 1)
    (old,) = await values(pool, SEALED["users"])
    message = AesVault(OLD, OLD.new_key()).customer(old).seal(b"hello", b"id")
    await sealed.reseal()
    (new,) = await values(pool, SEALED["users"])
    assert AesVault(NEW, NEW.new_key()).customer(new).open(message, b"id") == b"hello"


# --- what is told ----------------------------------------------------------------------------------------------------


async def test_every_key_in_use_is_counted_place_by_place(
    pool: asyncpg.Pool, database: Database, sealed: PostgresSealed
) -> None:
    await fill(pool, database)
    await customers(pool, PAGE, NEW)
    await pool.execute(
        "insert into idempotency (key, fingerprint, status, answer) values ('k', 'f', 200, $1)", NEW.seal(b"x")
    )
    counts = await sealed.counts()
    assert set(counts) == {holding.name for holding in HOLDINGS}
    assert counts["users"] == {"k1": 3, "k2": PAGE}
    assert (counts["journal_applied"], counts["idempotency"]) == ({"k1": 1}, {"k2": 1})
    assert verdicts(BOTH.ids, counts) == ["k2: seals", "k1: needed; run `bot keys rewrap`"]
    assert verdicts(NEW.ids, counts)[-1] == "k1: MISSING from ENCRYPTION_KEYS, and in use"
    assert (missing(NEW.ids, counts), missing(BOTH.ids, counts)) == (["k1"], [])
    told = "keyring (1), users (3), webhook_secrets (2), journal_unread (1), quarantine (1), journal_applied (1)"
    assert counts_of(["k1"], counts) == told


async def test_a_key_is_needed_until_what_leaves_by_age_has_left(
    pool: asyncpg.Pool, database: Database, sealed: PostgresSealed
) -> None:
    await fill(pool, database)
    await sealed.reseal()
    told = verdicts(BOTH.ids, await sealed.counts())
    assert told == ["k2: seals", "k1: needed until it has left by age: journal_applied"]
    await pool.execute("delete from journal where consumed_at is not null")
    assert verdicts(BOTH.ids, await sealed.counts())[1].startswith("k1: no longer needed")
