"""The service works as a database role that may read and write rows and nothing else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from bot.adapters.postgres.migrations import load_migrations, migrate
from bot.adapters.postgres.pool import connect
from bot.adapters.postgres.queries import load_queries
from tests.acceptance.sharing import new_phone
from tests.acceptance.stage import staged
from tests.conftest import SQL_DIR, Servers

ROLES = (SQL_DIR / "roles.sql").read_text(encoding="utf-8")


def as_role(url: str, role: str) -> str:
    return url.replace("postgres:@", f"{role}:@", 1)


@pytest.fixture
def fresh_url(servers: Servers) -> Iterator[str]:
    url = servers.new_database(template="template1")
    yield url
    servers.drop(url)


async def run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def prepared(url: str) -> None:
    """As an administrator would: the roles, the schema made by its owner, the roles again."""
    await run(url, ROLES)
    async with await connect(as_role(url, "desk_owner"), size=1) as pool:
        await migrate(pool, load_queries(SQL_DIR), load_migrations(SQL_DIR))
    await run(url, ROLES, ROLES)


async def test_the_service_works_as_a_role_that_only_reads_and_writes_rows(
    fresh_url: str, redis_url: str, tmp_path: Path
) -> None:
    await prepared(fresh_url)
    phone = new_phone()
    async with staged(as_role(fresh_url, "desk_service"), redis_url, tmp_path) as stage:
        await stage.hear("hello", phone)
        await stage.hear("one", phone)
        await stage.told("Heard hello", "Echo one", phone=phone)
        conversation = await stage.conversation(phone)
        path = f"/conversations/{conversation['id']}"
        for deed, body in (("assign", {"agent": "meera"}), ("reply", {"agent": "meera", "message": "A person."})):
            status, answer = await stage.service.api("POST", f"{path}/{deed}", body)
            assert status == 200, answer
        await stage.told("Heard hello", "Echo one", "A person.", phone=phone)
        status, answer = await stage.service.ready()
        assert (status, answer["checks"]["schema"]["ok"]) == (200, True), answer


@pytest.mark.parametrize(
    "statement",
    [
        "create table mine (id int)",
        "alter table messages add column mine int",
        "drop table messages",
        "truncate messages",
        "create function mine() returns int language sql as 'select 1'",
        "insert into schema_migrations (name, checksum) values ('9999_pre_mine', 'x')",
        "delete from schema_migrations",
        "update audit set by_whom = 'somebody else'",
        "copy messages to program 'cat'",
        "create role mine",
    ],
)
async def test_it_may_not(fresh_url: str, statement: str) -> None:
    await prepared(fresh_url)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run(as_role(fresh_url, "desk_service"), statement)


async def test_every_statement_of_the_service_is_within_its_rights(fresh_url: str) -> None:
    await prepared(fresh_url)
    refused: dict[str, Any] = {}
    connection = await asyncpg.connect(as_role(fresh_url, "desk_service"))
    for name, statement in load_queries(SQL_DIR).items():
        if name.startswith(("migrations_", "restore_")):
            continue
        count = len((await connection.prepare(statement)).get_parameters())
        await connection.execute(f"prepare {name} as {statement}")
        try:
            await connection.execute(
                f"explain execute {name} ({', '.join(['null'] * count)})" if count else f"explain execute {name}"
            )
        except asyncpg.InsufficientPrivilegeError as problem:
            refused[name] = str(problem)
    await connection.close()
    assert refused == {}
