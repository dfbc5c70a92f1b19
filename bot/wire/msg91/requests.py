"""Messages to requests: MSG91's session call, its bulk call for templates, and the plain `recipient` dialect.

A request is never one that the provider must refuse for its shape. Fitting a message to WhatsApp's limits in a way that
reads well is done before; the cuts here are the last resort, and they keep ids and titles distinct.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, assert_never

import orjson

from bot.core.messages import Buttons, Choice, ListMenu, Location, Media, Outbound, Template, TemplatePart, Text, Value
from bot.wire.msg91.fields import URL_LIMIT, sound, web_address

Dialect = Literal["v5", "simple"]

SESSION_PATH: Final = "/whatsapp/whatsapp-outbound-message/"
BULK_PATH: Final = "/whatsapp/whatsapp-outbound-message/bulk/"
SIMPLE_PATH: Final = "/whatsapp/send"

TEXT_LIMIT: Final = 4096
BODY_LIMIT: Final = 1024
"""Body of buttons and lists, and captions. Meta allows lists 4096; 1024 is what every client agrees on."""
MOST_BUTTONS: Final = 3
MOST_ROWS: Final = 10
TITLE_LIMIT: Final = 20
ROW_TITLE_LIMIT: Final = 24
ROW_DESCRIPTION_LIMIT: Final = 72
BUTTON_ID_LIMIT: Final = 256
ROW_ID_LIMIT: Final = 200
FILENAME_LIMIT: Final = 240
VARIABLE_LIMIT: Final = 1024

_BLANK: Final = "…"
"""Stands where WhatsApp refuses an empty text."""
_BLANK_VARIABLE: Final = "-"
_MENU: Final = "Menu"
_CAPTIONED: Final = frozenset({"image", "document", "video"})
_ATTACHABLE: Final = frozenset({"image", "document", "video", "audio"})


class Request(Value, frozen=True, kw_only=True):
    """A POST of JSON to `path`, relative to the base URL."""

    path: str
    body: bytes


def build_request(content: Outbound, *, dialect: Dialect, number: str, recipient: str, reference: str) -> Request:
    """The call that sends `content` from our `number` to `recipient` (digits both).

    `reference` goes along as `crqid` and `CRQID`: both have been seen in use, which one the API reads is not settled.
    Templates take the bulk call in either dialect, since the plain one has no form for them.
    """
    if isinstance(content, Template):
        body = _template(content, number, recipient)
        return Request(path=BULK_PATH, body=orjson.dumps(body | _reference(reference)))
    if dialect == "simple":
        item = {"phone": recipient} | _simple(content) | _reference(reference)
        return Request(path=SIMPLE_PATH, body=orjson.dumps({"recipient": [item]}))
    head = {"integrated_number": number, "recipient_number": recipient}
    return Request(path=SESSION_PATH, body=orjson.dumps(head | _session(content) | _reference(reference)))


def _reference(reference: str) -> dict[str, str]:
    return {"crqid": reference, "CRQID": reference} if reference else {}


def _session(content: Text | Buttons | ListMenu | Media | Location) -> dict[str, Any]:
    match content:
        case Text(text=text):
            return _text(text)
        case Buttons(text=text, buttons=buttons):
            return _buttons(text, buttons) if len(buttons) <= MOST_BUTTONS else _list(text, _MENU, buttons)
        case ListMenu(text=text, button=button, rows=rows):
            return _list(text, button, rows)
        case Media():
            return _media(content)
        case Location():
            return _text(as_text(content))
        case _:
            assert_never(content)


def _text(text: str) -> dict[str, Any]:
    return {"content_type": "text", "text": _clip(text, TEXT_LIMIT)}


def _buttons(text: str, choices: tuple[Choice, ...]) -> dict[str, Any]:
    if not choices:
        return _text(text)
    ids, titles = _ids(choices, BUTTON_ID_LIMIT), _titles(choices, TITLE_LIMIT)
    buttons = [{"type": "reply", "reply": {"id": one, "title": title}} for one, title in zip(ids, titles, strict=True)]
    return _interactive("button", text, {"buttons": buttons})


def _list(text: str, button: str, choices: tuple[Choice, ...]) -> dict[str, Any]:
    if not 0 < len(choices) <= MOST_ROWS:
        return _text(_numbered(text, choices))
    ids, titles = _ids(choices, ROW_ID_LIMIT), _titles(choices, ROW_TITLE_LIMIT)
    rows = [_row(*one) for one in zip(ids, titles, choices, strict=True)]
    opener = button if button.strip() else _MENU
    section = {"title": _clip(opener, ROW_TITLE_LIMIT), "rows": rows}
    return _interactive("list", text, {"button": _clip(opener, TITLE_LIMIT), "sections": [section]})


def _row(name: str, title: str, choice: Choice) -> dict[str, str]:
    row = {"id": name, "title": title}
    if choice.description.strip():
        row["description"] = _clip(choice.description, ROW_DESCRIPTION_LIMIT)
    return row


def _interactive(kind: str, text: str, action: Mapping[str, Any]) -> dict[str, Any]:
    message = {"type": kind, "body": {"text": _clip(text, BODY_LIMIT)}, "action": action}
    return {"content_type": "interactive", "interactive": message}


def _media(media: Media) -> dict[str, Any]:
    """A file by its public address; a sticker, which has no known form, and a bad address become text."""
    url = web_address(media.url)
    if not url or media.kind not in _ATTACHABLE:
        return _text(as_text(media))
    body = {"content_type": media.kind, "attachment_url": url}
    if media.caption.strip() and media.kind in _CAPTIONED:
        body["caption"] = _clip(media.caption, BODY_LIMIT)
    if media.filename.strip() and media.kind == "document":
        body["filename"] = _clip(media.filename, FILENAME_LIMIT)
    return body


def _simple(content: Text | Buttons | ListMenu | Media | Location) -> dict[str, Any]:
    """`message` and, for one to three choices, `quick_replies` (their titles); more are numbered in the text."""
    match content:
        case Buttons(text=text, buttons=choices) | ListMenu(text=text, rows=choices):
            if 0 < len(choices) <= MOST_BUTTONS:
                return {"message": _clip(text, BODY_LIMIT), "quick_replies": _titles(choices, TITLE_LIMIT)}
            return {"message": _clip(_numbered(text, choices), TEXT_LIMIT)}
        case Text(text=text):
            return {"message": _clip(text, TEXT_LIMIT)}
        case Media() | Location():
            return {"message": _clip(as_text(content), TEXT_LIMIT)}
        case _:
            assert_never(content)


def as_text(content: Media | Location) -> str:
    """A file or a place in words, with an address to open: for where there is no proven form to send it."""
    if isinstance(content, Media):
        return "\n".join(filter(None, (content.caption.strip(), content.url.strip())))
    link = f"https://maps.google.com/?q={content.latitude:.6f},{content.longitude:.6f}"
    return "\n".join(filter(None, (content.name.strip(), content.address.strip(), link)))


def _numbered(text: str, choices: Iterable[Choice]) -> str:
    lines = (f"{place}. {choice.title or choice.id}" for place, choice in enumerate(choices, start=1))
    return "\n".join((text, *lines))


def _template(template: Template, number: str, recipient: str) -> dict[str, Any]:
    """The bulk body for one recipient. A namespace goes along only where one is set: a wrong one breaks the send."""
    components = {sound(part.key): _variable(part) for part in template.parts}
    body = {
        "name": sound(template.name),
        "language": {"code": sound(template.language), "policy": "deterministic"},
        "to_and_components": [{"to": [recipient], "components": components}],
    }
    if template.namespace:
        body["namespace"] = sound(template.namespace)
    payload = {"messaging_product": "whatsapp", "type": "template", "template": body}
    return {"integrated_number": number, "content_type": "template", "payload": payload}


def _variable(part: TemplatePart) -> dict[str, str]:
    """A variable without line breaks, tabs and runs of blanks, which WhatsApp refuses; a button's needs a subtype."""
    limit = VARIABLE_LIMIT if part.type == "text" else URL_LIMIT
    value = {"type": sound(part.type), "value": _clip(" ".join(part.value.split()), limit, _BLANK_VARIABLE)}
    subtype = sound(part.subtype) or ("url" if part.key.startswith("button") else "")
    if subtype:
        value["subtype"] = subtype
    if part.filename:
        value["filename"] = _clip(part.filename, FILENAME_LIMIT)
    return value


def _ids(choices: Iterable[Choice], limit: int) -> list[str]:
    return _distinct((sound(choice.id or choice.title) for choice in choices), limit)


def _titles(choices: Iterable[Choice], limit: int) -> list[str]:
    return _distinct((" ".join(sound(choice.title or choice.id).split()) for choice in choices), limit)


def _distinct(values: Iterable[str], limit: int) -> list[str]:
    """Each value within `limit` and none twice: one that would repeat gets a number behind it."""
    seen: list[str] = []
    for value in values:
        seen.append(_unlike(seen, _clip(value, limit), limit))
    return seen


def _unlike(seen: list[str], value: str, limit: int) -> str:
    stem, place = value[: limit - 3].rstrip(), 2
    while value in seen:
        value, place = f"{stem} {place}", place + 1
    return value


def _clip(text: str, limit: int, blank: str = _BLANK) -> str:
    """`text` within `limit` characters, the cut shown by an ellipsis; `blank` when there is nothing to read."""
    if not text.strip():
        return blank
    whole = sound(text)
    return whole if len(whole) <= limit else f"{whole[: limit - 1].rstrip()}…"
