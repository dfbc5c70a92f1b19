"""Meta's objects: the message in `messages[0]`, which MSG91 hands on as it got it, and whole Cloud API bodies.

Decide by what is in a message, not by its name for it: `type` may be missing, and MSG91's word for a reply differs.
"""

from collections.abc import Iterator
from typing import Final

from bot.core.events import MessageReceived, Sender
from bot.core.messages import Inbound, Location, Media, MediaKind, Other, Tap, Text
from bot.wire.msg91.deliveries import Ignored, Item, Received, Refusal, Reported
from bot.wire.msg91.fields import (
    KIND_LIMIT,
    NAME_LIMIT,
    USER_ID_LIMIT,
    JsonObject,
    an_object,
    identifier,
    label,
    moment,
    number,
    objects,
    phone,
    text,
    user_id,
    web_address,
)
from bot.wire.msg91.reports import read_meta_status
from bot.wire.msg91.wamids import bare_id

MEDIA_KINDS: Final[dict[str, MediaKind]] = {
    "image": "image",
    "document": "document",
    "audio": "audio",
    "voice": "audio",
    "video": "video",
    "sticker": "sticker",
}
_REPLIES: Final = ("button_reply", "list_reply")


def read_content(message: JsonObject) -> Inbound | None:
    """What one of Meta's message objects says; None when it says nothing at all."""
    body = message.get("text")
    words = text(body.get("body") if type(body) is dict else body)
    if words:
        return Text(text=words)
    tap = tap_of(message.get("button")) or tap_of(message.get("interactive"))
    return tap or _read_rest(message)


def tap_of(value: object) -> Tap | None:
    """The tap in a template's button (`payload`, `text`) or in `interactive`, stringified or not."""
    tapped = an_object(value)
    reply = next((an_object(tapped[key]) for key in _REPLIES if key in tapped), tapped)
    chosen = text(reply.get("id") or reply.get("payload"))
    title = text(reply.get("title") or reply.get("text"))
    return Tap(id=chosen or title, title=title or chosen) if chosen or title else None


def _read_rest(message: JsonObject) -> Inbound | None:
    kind = label(message.get("type"), KIND_LIMIT)
    if kind in MEDIA_KINDS:
        return _read_media(MEDIA_KINDS[kind], an_object(message.get(kind)))
    place = message.get("location")
    if place:
        return read_place(an_object(place)) or Other(kind="location")
    return Other(kind=kind, text=_gist(kind, message)) if kind else None


def _read_media(kind: MediaKind, media: JsonObject) -> Media:
    return Media(
        kind=kind,
        url=web_address(media.get("link") or media.get("url")),
        caption=text(media.get("caption")),
        filename=label(media.get("filename"), NAME_LIMIT),
    )


def read_place(place: JsonObject) -> Location | None:
    """The place with these coordinates; None unless both are on the globe."""
    latitude, longitude = number(place.get("latitude")), number(place.get("longitude"))
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None
    name, address = text(place.get("name")), text(place.get("address"))
    return Location(latitude=latitude, longitude=longitude, name=name, address=address)


def _gist(kind: str, message: JsonObject) -> str:
    """What a person can read of a message the bot cannot."""
    if kind == "contacts":
        names = (an_object(one.get("name")).get("formatted_name") for one in objects(message.get("contacts")))
        return ", ".join(filter(None, map(text, names)))
    inside = an_object(message.get(kind))
    if kind == "interactive":
        inside = an_object(inside.get("nfm_reply")) or inside
    return text(inside.get("emoji") or inside.get("text") or inside.get("body"))


def read_sender(message: JsonObject, contact: JsonObject, event: JsonObject) -> Sender | None:
    """Who wrote, from the message, the profile beside it and the body around it; None when nobody is named.

    A user id in the place of a number (`"from": "IN.26..."`) counts as what it is.
    """
    places = (message.get("from"), event.get("customerNumber"), event.get("mobile"), contact.get("wa_id"))
    digits = next((found for found in map(phone, places) if found), "")
    given = message.get("from_user_id") or message.get("user_id") or event.get("from_user_id") or event.get("user_id")
    known_as = label(given or contact.get("user_id"), USER_ID_LIMIT)
    if not known_as and not digits:
        known_as = next((found for found in map(user_id, places) if found), "")
    if not digits and not known_as:
        return None
    name = event.get("customerName") or an_object(contact.get("profile")).get("name")
    return Sender(phone=digits, user_id=known_as, name=label(name, NAME_LIMIT))


def read_graph(body: JsonObject, our_numbers: frozenset[str]) -> Iterator[Item | Refusal]:
    """The events of a Cloud API body: `entry[].changes[].value`, or such a value alone."""
    found = False
    for value in _values(body):
        for item in _read_value(value, our_numbers):
            found = True
            yield item
    if not found:
        yield Refusal(reason="Meta's body holds no message and no status")


def _values(body: JsonObject) -> Iterator[JsonObject]:
    entries = objects(body.get("entry")) or [body]
    changes = [change for entry in entries for change in objects(entry.get("changes"))]
    if not changes:
        yield body
    for change in changes:
        yield an_object(change.get("value"))


def _read_value(value: JsonObject, our_numbers: frozenset[str]) -> Iterator[Item | Refusal]:
    ours = phone(an_object(value.get("metadata")).get("display_phone_number"))
    contacts = objects(value.get("contacts"))
    for index, message in enumerate(objects(value.get("messages"))):
        yield _read_message(message, _contact(message, contacts, index), ours, our_numbers)
    for status in objects(value.get("statuses")):
        report = read_meta_status(status)
        yield Reported(report=report) if report else Refusal(reason="a status that names no known state or no message")
    for _ in objects(value.get("message_echoes")):
        yield Ignored(reason="echo")


def _contact(message: JsonObject, contacts: list[JsonObject], index: int) -> JsonObject:
    """The profile of who wrote `message`: the one with its number, else the one in its place."""
    writer = message.get("from")
    if writer:
        return next((one for one in contacts if one.get("wa_id") == writer), {})
    return contacts[index] if index < len(contacts) else {}


def _read_message(message: JsonObject, contact: JsonObject, ours: str, our_numbers: frozenset[str]) -> Item | Refusal:
    sender = read_sender(message, contact, {})
    if sender is None:
        return Refusal(reason="a message without a sender")
    if sender.phone and (sender.phone in our_numbers or sender.phone == ours):
        return Ignored(reason="echo")
    event = MessageReceived(
        provider_id=bare_id(message.get("id")),
        sender=sender,
        content=read_content(message) or Other(kind="unknown"),
        number=ours,
        sent_at=moment(message.get("timestamp")),
        reply_to=identifier(an_object(message.get("context")).get("id")),
    )
    return Received(event=event)
