"""A webhook body of any shape MSG91 or its imitators send, as a `Delivery`.

`read_webhook` is total: any bytes give a value. Nothing usable is lost by its company: of an array, what can be read is
accepted and the rest is quarantined; only a body of nothing but malformed plain events is refused as a whole.
"""

import json
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl

import orjson

from bot.wire.msg91.accounts import ACCOUNT_KEYS, read_account_event
from bot.wire.msg91.deliveries import BadRequest, Delivery, Item, Quarantined, Refusal
from bot.wire.msg91.fields import JsonObject, opened, read_json
from bot.wire.msg91.meta import read_graph
from bot.wire.msg91.simple import read_simple

MOST_EVENTS: Final = 10_000
"""Events in one body. MSG91 sends one; more than this is an attack on memory."""
DEEPEST_NESTING: Final = 4
"""How many arrays and `data` objects may stand around an event."""
MOST_FORM_FIELDS: Final = 200

_GRAPH_KEYS: Final = frozenset({"entry", "changes", "messaging_product", "statuses"})
_PLAIN_KEYS: Final = frozenset({"from", "messageId", "text"})
_NOT_JSON: Final = Delivery(problem=BadRequest(code="not_json", message="The body is not a JSON object or array."))
_TOO_MANY: Final = Delivery(
    problem=BadRequest(code="too_many_events", message=f"The body holds more than {MOST_EVENTS} events.")
)
_NOT_AN_OBJECT: Final = Refusal(reason="an event must be a JSON object", malformed=True)


def read_webhook(body: bytes, *, our_numbers: frozenset[str], content_type: str = "application/json") -> Delivery:
    """Everything in one webhook call. `our_numbers` are digits; what they sent is an echo. Never raises."""
    value = _decoded(body, content_type)
    if type(value) is not dict and type(value) is not list:
        return _NOT_JSON
    items: list[Item] = []
    refused: list[tuple[Refusal, object]] = []
    for event in _events(value, 0):
        for found in _read(event, our_numbers):
            if type(found) is Refusal:
                refused.append((found, event))
            else:
                items.append(found)  # type: ignore[arg-type]
            if len(items) + len(refused) > MOST_EVENTS:
                return _TOO_MANY
    if not refused:
        return Delivery(items=tuple(items))
    return _with_refused(items, refused, body, alone=type(value) is dict)


def _decoded(body: bytes, content_type: str) -> object:
    if content_type[:33].lower() == "application/x-www-form-urlencoded" or body.startswith(b"payload="):
        return _form(body) or read_json(body)
    return read_json(body)


def _form(body: bytes) -> object:
    """The JSON under `payload`, or the fields themselves; None when `body` is no form."""
    if body[:1] in {b"{", b"["}:
        return None
    try:
        fields = dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=MOST_FORM_FIELDS))
    except ValueError:
        return None
    return opened(fields["payload"]) if "payload" in fields else fields


def _events(value: object, depth: int) -> Iterator[object]:
    """The events in `value`, out of arrays and `{"data": [...]}`; what is nested deeper than allowed stays as it is."""
    if depth < DEEPEST_NESTING:
        if type(value) is list:
            for one in value:
                yield from _events(one, depth + 1)
            return
        if type(value) is dict and "data" in value and _only_wraps(value):
            yield from _events(opened(value["data"]), depth + 1)
            return
    yield value


def _only_wraps(value: JsonObject) -> bool:
    return ACCOUNT_KEYS.isdisjoint(value) and _GRAPH_KEYS.isdisjoint(value) and _PLAIN_KEYS.isdisjoint(value)


def _read(event: object, our_numbers: frozenset[str]) -> Iterator[Item | Refusal] | tuple[Item | Refusal]:
    if type(event) is not dict:
        return (_NOT_AN_OBJECT,)
    if not _GRAPH_KEYS.isdisjoint(event):
        return read_graph(event, our_numbers)
    if not ACCOUNT_KEYS.isdisjoint(event):
        return read_account_event(event, our_numbers)
    return (read_simple(event, our_numbers),)


def _with_refused(items: list[Item], refused: list[tuple[Refusal, object]], body: bytes, *, alone: bool) -> Delivery:
    if not items and all(refusal.malformed for refusal, _ in refused):
        return Delivery(problem=BadRequest(code="bad_event", message=refused[0][0].reason))
    for refusal, event in refused:
        items.append(Quarantined(reason=refusal.reason, body=body if alone else _written(event, body)))
    return Delivery(items=tuple(items))


def _written(event: object, body: bytes) -> bytes:
    """One event of an array as JSON again; lone surrogates and huge numbers as ASCII; too deep: the whole `body`."""
    try:
        return orjson.dumps(event)
    except TypeError:
        pass
    try:
        return json.dumps(event).encode()
    except RecursionError:
        return body
