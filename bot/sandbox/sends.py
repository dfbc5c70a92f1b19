"""MSG91's three send calls, from what came over the wire to orders: who, from whom, what. Checked, or `Refused`.

The shapes are those of MSG91's session API (flat body or query), of its bulk API for templates, and of the plain
`recipient` dialect. Nothing here waits or remembers.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from bot.core.messages import Value
from bot.sandbox.limits import (
    BUTTONS,
    MEDIA,
    Content,
    Refused,
    interactive_content,
    location_content,
    mapping,
    media_content,
    require,
    sequence,
    text_content,
    words,
)

RECIPIENTS: Final = 1000
_NUMBER: Final = re.compile(r"[0-9]{10,15}\Z")
_PART: Final = re.compile(r"(header_1|body_[1-9][0-9]?|button_[1-9][0-9]?|body_[a-z_]+)\Z")


class Order(Value, frozen=True, kw_only=True):
    """One message to one recipient. `body` is what was sent, for who looks at it later."""

    to: str
    sender: str
    kind: str
    content: Content
    body: dict[str, Any]
    crqid: str = ""
    template: str = ""


def decode(raw: bytes) -> dict[str, Any]:
    """The JSON object in a request's body; an empty body is an empty object."""
    if not raw:
        return {}
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refused("request body is not valid JSON") from error
    return mapping(value, "request body")


def session_order(fields: Mapping[str, Any], ours: tuple[str, ...]) -> Order:
    """The flat form: `recipient_number`, `integrated_number`, `content_type` and what that type needs."""
    to = number(fields.get("recipient_number"), "recipient_number")
    sender = sender_of(fields, ours)
    kind = words(fields.get("content_type"), "content_type", 32)
    return Order(
        to=to,
        sender=sender,
        kind=kind,
        content=_session_content(kind, fields),
        body=dict(fields),
        crqid=crqid_of(fields),
    )


def _session_content(kind: str, fields: Mapping[str, Any]) -> Content:
    if kind == "text":
        return text_content(fields.get("text"))
    if kind == "interactive":
        return interactive_content(fields.get("interactive"))
    if kind == "location":
        return location_content(fields.get("location") or mapping(fields.get("payload"), "location").get("location"))
    if kind in MEDIA:
        return media_content(kind, fields.get("attachment_url"), fields.get("caption"), fields.get("filename"))
    raise Refused(f"content_type {kind} is not supported")


def bulk_orders(fields: Mapping[str, Any], ours: tuple[str, ...]) -> tuple[Order, ...]:
    """The template form: one order for each number in `payload.template.to_and_components`."""
    sender = sender_of(fields, ours)
    require(fields.get("content_type") == "template", "content_type must be template")
    payload = mapping(fields.get("payload"), "payload")
    require(payload.get("type") == "template", "payload.type must be template")
    template = mapping(payload.get("template"), "payload.template")
    name = words(template.get("name"), "payload.template.name", 512)
    words(
        mapping(template.get("language"), "payload.template.language").get("code"), "payload.template.language.code", 15
    )
    items = sequence(template.get("to_and_components"), "payload.template.to_and_components", RECIPIENTS)
    return tuple(order for item in items for order in _template_orders(item, fields, sender, name))


def _template_orders(value: Any, fields: Mapping[str, Any], sender: str, name: str) -> list[Order]:
    item = mapping(value, "to_and_components")
    parts = mapping(item.get("components"), "to_and_components.components")
    content = Content(type="template", name=name, text=_template_text(name, parts))
    crqid = crqid_of(item) or crqid_of(fields)
    return [
        Order(
            to=number(to, "to"),
            sender=sender,
            kind="template",
            content=content,
            body=dict(fields),
            crqid=crqid,
            template=name,
        )
        for to in sequence(item.get("to"), "to_and_components.to", RECIPIENTS)
    ]


def _template_text(name: str, parts: dict[str, Any]) -> str:
    """What a reader sees of a template whose wording only the account knows: its name and its variables."""
    values = [_variable(key, part) for key, part in parts.items()]
    return f"[{name}] {' | '.join(values)}" if values else f"[{name}]"


def _variable(key: str, value: Any) -> str:
    require(bool(_PART.match(key)), f"components.{key} is not known")
    part = mapping(value, f"components.{key}")
    words(part.get("type"), f"components.{key}.type", 32)
    if key.startswith("button"):
        words(part.get("subtype"), f"components.{key}.subtype", 32)
    text = words(part.get("value"), f"components.{key}.value", 2048)
    require("\n" not in text and "\r" not in text, f"components.{key}.value must not contain newlines")
    return text


def simple_orders(fields: Mapping[str, Any], ours: tuple[str, ...]) -> tuple[Order, ...]:
    """The plain dialect: `{"recipient": [{"phone", "message", "quick_replies"}]}`, sent from our first number."""
    items = sequence(fields.get("recipient"), "recipient", RECIPIENTS)
    return tuple(_simple_order(mapping(item, "recipient"), ours[0]) for item in items)


def _simple_order(item: dict[str, Any], sender: str) -> Order:
    content = _simple_content(item)
    kind = "interactive" if content.type == "buttons" else content.type
    to = number(item.get("phone"), "phone")
    return Order(to=to, sender=sender, kind=kind, content=content, body=item, crqid=crqid_of(item))


def _simple_content(item: dict[str, Any]) -> Content:
    replies = item.get("quick_replies")
    if not replies:
        return text_content(item.get("message"))
    buttons = [_quick_reply(reply) for reply in sequence(replies, "quick_replies", BUTTONS)]
    body = {"text": item.get("message")}
    return interactive_content({"type": "button", "body": body, "action": {"buttons": buttons}})


def _quick_reply(value: Any) -> dict[str, Any]:
    """A quick reply, given as a title or as an object, in the form of a reply button."""
    if isinstance(value, str):
        return {"type": "reply", "reply": {"id": value, "title": value}}
    reply = mapping(value, "quick_replies")
    title = reply.get("title") or reply.get("text")
    return {"type": "reply", "reply": {"id": reply.get("id") or reply.get("payload") or title, "title": title}}


def number(value: Any, field: str) -> str:
    """`value` if it is 10 to 15 digits in a string, country code first, as MSG91 wants them."""
    if not isinstance(value, str) or not value:
        raise Refused(f"{field} not found in request")
    if not _NUMBER.match(value):
        raise Refused(f"{field} must be 10 to 15 digits with country code")
    return value


def sender_of(fields: Mapping[str, Any], ours: tuple[str, ...]) -> str:
    """The integrated number, if it is one of ours."""
    sender = number(fields.get("integrated_number"), "integrated_number")
    if sender not in ours:
        raise Refused(f"integrated_number {sender} is not integrated with this account")
    return sender


def crqid_of(fields: Mapping[str, Any]) -> str:
    """Our own reference, in either of its two spellings."""
    value = fields.get("crqid") or fields.get("CRQID") or ""
    if not isinstance(value, str):
        raise Refused("crqid must be a string")
    return value
