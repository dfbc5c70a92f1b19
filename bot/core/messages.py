"""What is said, in both directions, as values. Limits are WhatsApp's (Meta's documentation of each message type)."""

from typing import Literal

import msgspec

MediaKind = Literal["image", "document", "audio", "video", "sticker"]


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The root of every value of the core: immutable, named fields, compact when serialised.

    Values cannot form cycles, so the garbage collector need not look at them.
    """


class Text(Value, frozen=True, kw_only=True, tag="text"):
    text: str


class Choice(Value, frozen=True, kw_only=True):
    """One thing a customer can tap: `id` comes back as the payload, `title` is what they read."""

    id: str
    title: str
    description: str = ""


class Buttons(Value, frozen=True, kw_only=True, tag="buttons"):
    """Up to three reply buttons under a text of at most 1024 characters."""

    text: str
    buttons: tuple[Choice, ...]


class ListMenu(Value, frozen=True, kw_only=True, tag="list"):
    """Up to ten rows behind one button; the text is at most 1024 characters (the safe common cap)."""

    text: str
    button: str
    rows: tuple[Choice, ...]


class Media(Value, frozen=True, kw_only=True, tag="media"):
    kind: MediaKind
    url: str
    caption: str = ""
    filename: str = ""


class Location(Value, frozen=True, kw_only=True, tag="location"):
    latitude: float
    longitude: float
    name: str = ""
    address: str = ""


class TemplatePart(Value, frozen=True, kw_only=True):
    """One variable of a template, MSG91's form: `key` is `header_1`, `body_1..N` or `button_1..N`."""

    key: str
    value: str
    type: str = "text"
    subtype: str = ""
    filename: str = ""


class Template(Value, frozen=True, kw_only=True, tag="template"):
    """An approved template: the only thing that may be sent outside the 24 hour session window."""

    name: str
    language: str
    parts: tuple[TemplatePart, ...] = ()
    namespace: str = ""


class Tap(Value, frozen=True, kw_only=True, tag="tap"):
    """A button, list row or template quick reply that the customer tapped."""

    id: str
    title: str


class Other(Value, frozen=True, kw_only=True, tag="other"):
    """Something the bot cannot read (reaction, contacts, order ...): `kind` is the provider's word for it."""

    kind: str
    text: str = ""


Outbound = Text | Buttons | ListMenu | Media | Location | Template
Inbound = Text | Tap | Media | Location | Other


def spoken(content: Outbound | Inbound) -> str:
    """What a person reading the transcript, or a model reading the history, should see of `content`."""
    match content:
        case Text(text=text) | Buttons(text=text) | ListMenu(text=text):
            return text
        case Tap(title=title, id=tapped):
            return title or tapped
        case Media(kind=kind, caption=caption):
            return caption or f"[{kind}]"
        case Location(name=name, latitude=latitude, longitude=longitude):
            return f"[location {name or f'{latitude:.5f}, {longitude:.5f}'}]"
        case Template(name=name):
            return f"[template {name}]"
        case Other(kind=kind, text=text):
            return text or f"[{kind}]"


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Inbound | Outbound] = msgspec.msgpack.Decoder(Inbound | Outbound)
_outbound_decoder: msgspec.msgpack.Decoder[Outbound] = msgspec.msgpack.Decoder(Outbound)


def encode_content(content: Inbound | Outbound) -> bytes:
    return _encoder.encode(content)


def decode_outbound(data: bytes) -> Outbound:
    """As `decode_content`, for a message of ours."""
    return _outbound_decoder.decode(data)


def decode_content(data: bytes) -> Inbound | Outbound:
    """The content `encode_content` wrote. Raises `msgspec.DecodeError` for anything else."""
    return _decoder.decode(data)
