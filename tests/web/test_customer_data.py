"""Export and erasure over REST: one whole document or none, and what became of an erasure."""

from collections.abc import Awaitable, Callable

import aiohttp
import msgspec
import pytest
from aiohttp import web

from bot.ports.tokens import GROUPS, SCOPES
from bot.web.api.customer_data import CustomerExport
from bot.web.keys import AUDIT, ERASING, EXPORTS
from tests.web.api_caller import TOKEN, Client
from tests.web.api_desk import MemoryDesk
from tests.web.api_office import MemoryAudit
from tests.web.api_people import CUSTOMER, PRIYA, TIMER, MemoryErasing, MemoryExports
from tests.web.api_world import MemoryRecords, a_scene
from tests.web.test_api import application

StartClient = Callable[[web.Application], Awaitable[Client]]
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def app() -> web.Application:
    records = MemoryRecords(a_scene())
    return application(records, MemoryDesk(records))


@pytest.fixture
async def client(aiohttp_client: StartClient, app: web.Application) -> Client:
    return await aiohttp_client(app)


async def test_an_export_is_one_document_in_its_documented_form(client: Client, app: web.Application) -> None:
    async with client.get(f"/api/v1/users/+{PRIYA}/export", headers=AUTHORIZED) as response:
        assert (response.status, response.content_type) == (200, "application/json")
        assert response.headers["Cache-Control"] == "no-store"
        export = msgspec.json.decode(await response.read(), type=CustomerExport)
    assert export.customer == CUSTOMER
    assert export.timers == [TIMER, TIMER]
    assert (export.messages, export.webhook_deliveries, export.complete) == ([], [], True)
    audit = app[AUDIT]
    assert isinstance(audit, MemoryAudit)
    assert [(line.action, line.by, line.customer) for line in audit.lines] == [("customer_exported", "admin", 7)]


async def test_an_export_that_breaks_off_is_no_document(client: Client, app: web.Application) -> None:
    exports = app[EXPORTS]
    assert isinstance(exports, MemoryExports)
    exports.breaks = True
    with pytest.raises(aiohttp.ClientError):
        async with client.get(f"/api/v1/users/{PRIYA}/export", headers=AUTHORIZED) as response:
            await response.read()


async def test_an_unknown_number_has_neither_export_nor_erasure(client: Client) -> None:
    for method, path in (("GET", "/users/910000000009/export"), ("DELETE", "/users/910000000009")):
        async with client.request(method, f"/api/v1{path}", headers=AUTHORIZED) as response:
            assert response.status == 404
            assert "no customer" in (await response.json())["error"]["message"]


async def test_an_erasure_tells_what_it_did_and_who_asked_is_known(client: Client, app: web.Application) -> None:
    headers = {**AUTHORIZED, "Idempotency-Key": "k"}
    async with client.delete(f"/api/v1/users/{PRIYA}", headers=headers) as response:
        assert response.status == 200
        assert await response.json() == {
            "status": "done",
            "conversations": 1,
            "messages": 2,
            "events": 3,
            "cancelled": 4,
            "quarantined": 5,
        }
    erasing = app[ERASING]
    assert isinstance(erasing, MemoryErasing)
    ((phone, by, key),) = erasing.asked
    assert (phone, by) == (PRIYA, "admin")
    assert key.endswith("k")


async def test_an_erasure_that_takes_long_is_pending(client: Client, app: web.Application) -> None:
    erasing = app[ERASING]
    assert isinstance(erasing, MemoryErasing)
    erasing.status = "pending"
    async with client.delete(f"/api/v1/users/{PRIYA}", headers=AUTHORIZED) as response:
        assert (response.status, (await response.json())["status"]) == (202, "pending")


def test_reading_customers_does_not_include_taking_everything_along() -> None:
    assert {"users:export", "users:erase"} <= set(SCOPES)
    assert not {"users:export", "users:erase"} & GROUPS["read"]
