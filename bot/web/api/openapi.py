"""The OpenAPI 3.1 document, made of the table of routes and the structs they name: it cannot drift from them."""

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from bot.web.api.asked import Asked
from bot.web.api.reading import LONGEST_KEY
from bot.web.api.route import AnyRoute
from bot.web.errors import CODES, ErrorAnswer

PREFIX = "/api/v1"
VERSION = "1.0"
"""Of the API: the first number is that of its address, the second rises with additions."""
Json = dict[str, Any]

_IN_PATH = re.compile(r"\{(\w+)\}")
_SCHEMAS = "#/components/schemas/{name}"
_ABOUT = (
    "Administration of the support desk. Every call carries `Authorization: Bearer <ADMIN_TOKEN>`. "
    "Lists are pages: `next` is the `cursor` of the page that follows. "
    "Errors are `{error: {code, message, fields?, problems?}}`."
)
_KEY_PARAMETER: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same request has one effect, however often it is sent.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
}
_HEADERS: dict[int, Json] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    429: {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}},
    503: {"Retry-After": {"description": "Seconds, where waiting helps.", "schema": {"type": "integer"}}},
}


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
        "security": [{"token": []}],
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(_named(routes)),
        },
    }


def _named(routes: Iterable[AnyRoute]) -> list[type[msgspec.Struct]]:
    answers = [route.answer for route in routes]
    bodies = [route.body for route in routes if route.has_body]
    return list(dict.fromkeys([*answers, *bodies, ErrorAnswer]))


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
        "operationId": f"{route.handler.__module__.rpartition('.')[2]}_{route.handler.__name__}",
        "parameters": _parameters(route),
        "responses": {
            **{str(status): _success(route, status) for status in route.statuses},
            **{str(status): _failure(status) for status in route.failures},
        },
    }
    if route.has_body:
        operation["requestBody"] = {"required": _must_have(route.body), "content": _content(route.body)}
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
    return {"description": said, "content": _content(route.answer)}


def _failure(status: int) -> Json:
    failure: Json = {"description": CODES[status][1], "content": _content(ErrorAnswer)}
    if status in _HEADERS:
        failure["headers"] = _HEADERS[status]
    return failure
