"""The plain shapes: a message (`from`, `text`, `timestamp`, `messageId`, `type`) and a report (`messageId`, `status`).

They are strict where MSG91's are lenient: whoever writes them can mend them, so a missing field is told.
"""

from typing import Final

from bot.core.events import MessageReceived, Sender
from bot.core.messages import Inbound, Media, Other, Tap, Text
from bot.wire.msg91.deliveries import Ignored, Item, Received, Refusal, Reported
from bot.wire.msg91.failures import code_in
from bot.wire.msg91.fields import (
    KIND_LIMIT,
    NAME_LIMIT,
    REASON_LIMIT,
    USER_ID_LIMIT,
    JsonObject,
    an_object,
    identifier,
    label,
    moment,
    phone,
    text,
    user_id,
    web_address,
)
from bot.wire.msg91.meta import MEDIA_KINDS, read_place
from bot.wire.msg91.reports import STATUSES, DeliveryReport, status_word

_URL_KEYS: Final = ("url", "link", "mediaUrl", "media_url")


def read_simple(event: JsonObject, our_numbers: frozenset[str]) -> Item | Refusal:
    """The message or report in a body without any key of MSG91's; a `Refusal` names what is wrong."""
    if event.get("status") and not event.get("from") and not event.get("text"):
        return _read_report(event)
    return _read_message(event, our_numbers)


def _read_report(event: JsonObject) -> Item | Refusal:
    name = identifier(event.get("messageId"))
    if not name:
        return _malformed("messageId is missing")
    status = STATUSES.get(status_word(event))
    if status is None:
        return _malformed("status must be sent, delivered, read or failed")
    reason = label(event.get("reason"), REASON_LIMIT)
    at = moment(event.get("timestamp"))
    # The id may be our reference or the provider's own; which one is not known, so it is offered as both.
    report = DeliveryReport(
        status=status, message_id=name, provider_id=name, reason=reason, code=code_in(reason), at=at
    )
    return Reported(report=report)


def _read_message(event: JsonObject, our_numbers: frozenset[str]) -> Item | Refusal:
    sender = _sender(event)
    if isinstance(sender, Refusal):
        return sender
    if sender.phone in our_numbers:
        return Ignored(reason="echo")
    name = identifier(event.get("messageId"))
    if not name:
        return _malformed("messageId is missing")
    if _absent(event.get("timestamp")):
        return _malformed("timestamp is missing")
    content = _content(event)
    if isinstance(content, Refusal):
        return content
    received = MessageReceived(
        provider_id=name,
        sender=sender,
        content=content,
        number=phone(event.get("to")),
        sent_at=moment(event.get("timestamp")),
        reply_to=identifier(event.get("replyTo")),
    )
    return Received(event=received)


def _sender(event: JsonObject) -> Sender | Refusal:
    given = event.get("from")
    digits = phone(given)
    known_as = label(event.get("from_user_id") or event.get("user_id"), USER_ID_LIMIT) or user_id(given)
    if digits or (known_as and (_absent(given) or user_id(given))):
        return Sender(phone=digits, user_id=known_as, name=label(event.get("name"), NAME_LIMIT))
    return _malformed("from is missing" if _absent(given) else "from must be a phone number of 10 to 15 digits")


def _content(event: JsonObject) -> Inbound | Refusal:
    kind = label(event.get("type"), KIND_LIMIT).lower() or "text"
    words = text(event.get("text"))
    if kind == "text":
        return Text(text=words) if words else _malformed("text is missing")
    if kind == "button" or event.get("payload"):
        return _tap(text(event.get("payload")), words)
    inside = an_object(event.get(kind))
    if kind in MEDIA_KINDS:
        return _media(event, inside, kind)
    if kind == "location":
        return read_place(inside or event) or _malformed("latitude and longitude are missing or out of range")
    return Other(kind=kind, text=words)


def _tap(payload: str, title: str) -> Tap | Refusal:
    if not payload and not title:
        return _malformed("payload is missing")
    return Tap(id=payload or title, title=title or payload)


def _media(event: JsonObject, inside: JsonObject, kind: str) -> Media:
    link = next((where[key] for where in (event, inside) for key in _URL_KEYS if where.get(key)), "")
    return Media(
        kind=MEDIA_KINDS[kind],
        url=web_address(link),
        caption=text(event.get("caption") or event.get("text") or inside.get("caption")),
        filename=label(event.get("filename") or inside.get("filename"), NAME_LIMIT),
    )


def _absent(value: object) -> bool:
    return value is None or value == ""


def _malformed(reason: str) -> Refusal:
    return Refusal(reason=reason, malformed=True)
