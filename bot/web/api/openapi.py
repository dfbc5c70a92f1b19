"""The OpenAPI 3.1 document, made of the table of routes and the structs they name: it cannot drift from them."""

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from bot.web.api.asked import Asked
from bot.web.api.openapi_webhooks import data_types, webhooks
from bot.web.api.reading import KEY_HEADER, LONGEST_KEY
from bot.web.api.replay import KEPT_REFUSAL, REPLAYED
from bot.web.api.route import AnyRoute
from bot.web.api.samples import curl, example_of
from bot.web.errors import CODES, FURTHER_CODES, ErrorAnswer

PREFIX = "/api/v1"
VERSION = "1.0"
"""Of the API: the first number is that of its address, the second rises with additions."""
Json = dict[str, Any]

_IN_PATH = re.compile(r"\{(\w+)\}")
_SCHEMAS = "#/components/schemas/{name}"
_ABOUT = (
    "Administration of the support desk. Every call carries `Authorization: Bearer <token>`; what the token may "
    "do is in its scopes. Every answer to a known token says in `RateLimit-*` headers how many calls are left to it. "
    "Lists are pages: `next` is the `cursor` of the page that follows. "
    "Errors are `{error: {code, message, fields?, problems?}}`."
)
_KEY_PARAMETER: Json = {
    "name": KEY_HEADER,
    "in": "header",
    "required": False,
    "description": "The same key with the same request has one effect and one answer, however often it is sent.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
}
_REPLAYED_HEADER: Json = {
    "description": "`true` on the answer of an earlier call with the same Idempotency-Key.",
    "schema": {"const": "true"},
}
_HEADERS: dict[int, Json] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    429: {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}},
    503: {"Retry-After": {"description": "Seconds, where waiting helps.", "schema": {"type": "integer"}}},
}
_RATE_HEADERS: Json = {
    name: {"description": said, "schema": {"type": "integer", "minimum": 0}}
    for name, said in (
        ("RateLimit-Limit", "Calls this token may make at once."),
        ("RateLimit-Remaining", "Calls left to it now, at this replica."),
        ("RateLimit-Reset", "Seconds until all of them are."),
    )
}
"""The three header fields of the IETF draft "RateLimit header fields for HTTP"."""


def document(routes: Sequence[AnyRoute]) -> Json:
    """The whole document, ready for JSON."""
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "WhatsApp support desk", "version": VERSION, "description": _ABOUT},
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "webhooks": webhooks(_SCHEMAS),
        "security": [{"token": []}],
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(_named(routes)),
        },
    }


def _named(routes: Iterable[AnyRoute]) -> list[type[msgspec.Struct]]:
    answers = [route.answer for route in routes]
    bodies = [route.body for route in routes if route.has_body]
    return list(dict.fromkeys([*answers, *bodies, *data_types(), ErrorAnswer]))


def _schemas(types: Sequence[type[msgspec.Struct]]) -> Json:
    _, schemas = msgspec.json.schema_components(types, ref_template=_SCHEMAS)
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
    return schemas


def _operation(route: AnyRoute) -> Json:
    operation: Json = {
        "tags": [route.tag],
        "summary": route.summary,
        "description": f"Needs the scope `{route.scope}`.",
        "operationId": f"{route.handler.__module__.rpartition('.')[2]}_{route.handler.__name__}",
        "parameters": _parameters(route),
        "responses": {
            **{str(status): _success(route, status) for status in route.statuses},
            **{str(status): _failure(route, status) for status in route.failures},
        },
    }
    if route.has_body:
        operation["requestBody"] = {"required": _must_have(route.body), "content": _content(route.body)}
    return _with_example(operation, route)


def _with_example(operation: Json, route: AnyRoute) -> Json:
    """`x-codeSamples` is what readers of OpenAPI documents have agreed on for source code."""
    if example := example_of(route):
        operation["x-codeSamples"] = [{"lang": "Shell", "label": "curl", "source": curl(route, example, PREFIX)}]
        operation["responses"][str(route.status)]["content"]["application/json"]["example"] = example.answer
        if example.body is not None:
            operation["requestBody"]["content"]["application/json"]["example"] = example.body
    return operation


def _parameters(route: AnyRoute) -> list[Json]:
    in_path = set(_IN_PATH.findall(route.path))
    _, found = msgspec.json.schema_components([route.asked], ref_template=_SCHEMAS)
    schema = found[route.asked.__name__]
    required = {*schema.get("required", ()), *in_path}
    parameters = [
        _parameter(name, dict(inside), "path" if name in in_path else "query", required=name in required)
        for name, inside in schema["properties"].items()
    ]
    return [*parameters, _KEY_PARAMETER] if route.may_wait else parameters


def _parameter(name: str, schema: Json, place: str, *, required: bool) -> Json:
    described = {"description": schema.pop("description")} if "description" in schema else {}
    return {"name": name, "in": place, "required": required, **described, "schema": schema}


def _must_have(body: type[Asked]) -> bool:
    return any(field.required for field in msgspec.structs.fields(body))


def _content(struct: type[msgspec.Struct]) -> Json:
    return {"application/json": {"schema": {"$ref": _SCHEMAS.format(name=struct.__name__)}}}


def _success(route: AnyRoute, status: int) -> Json:
    said = "Written down; it will be done." if status == 202 else "Done."
    return {"description": said, "headers": _headers(route, status), "content": _content(route.answer)}


def _failure(route: AnyRoute, status: int) -> Json:
    further = [sentence for of, sentence in FURTHER_CODES.values() if of == status and route.may_wait]
    said = CODES[status][1] if status in route.errors or not further else further[0]
    return {"description": said, "headers": _headers(route, status), "content": _content(ErrorAnswer)}


def _headers(route: AnyRoute, status: int) -> Json:
    kept = route.may_wait and status in {route.status, KEPT_REFUSAL}
    rates = {} if status == 401 else _RATE_HEADERS
    return _HEADERS.get(status, {}) | rates | ({REPLAYED: _REPLAYED_HEADER} if kept else {})
