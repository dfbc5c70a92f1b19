"""MSG91's own callbacks: a body that the owner of the account puts together in the dashboard.

Any key may be missing or renamed to its older spelling, every value may be a string, and neither `direction` nor
`eventName` can be relied on (a customer's text has been seen with `eventName: delivered`). So what an event is gets
decided by what it carries, in the order written down in `read_account_event`.
"""

from collections.abc import Iterator
from typing import Final

from bot.core.events import MessageReceived
from bot.core.messages import Inbound, Media, MediaKind, Other, Tap, Text
from bot.wire.msg91.deliveries import Ignored, Item, Received, Refusal, Reported
from bot.wire.msg91.fields import (
    KIND_LIMIT,
    NAME_LIMIT,
    JsonObject,
    an_object,
    label,
    moment,
    objects,
    opened,
    phone,
    text,
    web_address,
)
from bot.wire.msg91.meta import MEDIA_KINDS, read_content, read_place, read_sender, tap_of
from bot.wire.msg91.reports import NOTICES, STATUSES, read_account_report, status_word
from bot.wire.msg91.wamids import bare_id, has_suffix

ACCOUNT_KEYS: Final = frozenset(
    {
        "customerNumber",
        "mobile",
        "integratedNumber",
        "uuid",
        "requestId",
        "crqid",
        "CRQID",
        "eventName",
        "contentType",
        "messageType",
        "direction",
        "messages",
        "contacts",
        "companyId",
        "requestedAt",
        "statusUpdatedAt",
        "customerName",
        "replyMsgId",
        "failureReason",
        "ts",
        "content",
        "interactive",
        "webhookType",
        "templateName",
        "campaignName",
    }
)
"""A body with any of these came from MSG91; the plain shapes have none of them."""
_INBOUND: Final = frozenset({"0", "inbound", "incoming", "in"})
_OUTBOUND: Final = frozenset({"1", "outbound", "outgoing", "out"})
_NOTHING: Final[JsonObject] = {}
_SPOKEN: Final = ("text", "url", "latitude", "contentType", "contacts", "messages")
_PLAIN_KINDS: Final = frozenset({"", "text", "button", "interactive"})
_UNSEEN: Final = Media(kind="document", url="")


def read_account_event(event: JsonObject, our_numbers: frozenset[str]) -> Iterator[Item | Refusal]:
    """The events of one body: by `direction` where it is there, else by what only one side's bodies carry."""
    direction = text(event.get("direction")).strip().lower()
    messages = objects(event.get("messages")) if direction not in _OUTBOUND else []
    if direction in _OUTBOUND or (direction not in _INBOUND and _tells_of_ours(event, messages)):
        yield _read_outbound(event)
        return
    for index, message in enumerate(messages or [_NOTHING]):
        yield _read_message(event if index == 0 else _shared(event), message, our_numbers)


def _read_outbound(event: JsonObject) -> Item | Refusal:
    word = status_word(event)
    if word not in STATUSES:
        return Ignored(reason=word if word in NOTICES else "echo")
    report = read_account_report(event)
    return Reported(report=report) if report else Refusal(reason="a report that names no message")


def _tells_of_ours(event: JsonObject, messages: list[JsonObject]) -> bool:
    """Whether a body without direction is about a message of ours.

    A message that names its writer, a tap, and an id with MSG91's suffix are always a customer's; our reference and a
    template's content are always ours. Between them the state decides, see `_is_report`.
    """
    if any(one.get("from") or one.get("from_user_id") for one in messages):
        return False
    if has_suffix(event.get("uuid")) or _tap(event):
        return False
    return bool(event.get("crqid") or event.get("CRQID")) or _kind(event) == "template" or _is_report(event)


def _kind(event: JsonObject) -> str:
    return label(event.get("contentType") or event.get("messageType"), KIND_LIMIT).lower()


def _is_report(event: JsonObject) -> bool:
    """Of the states only `delivered` has been seen on what customers write: with any other, flat fields are ours."""
    word = status_word(event)
    if word not in STATUSES and word not in NOTICES:
        return False
    if word != "delivered" or event.get("statusUpdatedAt") or event.get("reason") or event.get("failureReason"):
        return True
    return not any(event.get(key) for key in _SPOKEN)


def _shared(event: JsonObject) -> JsonObject:
    """What the second and later messages of one body have from it: everything but the first one's own."""
    return {key: event[key] for key in ("customerNumber", "mobile", "customerName", "integratedNumber") if key in event}


def _read_message(event: JsonObject, message: JsonObject, our_numbers: frozenset[str]) -> Item | Refusal:
    number = phone(event.get("integratedNumber"))
    sender = read_sender(message, _profile(event, message), event)
    if sender is None:
        return Refusal(reason="a message without a sender")
    if sender.phone and (sender.phone in our_numbers or sender.phone == number):
        return Ignored(reason="echo")
    content = _content(event, message)
    if content is None:
        return Refusal(reason="neither a message nor a report")
    context = message.get("context")
    received = MessageReceived(
        provider_id=_own_id(event, message),
        sender=sender,
        content=content,
        number=number,
        sent_at=moment(message.get("timestamp")) or _own_time(event),
        reply_to=bare_id((context.get("id") if type(context) is dict else None) or event.get("replyMsgId")),
    )
    return Received(event=received)


def _own_id(event: JsonObject, message: JsonObject) -> str:
    """The message's id. The call's id stands in only where there is not even a time to tell two equal texts apart."""
    own = bare_id(message.get("id")) or bare_id(event.get("uuid"))
    if own or message.get("timestamp") or _own_time(event) is not None:
        return own
    return bare_id(event.get("requestId"))


def _own_time(event: JsonObject) -> float | None:
    return moment(event.get("ts")) or moment(event.get("requestedAt"))


def _profile(event: JsonObject, message: JsonObject) -> JsonObject:
    """The sender's profile, read only when it can add a number, a user id or a name to what is known without it."""
    contacts = event.get("contacts")
    if not contacts:
        return _NOTHING
    complete = event.get("customerName") and (message.get("from") or event.get("customerNumber"))
    if complete and type(contacts) is str and "user_id" not in contacts:
        return _NOTHING
    return next(iter(objects(contacts)), _NOTHING)


def _content(event: JsonObject, message: JsonObject) -> Inbound | None:
    """What was said: Meta's message where it says something readable, else the flat fields, else their kind."""
    said = read_content(message) if message else None
    if isinstance(said, Media):
        return _media(event, said.kind, said)
    if said is not None and not isinstance(said, Other):
        return said
    flat = _flat_content(event)
    return said if flat is None or (said is not None and isinstance(flat, Other)) else flat


def _flat_content(event: JsonObject) -> Inbound | None:
    kind = _kind(event)
    if kind in MEDIA_KINDS:
        return _media(event, MEDIA_KINDS[kind])
    found = _tap(event) or (read_place(event) if kind == "location" else None)
    if found:
        return found
    said = text(event.get("text")) if kind in _PLAIN_KINDS or not event.get("url") else ""
    if said:
        return Text(text=said)
    if event.get("url"):
        return _media(event, "document")
    return read_place(event) or _loose_content(event, kind)


def _tap(event: JsonObject) -> Inbound | None:
    button = event.get("button")
    tap = tap_of(button) or tap_of(event.get("interactive"))
    words = text(button) if tap is None and opened(button) is None else ""
    return Tap(id=words, title=words) if words else tap


def _media(event: JsonObject, kind: MediaKind, said: Media = _UNSEEN) -> Media:
    """A file; MSG91's copy of it (`url`) before Meta's, which only the account's own token opens."""
    inside = an_object(event.get("content"))
    url = web_address(event.get("url")) or web_address(inside.get("attachment_url") or inside.get("url"))
    return Media(
        kind=kind,
        url=url or said.url,
        caption=said.caption or text(event.get("caption") or event.get("text") or inside.get("caption")),
        filename=said.filename or label(event.get("filename") or inside.get("filename"), NAME_LIMIT),
    )


def _loose_content(event: JsonObject, kind: str) -> Inbound | None:
    """What `content` holds (a text, or an object with one), else the bare kind; None when there is neither."""
    inside = an_object(event.get("content"))
    if inside.get("attachment_url"):
        return _media(event, "document")
    said = text(inside.get("text")) if inside else text(event.get("content"))
    if said:
        return Text(text=said)
    reaction = an_object(event.get("reaction"))
    return Other(kind=kind, text=text(reaction.get("emoji") or event.get("reaction"))) if kind else None
