"""Outgoing webhooks over the API: a secret is shown once, an address is checked, and what became of it can be read."""

from collections.abc import Awaitable, Callable
from typing import Any

import jsonschema
import msgspec
import pytest
from aiohttp import web

from bot.core.announcements import DATA, encode_announcement, ping
from bot.runtime.announcing import secret_context
from bot.runtime.endpoints import ENDPOINTS_MOST, OVERLAP_SECONDS, Endpoints
from bot.web.api.openapi import document
from bot.web.api.table import ROUTES
from bot.web.keys import AUDIT, WEBHOOKS
from tests.core.starts import closed, in_queue
from tests.core.test_announcements import ALL, told
from tests.runtime.memory.tables import Tables
from tests.runtime.memory.vault import MemoryVault
from tests.web.api_caller import Caller, Client
from tests.web.api_desk import MemoryDesk
from tests.web.api_hooks import memory_endpoints
from tests.web.api_office import MemoryAudit
from tests.web.api_world import MemoryRecords, a_scene
from tests.web.test_api import application

StartClient = Callable[[web.Application], Awaitable[Client]]
URL = "https://example.com/hooks"
NOWHERE = "9878def2-07a7-4852-b896-d07fa1a537e1"


@pytest.fixture
def tables() -> Tables:
    return Tables()


@pytest.fixture
def audit() -> MemoryAudit:
    return MemoryAudit()


@pytest.fixture
def endpoints(tables: Tables) -> Endpoints:
    return memory_endpoints(tables)


@pytest.fixture
async def call(aiohttp_client: StartClient, endpoints: Endpoints, audit: MemoryAudit) -> Caller:
    records = MemoryRecords(a_scene())
    app = application(records, MemoryDesk(records))
    app[AUDIT], app[WEBHOOKS] = audit, endpoints
    return Caller(await aiohttp_client(app))


async def made(call: Caller, **fields: Any) -> Any:
    answer = await call("POST", "/webhooks", json={"url": URL, "events": ["message.received"], **fields})
    assert answer.status == 201, answer.body
    return answer.body


async def test_the_secret_is_shown_when_it_is_made_and_never_again(call: Caller, tables: Tables) -> None:
    endpoint = await made(call, description="CRM", events=["message.received", "message.failed", "message.received"])
    assert endpoint["secret"].startswith("whsec_")
    assert (endpoint["events"], endpoint["active"]) == (["message.received", "message.failed"], True)
    shown = (await call("GET", f"/webhooks/{endpoint['id']}")).body
    assert shown == {name: value for name, value in endpoint.items() if name != "secret"}
    assert (await call("GET", "/webhooks")).body == {"items": [shown], "next": None}
    assert endpoint["secret"].encode() not in tables.hooks[endpoint["id"]].secret


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "http://example.com/", "events": ["message.received"]}, "url"),
        ({"url": "https://127.0.0.1/", "events": ["message.received"]}, "url"),
        ({"url": "https://example.com/#x", "events": ["message.received"]}, "url"),
        ({"url": URL, "events": []}, "events"),
        ({"url": URL, "events": ["message.read"]}, "events"),
        ({"url": URL}, "events"),
        ({"url": URL, "events": ["message.received"], "secret": "mine"}, "secret"),
    ],
)
async def test_what_cannot_be_an_endpoint_says_which_field(call: Caller, body: Any, field: str) -> None:
    answer = await call("POST", "/webhooks", json=body)
    assert answer.status == 400
    assert any(name.startswith(field) for name in answer.fields), answer.fields


async def test_there_is_a_bound_to_endpoints(call: Caller) -> None:
    for _ in range(ENDPOINTS_MOST):
        await made(call)
    answer = await call("POST", "/webhooks", json={"url": URL, "events": ["message.received"]})
    assert (answer.status, answer.body["error"]["code"]) == (409, "refused")


async def test_an_endpoint_is_changed_switched_off_and_on_and_removed(
    call: Caller, endpoints: Endpoints, audit: MemoryAudit
) -> None:
    path = f"/webhooks/{(await made(call))['id']}"
    changed = (await call("PATCH", path, json={"events": ["customer.opted_out"], "description": "x"})).body
    assert (changed["url"], changed["events"], changed["description"]) == (URL, ["customer.opted_out"], "x")
    assert endpoints._announcing.wanted == {"customer.opted_out"}
    off = (await call("PATCH", path, json={"active": False})).body
    assert (off["active"], off["disabled_reason"]) == (False, "by request")
    assert endpoints._announcing.wanted == frozenset()
    assert (await call("PATCH", path, json={"active": True})).body["active"]
    assert (await call("PATCH", path, json={"url": "https://10.0.0.1/"})).status == 400
    assert (await call("DELETE", path)).body["status"] == "done"
    assert (await call("DELETE", path)).status == 404
    assert [line.action for line in audit.lines] == [
        "webhook_made",
        "webhook_changed",
        "webhook_changed",
        "webhook_changed",
        "webhook_removed",
    ]


async def test_a_new_secret_signs_with_the_old_one_for_a_day(call: Caller, tables: Tables) -> None:
    endpoint = await made(call)
    rotated = (await call("POST", f"/webhooks/{endpoint['id']}/rotate_secret")).body
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != endpoint["secret"]
    hook = tables.hooks[endpoint["id"]]
    vault, context = MemoryVault(), secret_context(endpoint["id"])
    assert len({vault.open(hook.secret, context), vault.open(hook.old_secret, context)}) == 2
    assert OVERLAP_SECONDS == 86_400


async def test_a_ping_is_a_delivery_and_can_be_made_again(call: Caller, tables: Tables, audit: MemoryAudit) -> None:
    endpoint = await made(call)
    pinged = await call("POST", f"/webhooks/{endpoint['id']}/ping")
    assert (pinged.status, pinged.body["type"], pinged.body["status"]) == (201, "ping", "pending")
    tables.hook_deliveries[pinged.body["id"]].status = "failed"
    again = await call("POST", f"/webhooks/deliveries/{pinged.body['id']}/redeliver")
    assert (again.status, again.body["status"], again.body["event_id"]) == (200, "pending", pinged.body["event_id"])
    assert audit.lines[-1].action == "webhook_redelivered"


async def test_deliveries_are_read_page_by_page(call: Caller) -> None:
    path = f"/webhooks/{(await made(call))['id']}"
    for _ in range(3):
        await call("POST", f"{path}/ping")
    first = (await call("GET", f"{path}/deliveries?limit=2")).body
    rest = (await call("GET", f"{path}/deliveries?limit=2&cursor={first['next']}")).body
    ids = [one["id"] for one in [*first["items"], *rest["items"]]]
    assert (len(ids), ids, rest["next"]) == (3, sorted(ids, reverse=True), None)
    assert (await call("GET", f"{path}/deliveries?status=failed")).body["items"] == []
    assert len((await call("GET", f"{path}/deliveries?status=pending")).body["items"]) == 3
    assert (await call("GET", f"{path}/deliveries?status=lost")).status == 400


async def test_what_was_given_up_since_a_moment_is_made_again(call: Caller, tables: Tables) -> None:
    path = f"/webhooks/{(await made(call))['id']}"
    for status in ("failed", "delivered", "failed"):
        id_ = (await call("POST", f"{path}/ping")).body["id"]
        tables.hook_deliveries[id_].status = status
    assert (await call("POST", f"{path}/redeliver?since=2020-01-01")).body == {"count": 2}
    assert (await call("POST", f"{path}/redeliver?since=2020-01-01&status=delivered")).body == {"count": 1}
    assert (await call("POST", f"{path}/redeliver?since=2999-01-01")).body == {"count": 0}
    for query in ("", "?since=", "?since=yesterday", "?since=2020-01-01&status=pending"):
        assert (await call("POST", f"{path}/redeliver{query}")).status == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/webhooks/{NOWHERE}"),
        ("PATCH", f"/webhooks/{NOWHERE}"),
        ("DELETE", f"/webhooks/{NOWHERE}"),
        ("POST", f"/webhooks/{NOWHERE}/rotate_secret"),
        ("POST", f"/webhooks/{NOWHERE}/ping"),
        ("GET", f"/webhooks/{NOWHERE}/deliveries"),
        ("POST", f"/webhooks/{NOWHERE}/redeliver?since=2020-01-01"),
        ("POST", "/webhooks/deliveries/77/redeliver"),
    ],
)
async def test_what_is_not_there_is_not_found(call: Caller, method: str, path: str) -> None:
    assert (await call(method, path)).status == 404


async def test_a_change_that_cannot_be_heard_of_now_is_made_all_the_same(call: Caller, endpoints: Endpoints) -> None:
    link = endpoints.webhooks._link  # type: ignore[attr-defined]
    link.fail("webhooks.endpoints", times=1)
    await made(call)
    assert endpoints._announcing.wanted == frozenset()


def test_the_document_says_what_is_posted_to_others() -> None:
    described = document(ROUTES)
    assert described["webhooks"].keys() == DATA.keys()
    bodies = [ping("e1", at=1_750_000_000.0, seed=1), *told(in_queue()), *told(closed())]
    assert len(bodies) == 3
    for body in bodies:
        operation = described["webhooks"][body.type]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        validator = jsonschema.Draft202012Validator({**schema, "components": described["components"]})
        validator.validate(msgspec.json.decode(encode_announcement(body)))
    assert described["webhooks"].keys() > ALL
