"""Tokens are kept, found, revoked and audited; the in-memory ones of the web tests keep the same contract."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from bot.adapters.postgres.pool import Database
from bot.adapters.postgres.queries import load_queries
from bot.adapters.postgres.tokens import PostgresTokens
from bot.ports.tokens import MOST_TOKENS, NewToken, Refusal, TokenId, Tokens
from tests.adapters.test_postgres_queries import nodes
from tests.conftest import SQL_DIR
from tests.web.api_office import MemoryTokens

DAY = timedelta(days=1)


def new(name: str = "crm", **changes: Any) -> NewToken:
    fields = {"hash": name.encode(), "scopes": frozenset({"users:read"}), "expires_at": None, "by": "admin"}
    return NewToken(**{**fields, "name": name, **changes})


@pytest.fixture
def postgres(database: Database) -> PostgresTokens:
    return PostgresTokens(database)


@pytest.fixture(params=["memory", "postgres"])
def tokens(request: pytest.FixtureRequest) -> Tokens:
    if request.param == "memory":
        return MemoryTokens()
    postgres: PostgresTokens = request.getfixturevalue("postgres")
    return postgres


async def test_a_token_is_kept_with_all_that_is_known_of_it(tokens: Tokens) -> None:
    end = datetime.now(UTC) + DAY
    kept = await tokens.add(new(scopes=frozenset({"users:read", "audit:read"}), expires_at=end))
    assert (kept.name, kept.scopes, kept.created_by) == ("crm", ("users:read", "audit:read"), "admin")
    assert (kept.expires_at, kept.last_used_at, kept.revoked_at) == (end, None, None)
    assert await tokens.page(after=None, limit=5) == [kept]
    (living,) = await tokens.living()
    assert (living.id, living.name, living.hash, living.expires_at) == (kept.id, "crm", b"crm", end)
    assert living.scopes == frozenset(kept.scopes)


async def test_a_revoked_token_does_not_live_and_stays_on_the_list(tokens: Tokens) -> None:
    first, second = await tokens.add(new("first")), await tokens.add(new("second"))
    revoked = await tokens.revoke(first.id, by="admin")
    assert revoked is not None
    assert revoked.revoked_at is not None
    assert [token.id for token in await tokens.living()] == [second.id]
    assert [token.id for token in await tokens.page(after=None, limit=5)] == [second.id, first.id]
    assert await tokens.page(after=second.id, limit=5) == [revoked]
    assert await tokens.revoke(first.id, by="admin") is None
    assert await tokens.revoke(TokenId(99), by="admin") is None


async def test_a_name_is_free_again_when_its_token_is_revoked(tokens: Tokens) -> None:
    kept = await tokens.add(new())
    with pytest.raises(Refusal, match="named crm already"):
        await tokens.add(new())
    await tokens.revoke(kept.id, by="admin")
    assert (await tokens.add(new())).id != kept.id


async def test_of_several_who_take_a_name_at_once_one_has_it(postgres: PostgresTokens) -> None:
    results = await asyncio.gather(*(postgres.add(new()) for _ in range(5)), return_exceptions=True)
    assert sorted(isinstance(result, Refusal) for result in results) == [False, True, True, True, True]


async def test_what_is_made_and_revoked_is_audited_in_the_same_statement(
    pool: asyncpg.Pool, postgres: PostgresTokens
) -> None:
    kept = await postgres.add(new())
    await postgres.revoke(kept.id, by="Anil")
    lines = [tuple(row) for row in await pool.fetch("select action, by_whom, detail from audit order by id")]
    assert lines == [
        ("token_added", "admin", f"token {kept.id}, crm: users:read"),
        ("token_revoked", "Anil", f"token {kept.id}, crm"),
    ]


async def test_last_use_never_goes_back(postgres: PostgresTokens) -> None:
    kept = await postgres.add(new())
    for at in (2e9, 1e9):
        await postgres.used([(kept.id, at)])
    await postgres.used([])
    (listed,) = await postgres.page(after=None, limit=5)
    assert listed.last_used_at == datetime.fromtimestamp(2e9, UTC)


async def test_there_is_a_most_and_those_that_expired_do_not_count(
    pool: asyncpg.Pool, postgres: PostgresTokens
) -> None:
    await pool.execute(
        "insert into api_tokens (name, hash, scopes, created_by, expires_at)"
        " select 't' || n, '', '{}', 'admin', now() + interval '1 day' from generate_series(1, $1::int) n",
        MOST_TOKENS,
    )
    with pytest.raises(Refusal, match=f"{MOST_TOKENS} tokens are in force"):
        await postgres.add(new())
    await pool.execute("update api_tokens set expires_at = now() where name = 't1'")
    await postgres.add(new())
    assert len(await postgres.living()) == MOST_TOKENS


async def test_scopes_of_another_release_are_left_out(pool: asyncpg.Pool, postgres: PostgresTokens) -> None:
    await postgres.add(new())
    await pool.execute("update api_tokens set scopes = '{users:read,moon:read}'")
    (living,) = await postgres.living()
    (listed,) = await postgres.page(after=None, limit=1)
    assert (living.scopes, listed.scopes) == (frozenset({"users:read"}), ("users:read",))


async def test_tokens_are_read_by_index(pool: asyncpg.Pool) -> None:
    queries = load_queries(SQL_DIR)
    async with pool.acquire() as connection:
        for name, arguments in (("tokens_living", "5"), ("tokens_page", "null, 5"), ("tokens_revoke", "1, ''")):
            await connection.execute(f"prepare {name} as {queries[name]}")
            plan = json.loads(await connection.fetchval(f"explain (format json) execute {name} ({arguments})"))
            assert not [node for node in nodes(plan[0]["Plan"]) if node["Node Type"] == "Seq Scan"], name
