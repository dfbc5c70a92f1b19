"""The examples of the API: there is one for each operation, each is true to its route, and docs/api.md shows them.

`UPDATE_GOLDEN=1` writes the chapter anew.
"""

import itertools
import json
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import jsonschema
import msgspec
import pytest

from bot.web.api.examples import EXAMPLES, Example
from bot.web.api.openapi import PREFIX, document
from bot.web.api.page import page
from bot.web.api.route import AnyRoute
from bot.web.api.samples import WIDTH, curl, example_of, laid_out
from bot.web.api.table import ROUTES

DOCS = Path(__file__).parent.parent.parent / "docs" / "api.md"
BEGIN, END = "<!-- examples -->\n", "<!-- /examples -->"
UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"
DOCUMENT = document(ROUTES)
SECRETS = re.compile(r"whsec_|wsd_")


def name_of(route: AnyRoute) -> str:
    return f"{route.method} {route.path}"


def of(route: AnyRoute) -> Example:
    example = example_of(route)
    assert example is not None, f"{name_of(route)} has no example"
    return example


def chapter() -> Iterator[str]:
    """What docs/api.md shows, by tag in the order of the table."""
    tag = ""
    for route in ROUTES:
        if route.tag != tag:
            tag = route.tag
            yield f"\n### {tag} by example\n"
        yield f"\n{route.summary}\n\n```\n{curl(route, of(route), PREFIX)}\n```\n"
        yield f"\n{route.status}:\n\n```json\n{laid_out(of(route).answer)}\n```\n"


def schema_of(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}


def test_every_operation_has_one_and_no_other_has() -> None:
    assert list(EXAMPLES) == [name_of(route) for route in ROUTES]


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_its_address_is_one_of_the_routes_and_its_parameters_are_known(route: AnyRoute) -> None:
    parts = urlsplit(of(route).path)
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(route.path))
    found = re.fullmatch(pattern, parts.path)
    assert found
    in_path = {name: unquote(value) for name, value in found.groupdict().items()}
    msgspec.convert({**in_path, **dict(parse_qsl(parts.query))}, route.asked, strict=False)


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_its_body_is_what_the_route_takes(route: AnyRoute) -> None:
    body = of(route).body
    assert (body is not None) == route.has_body
    if body is not None:
        msgspec.convert(body, route.body)
        jsonschema.validate(body, schema_of(route.body.__name__))


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_its_answer_is_what_the_route_answers_with_no_field_too_many(route: AnyRoute) -> None:
    answer = of(route).answer
    jsonschema.validate(answer, schema_of(route.answer.__name__))
    read = msgspec.convert(answer, route.answer)
    assert in_order(msgspec.to_builtins(read)) == in_order(answer)


def in_order(value: Any) -> Any:
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_its_command_is_one_that_a_shell_and_curl_understand(route: AnyRoute) -> None:
    words = shlex.split(curl(route, of(route), PREFIX))
    assert words[0] == "curl"
    assert f"$DESK{PREFIX}{of(route).path}" in words
    assert "Authorization: Bearer $TOKEN" in words
    assert ("Idempotency-Key: $KEY" in words) == route.may_wait
    bodies = [json.loads(after) for word, after in itertools.pairwise(words) if word == "-d"]
    assert bodies == ([of(route).body] if route.has_body else [])


def test_secrets_are_shown_only_where_they_are_made() -> None:
    shown = {name for name, example in EXAMPLES.items() if SECRETS.search(json.dumps(example.answer))}
    assert shown == {"POST /tokens", "POST /webhooks", "POST /webhooks/{id}/rotate_secret"}


def test_the_document_and_its_page_carry_them() -> None:
    html = page(DOCUMENT)
    for route in ROUTES:
        operation = DOCUMENT["paths"][PREFIX + route.path][route.method.lower()]
        content = operation["responses"][str(route.status)]["content"]["application/json"]
        assert content["example"] == of(route).answer
        assert operation["x-codeSamples"][0]["source"] == curl(route, of(route), PREFIX)
    assert html.count("<summary>Example with curl</summary>") == len(ROUTES)


def test_the_chapter_in_the_docs_shows_them_in_the_order_of_its_table() -> None:
    text = DOCS.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    shown, end, after = rest.partition(END)
    assert begin
    assert end
    wanted = "".join(chapter()).lstrip("\n") + "\n"
    if UPDATE:
        DOCS.write_text(before + begin + wanted + end + after, encoding="utf-8")
        return
    assert shown == wanted, "run UPDATE_GOLDEN=1 python -m pytest tests/web/test_api_examples.py"
    rows = re.findall(r"^\| `(\w+ /[^`?]*)(?:\?[^`]*)?`", before, re.MULTILINE)
    assert rows == [name_of(route) for route in ROUTES]


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ({}, ["{}"]),
        ({"a": 1, "b": [True, None]}, ['{"a": 1, "b": [true, null]}']),
        ({"a": "x" * 60, "b": 1, "c": "y" * 60}, ["{", f'  "a": "{"x" * 60}", "b": 1,', f'  "c": "{"y" * 60}"', "}"]),
        (["x" * 60, "y" * 60], ["[", f'  "{"x" * 60}",', f'  "{"y" * 60}"', "]"]),
    ],
)
def test_json_is_broken_where_it_has_to_be(value: Any, lines: Sequence[str]) -> None:
    assert laid_out(value).splitlines() == list(lines)
    assert json.loads(laid_out(value)) == value


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_no_line_of_an_answer_is_longer_than_the_page_is_wide(route: AnyRoute) -> None:
    assert max(map(len, laid_out(of(route).answer).splitlines())) <= WIDTH
