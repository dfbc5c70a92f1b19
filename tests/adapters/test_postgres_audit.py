"""The audit log is written and read; the in-memory one of the web tests finds the same lines."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from bot.adapters.postgres.audit import PostgresAudit
from bot.adapters.postgres.pool import Database
from bot.adapters.postgres.queries import load_queries
from bot.adapters.postgres.records import PostgresRecords
from bot.core.ids import ConversationId, CustomerId
from bot.records import AuditRecord, AuditWanted
from tests.adapters.rows import new_vault
from tests.adapters.test_postgres_queries import nodes
from tests.conftest import SQL_DIR
from tests.web.api_office import audit_page
from tests.web.api_world import at, id_at

PRIYA, JONAS = "919876543210", "4915112345678"
TALK = ConversationId(id_at(1))


class Log:
    """Lines of the audit log in PostgreSQL, about customers with keys and numbers."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.vault = new_vault()
        self.lines: list[AuditRecord] = []
        self._pool = pool
        self._keys: dict[int, bytes] = {}

    async def customer(self, phone: str) -> int:
        wrapped = self.vault.new_customer_key()
        number: int = await self._pool.fetchval("insert into users (data_key) values ($1) returning id", wrapped)
        sealed = self.vault.customer(wrapped).seal(phone.encode(), b"identity")
        await self._pool.execute(
            "insert into identities (hash, user_id, kind, sealed) values ($1, $2, 'phone', $3)",
            *(self.vault.fingerprint("phone", phone), number, sealed),
        )
        self._keys[number] = wrapped
        return number

    async def line(
        self, action: str, by: str, minutes: float, *, customer: int = 0, phone: str = "", note: str = "", **of: Any
    ) -> None:
        sealed = self.vault.customer(self._keys[customer]).seal(note.encode(), b"note") if note else b""
        number: int = await self._pool.fetchval(
            "insert into audit (action, by_whom, user_id, conversation_id, note, created_at)"
            " values ($1, $2, nullif($3::bigint, 0), $4, $5, $6) returning id",
            *(action, by, customer, of.get("conversation"), sealed, at(minutes)),
        )
        record = AuditRecord(
            id=number,
            action=action,
            by=by,
            phone_number=phone or None,
            conversation_id=of.get("conversation"),
            detail="",
            note=note or None,
            erased=False,
            created_at=at(minutes),
        )
        self.lines.append(record)


@pytest.fixture
async def log(pool: asyncpg.Pool) -> Log:
    log = Log(pool)
    priya, jonas = await log.customer(PRIYA), await log.customer(JONAS)
    await log.line("escalated", "bot", 1, customer=priya, phone=PRIYA, conversation=TALK)
    await log.line("assigned", "Meera", 2, customer=priya, phone=PRIYA, conversation=TALK)
    await log.line("resolved", "Meera", 3, customer=priya, phone=PRIYA, conversation=TALK, note="sent a new one")
    await log.line("escalated", "bot", 3, customer=jonas, phone=JONAS)
    await log.line("flows_reloaded", "admin", 4)
    await log.line("escalated", "Meera", 0, customer=jonas, phone=JONAS)
    return log


@pytest.fixture
def records(log: Log, database: Database) -> PostgresRecords:
    return PostgresRecords(database, log.vault)


WANTED = (
    AuditWanted(),
    AuditWanted(by="Meera"),
    AuditWanted(action="escalated"),
    AuditWanted(by="Meera", action="escalated"),
    AuditWanted(phone=PRIYA),
    AuditWanted(phone=JONAS, by="bot", action="escalated"),
    AuditWanted(phone="919999999999"),
    AuditWanted(conversation=TALK),
    AuditWanted(conversation=TALK, phone=PRIYA, action="resolved"),
    AuditWanted(conversation=TALK, phone=JONAS),
    AuditWanted(since=at(2), until=at(4)),
    AuditWanted(by="Meera", since=at(1)),
)


async def test_lines_are_found_in_pages_as_in_memory(log: Log, records: PostgresRecords) -> None:
    """One database for all that may be asked: every page of every list, in pages of several sizes."""
    for wanted, limit in itertools.product(WANTED, (1, 2, 9)):
        expected = audit_page(log.lines, wanted, after=None, limit=len(log.lines))
        seen: list[AuditRecord] = []
        while len(seen) < len(expected):
            after = (seen[-1].created_at, seen[-1].id) if seen else None
            page = await records.audit(wanted, after=after, limit=limit)
            assert 0 < len(page) <= limit, wanted
            seen += page
        assert seen == list(expected), wanted


async def test_of_an_erased_customer_the_deeds_stay_and_nothing_readable(
    log: Log, records: PostgresRecords, pool: asyncpg.Pool
) -> None:
    await pool.execute("update users set data_key = null")
    found = await records.audit(AuditWanted(conversation=TALK), after=None, limit=9)
    assert [line.action for line in found] == ["resolved", "assigned", "escalated"]
    assert {(line.erased, line.note, line.phone_number) for line in found} == {(True, None, None)}
    (reload,) = await records.audit(AuditWanted(by="admin"), after=None, limit=9)
    assert not reload.erased


async def test_lines_of_a_merged_customer_are_found_with_those_of_who_absorbed_them(
    log: Log, records: PostgresRecords, pool: asyncpg.Pool
) -> None:
    await pool.execute("update users set merged_into = 1 where id = 2")
    found = await records.audit(AuditWanted(phone=PRIYA), after=None, limit=9)
    assert len(found) == 5
    assert {line.phone_number for line in found} == {PRIYA}


async def test_a_line_is_recorded_with_the_databases_time(pool: asyncpg.Pool, database: Database) -> None:
    audit, vault = PostgresAudit(database), new_vault()
    await audit.record("customer_exported", by="crm", customer=CustomerId(1), conversation=TALK, detail="3 rows")
    await audit.record("flows_reloaded", by="admin")
    first, second = await pool.fetch("select * from audit order by id")
    assert (first["action"], first["by_whom"], first["user_id"], first["detail"]) == (
        "customer_exported",
        "crm",
        1,
        "3 rows",
    )
    assert first["conversation_id"] == UUID(TALK)
    assert (second["user_id"], second["conversation_id"], second["note"]) == (None, None, b"")
    assert abs(datetime.now(UTC) - first["created_at"]) < timedelta(minutes=5)
    (line, _) = await PostgresRecords(database, vault).audit(AuditWanted(), after=None, limit=5)
    assert (line.action, line.phone_number, line.erased) == ("flows_reloaded", None, False)


async def test_a_page_of_a_large_log_reads_little_more_than_it_shows(pool: asyncpg.Pool) -> None:
    """Deep in the log, and of what is rare: a page by time, a rare person, a rare deed, a rare pair of both."""
    await pool.execute(
        "insert into audit (action, by_whom, user_id, conversation_id, created_at)"
        " select case when n % 5000 = 0 then 'rare' when n % 2 = 0 then 'escalated' else 'assigned' end,"
        " case when n % 4000 = 0 then 'Meera' when n % 2 = 0 or n % 9999 = 0 then 'bot' else 'Anil' end, n % 1000,"
        " lpad(to_hex(n % 1000), 32, '0')::uuid, timestamptz '2026-01-01' + n * interval '1 minute'"
        " from generate_series(1, 40000) n"
    )
    await pool.execute("analyze audit")
    await pool.execute("insert into users select from generate_series(1, 3)")
    await pool.execute("insert into identities (hash, user_id, kind, sealed) values ('h', 3, 'phone', '')")
    deep = "null, null, '2026-01-10', 5, 5"
    arguments = {
        "recent": "",
        "by": ", 'Meera'",
        "action": ", 'rare'",
        "by_action": ", 'bot', 'assigned'",
        "customer": ", null, null, 'h'",
        "conversation": ", null, null, '00000000-0000-0000-0000-000000000003', 'h'",
    }
    queries = load_queries(SQL_DIR)
    for name, more in arguments.items():
        async with pool.acquire() as connection:
            await connection.execute(f"prepare {name} as {queries[f'records_audit_{name}']}")
            told = await connection.fetchval(f"explain (analyze, format json) execute {name} ({deep}{more})")
        scans = [node for node in nodes(json.loads(told)[0]["Plan"]) if node.get("Relation Name") == "audit"]
        assert scans, name
        for node in scans:
            assert node["Node Type"] != "Seq Scan", name
            assert node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= 50, (name, node)
