"""The audit log over REST, and which deeds of REST leave a line in it."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web

from bot.core.ids import ConversationId
from bot.records import AuditRecord
from bot.web.api.cursor import cursor_of, place_of
from bot.web.keys import AUDIT
from tests.web.api_caller import Caller, Client
from tests.web.api_desk import MemoryDesk
from tests.web.api_office import Line, MemoryAudit
from tests.web.api_world import MemoryRecords, a_scene, at, id_at
from tests.web.test_api import application

StartClient = Callable[[web.Application], Awaitable[Client]]
PRIYA, TALK = "919876543210", id_at(10)


def line(number: int, minutes: float, **changes: Any) -> AuditRecord:
    return msgspec.structs.replace(
        AuditRecord(
            id=number,
            action="escalated",
            by="bot",
            phone_number=PRIYA,
            conversation_id=ConversationId(TALK),
            detail="sales",
            note=None,
            erased=False,
            created_at=at(minutes),
        ),
        **changes,
    )


LINES = (
    line(1, 1),
    line(2, 2, action="resolved", by="Meera", note="sent a new one"),
    line(3, 2, action="flows_reloaded", by="admin", phone_number=None, conversation_id=None),
    line(4, 0, phone_number=None, erased=True, conversation_id=ConversationId(id_at(20))),
)


@pytest.fixture
def records() -> MemoryRecords:
    return MemoryRecords(msgspec.structs.replace(a_scene(), audit=LINES))


@pytest.fixture
def desk(records: MemoryRecords) -> MemoryDesk:
    return MemoryDesk(records)


@pytest.fixture
def audit() -> MemoryAudit:
    return MemoryAudit()


@pytest.fixture
async def call(aiohttp_client: StartClient, records: MemoryRecords, desk: MemoryDesk, audit: MemoryAudit) -> Caller:
    app = application(records, desk)
    app[AUDIT] = audit
    return Caller(await aiohttp_client(app))


# --- reading --------------------------------------------------------------------------------------------------------


async def test_the_log_comes_latest_first_in_pages(call: Caller) -> None:
    first = (await call("GET", "/audit?limit=2")).body
    assert [one["id"] for one in first["items"]] == [3, 2]
    second = (await call("GET", "/audit", params={"limit": "2", "cursor": first["next"]})).body
    assert ([one["id"] for one in second["items"]], second["next"]) == ([1, 4], None)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("action=escalated", [1, 4]),
        ("by=Meera", [2]),
        ("by=Meera&action=escalated", []),
        ("phone=%2B91+98765-43210", [2, 1]),
        (f"conversation={TALK}", [2, 1]),
        (f"from={at(1).isoformat().replace('+', '%2B')}", [3, 2, 1]),
        (f"to={at(1).isoformat().replace('+', '%2B')}", [4]),
    ],
)
async def test_lines_are_found_by_what_they_say(call: Caller, query: str, expected: list[int]) -> None:
    answer = await call("GET", f"/audit?{query}")
    assert [one["id"] for one in answer.body["items"]] == expected


async def test_a_line_says_who_did_what_to_whom(call: Caller) -> None:
    (resolved,) = (await call("GET", "/audit?by=Meera")).body["items"]
    assert (resolved["action"], resolved["phone_number"], resolved["note"]) == ("resolved", PRIYA, "sent a new one")
    erased = (await call("GET", "/audit")).body["items"][-1]
    assert (erased["erased"], erased["phone_number"], erased["note"]) == (True, None, None)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("phone=123", "phone"),
        ("conversation=5", "conversation"),
        ("from=yesterday", "from"),
        ("by=", "by"),
        (f"cursor={cursor_of(5)}", "cursor"),
    ],
)
async def test_a_bad_parameter_is_named(call: Caller, query: str, field: str) -> None:
    answer = await call("GET", f"/audit?{query}")
    assert (answer.status, list(answer.fields)) == (400, [field])


async def test_a_cursor_of_the_last_possible_moment_is_good(call: Caller) -> None:
    cursor = place_of(at(0).replace(year=2999), 2**63 - 1)
    assert len((await call("GET", "/audit", params={"cursor": cursor})).body["items"]) == len(LINES)


# --- writing --------------------------------------------------------------------------------------------------------


async def test_flows_that_are_reloaded_leave_a_line_and_those_that_are_refused_none(
    call: Caller, desk: MemoryDesk, audit: MemoryAudit
) -> None:
    desk.problems = ("broken",)
    await call("POST", "/flows/reload")
    desk.problems = ()
    await call("POST", "/flows/reload")
    assert audit.lines == [Line(action="flows_reloaded", by="admin", detail="1 flows")]


async def test_who_reads_quarantined_bodies_is_written_down(call: Caller, audit: MemoryAudit) -> None:
    await call("GET", "/quarantine?limit=2")
    assert audit.lines == [Line(action="quarantine_read", by="admin", detail="bodies 2 to 3")]


async def test_an_empty_quarantine_leaves_no_line(call: Caller, records: MemoryRecords, audit: MemoryAudit) -> None:
    records.scene = msgspec.structs.replace(records.scene, quarantine=())
    await call("GET", "/quarantine")
    assert audit.lines == []


async def test_what_is_decided_about_parked_customers_is_said_with_the_tokens_name(
    call: Caller, desk: MemoryDesk
) -> None:
    await call("POST", "/parked/7/retry")
    await call("POST", "/parked/9/discard")
    assert desk.settled == [(7, "admin"), (9, "admin")]
