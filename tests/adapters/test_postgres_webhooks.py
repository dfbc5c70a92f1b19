"""Outgoing webhooks in PostgreSQL: what is read of millions of deliveries is read by index."""

import json
from typing import Any

import asyncpg
import pytest

from bot.adapters.postgres.pool import Database
from bot.adapters.postgres.store import PostgresStore
from bot.adapters.postgres.webhooks import PostgresWebhooks
from bot.ports.webhooks import EndpointId, NewEndpoint
from tests.adapters.rows import new_customer, new_uuid, write
from tests.adapters.test_postgres_queries import QUERIES, nodes
from tests.adapters.webhook_side import announcement

READING = [name for name in QUERIES if name.startswith("webhooks_") and "webhook_deliveries" in QUERIES[name]]


@pytest.mark.parametrize("name", READING)
async def test_deliveries_are_found_by_index(pool: asyncpg.Pool, name: str) -> None:
    async with pool.acquire() as connection:
        count = len((await connection.prepare(QUERIES[name])).get_parameters())
        await connection.execute(f"prepare it as {QUERIES[name]}")
        asked = ", ".join(["null"] * count)
        plan = json.loads(await connection.fetchval(f"explain (format json) execute it ({asked})"))
    assert [node for node in nodes(plan[0]["Plan"]) if is_walk(node)] == []


def is_walk(node: dict[str, Any]) -> bool:
    """A look at every delivery."""
    return node.get("Relation Name") == "webhook_deliveries" and (
        node["Node Type"] == "Seq Scan" or (node["Node Type"].startswith("Index") and "Index Cond" not in node)
    )


async def test_a_commit_that_announces_is_one_transaction(pool: asyncpg.Pool, database: Database) -> None:
    """Where deliveries cannot be made, nothing of the commit is there either."""
    webhooks, store = PostgresWebhooks(database), PostgresStore(database)
    new = NewEndpoint(id=EndpointId(new_uuid()), url="https://x.com/", events=("ping",), description="", secret=b"")
    assert await webhooks.make(new, most=1) is not None
    customer = await new_customer(pool)
    await pool.execute("alter table webhook_deliveries add check (type <> 'ping') not valid")
    told = write(customer, announcements=(announcement("ping"),))
    with pytest.raises(Exception, match="CheckViolation"):
        await store.commit([told])
    assert await pool.fetchval("select version from users where id = $1", customer) == 0
