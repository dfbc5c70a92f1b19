"""The bodies of the webhook: a customer's message and a delivery report, in MSG91's shape or in the simple one.

MSG91's webhook body is a template that the account's owner edits: every value is a string, what is absent is empty, and
what has structure is JSON inside a string. The keys are those of a captured body.
"""

import uuid
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import orjson

from bot.core.messages import Value
from bot.sandbox.limits import Content
from bot.sandbox.records import Heard, Mark, Sent
from bot.sandbox.settings import WebhookShape

INDIA: Final = timezone(timedelta(hours=5, minutes=30))
MEDIA_TYPES: Final = {
    "image": "image/png",
    "document": "application/pdf",
    "audio": "audio/ogg",
    "video": "video/mp4",
    "sticker": "image/webp",
}
_EMPTY: Final = dict.fromkeys(
    (
        *("crqid", "reason", "templateName", "templateLanguage", "conversationExpTimestamp", "pluginsource"),
        *("text", "latitude", "longitude", "caption", "filename", "url", "button", "contacts", "reaction"),
        *("interactive", "orders", "paymentStatus", "webhookType", "cleverTapErrorCode", "cleverTapErrorReason"),
    ),
    "",
)


class Spoken(Value, frozen=True, kw_only=True):
    """A customer's message and what a phone knows about it."""

    message: Heard
    reply_to: str = ""
    user_id: str = ""
    description: str = ""
    """Of the list row that was tapped."""


def inbound(spoken: Spoken, shape: WebhookShape) -> dict[str, Any]:
    return _simple_inbound(spoken) if shape == "simple" else _v5_inbound(spoken)


def report(message: Sent, mark: Mark, shape: WebhookShape) -> dict[str, Any]:
    return _simple_report(message, mark) if shape == "simple" else _v5_report(message, mark)


def _v5_inbound(spoken: Spoken) -> dict[str, Any]:
    message, content = spoken.message, spoken.message.content
    platform = _platform_message(spoken)
    when = _iso(message.at)
    kind = platform["type"]
    return {
        **_EMPTY,
        **_flat(content, platform),
        "companyId": "500000",
        "requestedAt": when,
        "ts": when,
        "customerNumber": message.sender,
        "customerName": message.name,
        "integratedNumber": message.to,
        "requestId": uuid.uuid5(uuid.NAMESPACE_OID, message.id).hex,
        "uuid": f"{message.id}_callback",
        "replyMsgId": spoken.reply_to,
        "direction": "0",
        "contentType": kind,
        "messageType": kind,
        "contacts": _inner([{"profile": {"name": message.name}, "wa_id": message.sender}]),
        "messages": _inner([platform]),
    }


def _platform_message(spoken: Spoken) -> dict[str, Any]:
    """The platform's own message object, which MSG91 passes on inside a string."""
    message = spoken.message
    kind, part = _part(spoken)
    head: dict[str, Any] = {"from": message.sender, "id": message.id, "timestamp": str(int(message.at)), "type": kind}
    if spoken.user_id:
        head["from_user_id"] = spoken.user_id
    if spoken.reply_to:
        head["context"] = {"from": message.to, "id": spoken.reply_to}
    return {**head, kind: part}


def _part(spoken: Spoken) -> tuple[str, Any]:
    content = spoken.message.content
    match content.type:
        case "text":
            return "text", {"body": content.text}
        case "button":
            return "button", {"payload": content.buttons[0].id, "text": content.text}
        case "button_reply":
            return "interactive", {"type": "button_reply", "button_reply": _choice(content)}
        case "list_reply":
            row = {**_choice(content), "description": spoken.description}
            return "interactive", {"type": "list_reply", "list_reply": row}
        case "location":
            return "location", _place(content)
        case "reaction":
            return "reaction", {"message_id": spoken.reply_to, "emoji": content.text}
        case kind:
            return kind, _media(spoken.message)


def _choice(content: Content) -> dict[str, str]:
    return {"id": content.buttons[0].id, "title": content.buttons[0].title}


def _place(content: Content) -> dict[str, Any]:
    place = {
        "latitude": content.latitude,
        "longitude": content.longitude,
        "name": content.name,
        "address": content.address,
    }
    return {key: value for key, value in place.items() if value != ""}


def _media(message: Heard) -> dict[str, Any]:
    content = message.content
    media = {"id": message.id[-12:], "mime_type": MEDIA_TYPES.get(content.type, ""), "url": content.url}
    extra = {"caption": content.text, "filename": content.filename}
    return media | {key: value for key, value in extra.items() if value}


def _flat(content: Content, platform: dict[str, Any]) -> dict[str, str]:
    match platform["type"]:
        case "text":
            return {"text": content.text}
        case "button" | "interactive" | "reaction" as kind:
            return {kind: _inner(platform[kind])}
        case "location":
            return {"latitude": str(content.latitude), "longitude": str(content.longitude)}
        case _:
            return {"url": content.url, "caption": content.text, "filename": content.filename}


def _v5_report(message: Sent, mark: Mark) -> dict[str, Any]:
    return {
        "requestId": message.request_id,
        "customerNumber": message.to,
        "integratedNumber": message.sender,
        "eventName": mark.status,
        "direction": "1",
        "crqid": message.crqid,
        "uuid": message.id,
        "statusUpdatedAt": _iso(mark.at),
        "templateName": message.template,
        "reason": mark.reason,
        "price": "0.00",
    }


def _simple_inbound(spoken: Spoken) -> dict[str, Any]:
    message, content = spoken.message, spoken.message.content
    head = {
        "from": message.sender,
        "name": message.name,
        "timestamp": int(message.at),
        "messageId": message.id,
        "type": content.type,
        "text": content.text,
    }
    if content.buttons:
        return {**head, "type": "button", "payload": content.buttons[0].id}
    if content.type == "location":
        return {**head, **_place(content)}
    if content.url:
        return {**head, "url": content.url, "caption": content.text, "filename": content.filename}
    return head


def _simple_report(message: Sent, mark: Mark) -> dict[str, Any]:
    body = {"messageId": message.id, "status": mark.status, "timestamp": int(mark.at)}
    return {**body, "reason": mark.reason} if mark.reason else body


def _inner(value: Any) -> str:
    return orjson.dumps(value).decode()


def _iso(at: float) -> str:
    """ISO 8601 in Indian time, as MSG91 writes it."""
    return datetime.fromtimestamp(int(at), INDIA).isoformat()
