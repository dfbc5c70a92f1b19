"""The `webhooks` of the OpenAPI document: what the service posts to others, one entry for each type of event."""

import inspect
from collections.abc import Sequence
from typing import Any

import msgspec

from bot.core.announcements import DATA
from bot.wire.standard_webhooks import SECRET_PREFIX

Json = dict[str, Any]

_HEADERS = {
    "webhook-id": "The id of the event: the same at every attempt and redelivery, so that a repeat can be told.",
    "webhook-timestamp": "When this attempt was made, unix seconds.",
    "webhook-signature": (
        "`v1,` and the base64 HMAC-SHA256 of `id.timestamp.body` under the bytes that the secret holds in base64 "
        f"behind `{SECRET_PREFIX}`; two, separated by a blank, while a secret is being replaced."
    ),
}


def data_types() -> Sequence[type[msgspec.Struct]]:
    """What `data` may be: for the document's schemas."""
    return tuple(DATA.values())


def webhooks(reference: str) -> Json:
    """`reference` is where schemas are, with `{name}` in it."""
    return {kind: {"post": _operation(kind, data, reference)} for kind, data in DATA.items()}


def _operation(kind: str, data: type[msgspec.Struct], reference: str) -> Json:
    schema = {
        "type": "object",
        "required": ["id", "type", "created_at", "data"],
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "type": {"const": kind},
            "created_at": {"type": "string", "format": "date-time"},
            "data": {"$ref": reference.format(name=data.__name__)},
        },
    }
    return {
        "tags": ["Outgoing webhooks"],
        "operationId": f"told_{kind.replace('.', '_')}",
        "summary": inspect.cleandoc(data.__doc__ or "").split("\n", 1)[0],
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": said, "schema": {"type": "string"}}
            for name, said in _HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "2XX": {"description": "Taken."},
            "410": {"description": "The endpoint wants nothing any more: it is disabled."},
            "default": {"description": "Not taken; it is tried again."},
        },
        "security": [],
    }
