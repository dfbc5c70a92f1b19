"""Tokens over REST: made, listed, revoked; never more than the token that asks has itself."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bot.ports.tokens import ADMINISTRATOR, GROUPS, RESERVED_NAMES, SCOPES, Scope, spelt_out
from bot.runtime.tokens import issue
from bot.web.api.table import ROUTES
from bot.web.keys import ADMISSION, DESK
from tests.web.api_caller import TOKEN, Caller, Client
from tests.web.api_desk import MemoryDesk
from tests.web.api_office import MemoryTokens, admission
from tests.web.api_world import MemoryRecords, a_scene
from tests.web.test_api import application

StartClient = Callable[[web.Application], Awaitable[Client]]
CRM: dict[str, Any] = {"name": "crm", "scopes": ["users:read"]}


@pytest.fixture
def tokens() -> MemoryTokens:
    return MemoryTokens()


@pytest.fixture
async def call(aiohttp_client: StartClient, tokens: MemoryTokens) -> Caller:
    records = MemoryRecords(a_scene())
    app = application(records, MemoryDesk(records))
    app[ADMISSION] = admission(tokens, TOKEN)
    return Caller(await aiohttp_client(app))


async def token_with(tokens: MemoryTokens, *scopes: Scope, days: float | None = None) -> str:
    end = datetime.now(UTC) + timedelta(days=days) if days else None
    made = await issue(tokens, name="maker", scopes=frozenset(scopes), expires_at=end, by="admin")
    return made.text


async def test_a_token_is_made_used_listed_and_revoked(call: Caller, tokens: MemoryTokens) -> None:
    made = await call("POST", "/tokens", json=CRM)
    assert made.status == 201
    assert (made.body["created_by"], made.body["scopes"], made.body["expires_at"]) == (
        ADMINISTRATOR,
        ["users:read"],
        None,
    )
    assert (await call("GET", "/users/919876543210", token=made.body["token"])).status == 200
    (listed,) = (await call("GET", "/tokens")).body["items"]
    assert listed == {name: value for name, value in made.body.items() if name != "token"}
    revoked = await call("DELETE", f"/tokens/{made.body['id']}")
    assert (revoked.status, revoked.body["revoked_at"] is not None) == (200, True)
    assert (await call("GET", "/users/919876543210", token=made.body["token"])).status == 401
    assert [(action, by) for action, by, _ in tokens.audited] == [("token_added", "admin"), ("token_revoked", "admin")]


async def test_tokens_come_in_pages(call: Caller) -> None:
    for name in "abc":
        await call("POST", "/tokens", json={"name": name, "scopes": ["read"]})
    first = (await call("GET", "/tokens?limit=2")).body
    assert [one["name"] for one in first["items"]] == ["c", "b"]
    second = (await call("GET", f"/tokens?limit=2&cursor={first['next']}")).body
    assert ([one["name"] for one in second["items"]], second["next"]) == (["a"], None)


@pytest.mark.parametrize(("group", "count"), [("read", 7), ("all", len(SCOPES))])
async def test_names_of_groups_are_spelt_out(call: Caller, group: str, count: int) -> None:
    made = await call("POST", "/tokens", json={"name": "crm", "scopes": [group, "users:read"]})
    assert len(made.body["scopes"]) == count


def test_what_reads_is_what_ends_so() -> None:
    assert {scope.partition(":")[2] for scope in GROUPS["read"]} == {"read"}
    assert spelt_out(["read", "users:erase"]) == GROUPS["read"] | {"users:erase"}


async def test_a_token_gives_no_scope_that_it_lacks(call: Caller, tokens: MemoryTokens) -> None:
    maker = await token_with(tokens, "tokens:write", "users:read")
    assert (await call("POST", "/tokens", json=CRM, token=maker)).body["created_by"] == "maker"
    answer = await call("POST", "/tokens", json={"name": "other", "scopes": ["all"]}, token=maker)
    assert (answer.status, "users:erase" in answer.body["error"]["message"]) == (403, True)


async def test_a_token_makes_none_that_outlives_it(call: Caller, tokens: MemoryTokens) -> None:
    maker = await token_with(tokens, "tokens:write", "users:read", days=10)
    assert (await call("POST", "/tokens", json=CRM | {"expires_in_days": 11}, token=maker)).status == 403
    shorter = await call("POST", "/tokens", json=CRM | {"expires_in_days": 9}, token=maker)
    assert shorter.status == 201
    same = await call("POST", "/tokens", json=CRM | {"name": "same"}, token=maker)
    (listed,) = [one for one in (await call("GET", "/tokens")).body["items"] if one["name"] == "maker"]
    assert same.body["expires_at"] == listed["expires_at"]


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
async def test_names_that_the_audit_log_has_for_others_are_refused(call: Caller, name: str) -> None:
    assert (await call("POST", "/tokens", json={"name": name, "scopes": ["read"]})).status == 409


async def test_a_name_belongs_to_one_living_token(call: Caller) -> None:
    made = await call("POST", "/tokens", json=CRM)
    assert (await call("POST", "/tokens", json=CRM)).status == 409
    await call("DELETE", f"/tokens/{made.body['id']}")
    assert (await call("POST", "/tokens", json=CRM)).status == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "crm", "scopes": []}, "scopes"),
        ({"name": "crm", "scopes": ["users:everything"]}, "scopes"),
        ({"name": "7", "scopes": ["read"]}, "name"),
        ({"name": "crm\n", "scopes": ["read"]}, "name"),
        (CRM | {"expires_in_days": 0}, "expires_in_days"),
    ],
)
async def test_a_bad_wish_is_answered_with_the_field(call: Caller, body: dict[str, Any], field: str) -> None:
    answer = await call("POST", "/tokens", json=body)
    assert (answer.status, [name.partition("[")[0] for name in answer.fields]) == (400, [field])


async def test_what_is_not_there_cannot_be_revoked(call: Caller) -> None:
    assert (await call("DELETE", "/tokens/17")).status == 404


async def test_who_did_it_is_the_tokens_name_unless_the_body_names_somebody(call: Caller, tokens: MemoryTokens) -> None:
    maker = await token_with(tokens, "users:write")
    await call("PATCH", "/users/919876543210", json={"name": "P"}, token=maker)
    await call("PATCH", "/users/919876543210", json={"name": "Q", "by": "Anil"}, token=maker)
    desk = call.client.server.app[DESK]  # type: ignore[attr-defined]
    assert [deed.by for deed in desk.done] == ["maker", "Anil"]


def test_the_chapter_in_the_docs_names_every_scope_and_no_other() -> None:
    chapter = (Path(__file__).parent.parent.parent / "docs" / "api.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+:\w+)` \|", chapter, re.MULTILINE)
    assert named == list(SCOPES)


def test_every_scope_opens_something() -> None:
    assert {route.scope for route in ROUTES} == set(SCOPES)
