"""The OpenAPI document, its page and its chapter in the docs say what the table of routes says."""

import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from aiohttp import web

from bot.web.api.openapi import PREFIX, document
from bot.web.api.page import page
from bot.web.api.serve import add_api
from bot.web.api.table import ROUTES
from bot.web.errors import CODES, FURTHER_CODES, api_errors
from tests.web.api_caller import Client

DOCS = Path(__file__).parent.parent.parent / "docs" / "api.md"
DOCUMENT = document(ROUTES)

StartClient = Callable[[web.Application], Awaitable[Client]]


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, inside in DOCUMENT["paths"].items():
        for method, operation in inside.items():
            yield method.upper(), path, operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for inside in value.values():
            yield from references(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from references(inside)


@pytest.fixture
async def client(aiohttp_client: StartClient) -> Client:
    app = web.Application(middlewares=[api_errors])
    add_api(app)
    return await aiohttp_client(app)


async def test_the_document_is_served_as_it_is_made_and_needs_no_token(client: Client) -> None:
    async with client.get(f"{PREFIX}/openapi.json") as response:
        assert (response.status, response.content_type) == (200, "application/json")
        assert await response.json() == msgspec.json.decode(msgspec.json.encode(DOCUMENT))


def test_every_route_is_in_the_document_and_nothing_else() -> None:
    described = {(method, path) for method, path, _ in operations()}
    assert described == {(route.method, PREFIX + route.path) for route in ROUTES}
    assert len(described) == len(ROUTES)


def test_every_reference_leads_to_a_schema() -> None:
    for reference in references(DOCUMENT):
        assert reference.removeprefix("#/components/schemas/") in DOCUMENT["components"]["schemas"]


def test_every_schema_is_a_sound_schema() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)


def test_what_stands_in_a_path_is_a_required_parameter_of_it() -> None:
    for _, path, operation in operations():
        named = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path))
        assert all(one["required"] for one in operation["parameters"] if one["in"] == "path")


def test_a_body_is_required_exactly_where_one_of_its_fields_is() -> None:
    required = {path for _, path, operation in operations() if operation.get("requestBody", {}).get("required")}
    assert required == {
        f"{PREFIX}/conversations/{{id}}/assign",
        f"{PREFIX}/messages",
        f"{PREFIX}/tokens",
        f"{PREFIX}/messages/bulk",
        f"{PREFIX}/webhooks",
    }


def test_what_acts_on_customers_takes_an_idempotency_key() -> None:
    for method, path, operation in operations():
        takes = "Idempotency-Key" in {one["name"] for one in operation["parameters"]}
        assert takes == (
            method != "GET"
            and "/parked/" not in path
            and "/flows/" not in path
            and "/tokens" not in path
            and "/webhooks" not in path
        ), path


def test_every_failure_has_a_sentence() -> None:
    for route in ROUTES:
        assert set(route.failures) <= CODES.keys()


async def test_the_page_shows_every_operation_and_needs_nothing_from_elsewhere(client: Client) -> None:
    async with client.get("/api/docs") as response:
        assert (response.status, response.content_type) == (200, "text/html")
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
        html = await response.text()
    for _, path, operation in operations():
        assert f"<code>{path}</code>" in html
        assert f'id="{operation["operationId"]}"' in html
    assert not re.search(r'<script|src=|href="(?:https?:)?//', html)
    targets = set(re.findall(r'href="#([^"]+)"', html))
    assert targets <= set(re.findall(r'id="([^"]+)"', html))


def test_the_page_escapes_what_the_document_says() -> None:
    html = page(DOCUMENT | {"info": {"title": "<b>", "description": "`<i>`"}})
    assert "&lt;b&gt;" in html
    assert "<code>&lt;i&gt;</code>" in html
    assert "<b>" not in html


def test_the_chapter_in_the_docs_names_every_operation_and_no_other() -> None:
    named = set(re.findall(r"^\| `(\w+) (/[^`?]*)(?:\?[^`]*)?`", DOCS.read_text(), re.MULTILINE))
    assert named == {(route.method, route.path) for route in ROUTES}


def test_the_chapter_in_the_docs_names_every_error_code() -> None:
    named = set(re.findall(r"^\| (\d{3}) `(\w+)`", DOCS.read_text(), re.MULTILINE))
    known = [(code, status) for status, (code, _) in CODES.items()]
    known += [(code, status) for code, (status, _) in FURTHER_CODES.items()]
    assert named == {(str(status), code) for code, status in known}
