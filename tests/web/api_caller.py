"""A caller of the API who believes the OpenAPI document: every answer must be one that the document promises."""

import re
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient
from jsonschema import Draft202012Validator
from yarl import URL

from bot.web.api.openapi import PREFIX, document
from bot.web.api.table import ROUTES

TOKEN = "a-token-that-nobody-guesses"
NONE: dict[str, str] = {}
Json = dict[str, Any]
Client = TestClient[web.Request, web.Application]


def closed(schema: Any) -> Any:
    """The same schema, with no property allowed that it does not name."""
    if isinstance(schema, list):
        return [closed(inside) for inside in schema]
    if not isinstance(schema, dict):
        return schema
    shut = {"additionalProperties": False} if isinstance(schema.get("properties"), dict) else {}
    return {name: closed(inside) for name, inside in schema.items()} | shut


class Answer:
    """An answer that was checked against the document."""

    def __init__(self, status: int, headers: dict[str, str], body: Any) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def fields(self) -> dict[str, str]:
        fields: dict[str, str] = self.body["error"].get("fields", {})
        return fields


class Caller:
    def __init__(self, client: Client) -> None:
        self.client = client
        self._document = document(ROUTES)
        self._components = closed(self._document["components"])

    async def __call__(
        self,
        method: str,
        path: str | URL,
        *,
        token: str = TOKEN,
        headers: dict[str, str] = NONE,
        **arguments: Any,
    ) -> Answer:
        given = {"Authorization": f"Bearer {token}"} if token else {}
        url = URL(PREFIX + str(path), encoded=isinstance(path, URL))
        async with self.client.request(method, url, headers=given | headers, **arguments) as response:
            answer = Answer(response.status, dict(response.headers), await response.json())
        self._check(self._operation(method, str(path).partition("?")[0]), answer)
        return answer

    def _operation(self, method: str, path: str) -> Json:
        for template, operations in self._document["paths"].items():
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), PREFIX + path) and method.lower() in operations:
                operation: Json = operations[method.lower()]
                return operation
        raise AssertionError(f"{method} {path} is not in the document")

    def _check(self, operation: Json, answer: Answer) -> None:
        assert str(answer.status) in operation["responses"], (answer.status, answer.body)
        schema = operation["responses"][str(answer.status)]["content"]["application/json"]["schema"]
        Draft202012Validator({**schema, "components": self._components}).validate(answer.body)
