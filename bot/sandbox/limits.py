"""What WhatsApp lets a business send: content is checked against Meta's limits and put into one form for the phone.

The limits are those of Meta's documents of each message type (text, reply buttons, list, media, location). A call that
breaks one is `Refused` with a text that names the field; the real platform would refuse it too, later and less clearly.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from bot.core.messages import Value

TEXT: Final = 4096
INTERACTIVE_BODY: Final = 1024
LIST_BODY: Final = 1024
BUTTONS: Final = 3
TITLE: Final = 20
BUTTON_ID: Final = 256
SECTIONS: Final = 10
ROWS: Final = 10
ROW_ID: Final = 200
ROW_TITLE: Final = 24
ROW_DESCRIPTION: Final = 72
HEADER: Final = 60
FOOTER: Final = 60
CAPTION: Final = 1024
URL: Final = 2048
MEDIA: Final = frozenset({"image", "document", "audio", "video", "sticker"})


class Refused(Exception):
    """The provider refuses the call; the text is what it says."""


class Option(Value, frozen=True, kw_only=True):
    """Something to tap: a button or a row of a list."""

    id: str
    title: str
    description: str = ""


class Section(Value, frozen=True, kw_only=True):
    title: str = ""
    rows: tuple[Option, ...]


class Content(Value, frozen=True, kw_only=True):
    """A message as a phone shows it; `type` says which of the other fields are used."""

    type: str
    text: str = ""
    header: str = ""
    footer: str = ""
    buttons: tuple[Option, ...] = ()
    menu: str = ""
    sections: tuple[Section, ...] = ()
    url: str = ""
    filename: str = ""
    latitude: float | None = None
    longitude: float | None = None
    name: str = ""
    address: str = ""


def require(holds: bool, problem: str) -> None:
    """Refuse the call unless `holds`."""
    if not holds:
        raise Refused(problem)


def mapping(value: Any, field: str) -> dict[str, Any]:
    """`value` if it is a JSON object."""
    require(isinstance(value, dict), f"{field} must be an object")
    return value  # type: ignore[no-any-return]


def sequence(value: Any, field: str, most: int) -> list[Any]:
    """`value` if it is a JSON array of 1 to `most` items."""
    require(isinstance(value, list) and 1 <= len(value) <= most, f"{field} must have 1 to {most} items")
    return value  # type: ignore[no-any-return]


def words(value: Any, field: str, most: int) -> str:
    """`value` if it is a text of 1 to `most` characters that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise Refused(f"{field} not found in request")
    if len(value) > most:
        raise Refused(f"{field} is longer than {most} characters")
    return value


def maybe(value: Any, field: str, most: int) -> str:
    """The same for a text that may be absent or empty."""
    return "" if value is None or value == "" else words(value, field, most)


def text_content(value: Any) -> Content:
    return Content(type="text", text=words(value, "text", TEXT))


def media_content(kind: str, url: Any, caption: Any, filename: Any) -> Content:
    """An image, document, video, audio or sticker by its public address."""
    require(kind not in {"audio", "sticker"} or not caption, f"caption is not allowed for {kind}")
    return Content(
        type=kind,
        url=web_address(url),
        text=maybe(caption, "caption", CAPTION),
        filename=maybe(filename, "filename", 240),
    )


def web_address(value: Any) -> str:
    """`value` if it is an http or https address with a host."""
    link = words(value, "attachment_url", URL)
    try:
        parts = urlsplit(link)
    except ValueError as error:
        raise Refused("attachment_url is not a valid URL") from error
    require(parts.scheme in {"http", "https"} and bool(parts.netloc), "attachment_url is not a valid URL")
    require(" " not in link, "attachment_url is not a valid URL")
    return link


def location_content(value: Any) -> Content:
    place = mapping(value, "location")
    return Content(
        type="location",
        latitude=degrees(place.get("latitude"), "latitude", 90),
        longitude=degrees(place.get("longitude"), "longitude", 180),
        name=maybe(place.get("name"), "location.name", 1000),
        address=maybe(place.get("address"), "location.address", 1000),
    )


def degrees(value: Any, field: str, most: float) -> float:
    require(isinstance(value, int | float) and not isinstance(value, bool), f"location.{field} must be a number")
    require(-most <= value <= most, f"location.{field} is out of range")
    return float(value)


def interactive_content(value: Any) -> Content:
    """Reply buttons or a list: Meta's `interactive` object."""
    message = mapping(value, "interactive")
    match message.get("type"):
        case "button":
            return _buttons(message)
        case "list":
            return _list(message)
        case _:
            raise Refused("interactive.type must be button or list")


def _buttons(message: dict[str, Any]) -> Content:
    items = sequence(_action(message).get("buttons"), "interactive.action.buttons", BUTTONS)
    buttons = tuple(_button(item, index) for index, item in enumerate(items))
    _distinct([button.title for button in buttons], "button titles must be unique")
    _distinct([button.id for button in buttons], "button ids must be unique")
    text = _body(message, INTERACTIVE_BODY)
    return Content(type="buttons", text=text, buttons=buttons, header=_header(message), footer=_footer(message))


def _button(value: Any, index: int) -> Option:
    field = f"interactive.action.buttons[{index}]"
    item = mapping(value, field)
    require(item.get("type") == "reply", f"{field}.type must be reply")
    reply = mapping(item.get("reply"), f"{field}.reply")
    return Option(
        id=words(reply.get("id"), f"{field}.reply.id", BUTTON_ID),
        title=words(reply.get("title"), f"{field}.reply.title", TITLE),
    )


def _list(message: dict[str, Any]) -> Content:
    header = message.get("header")
    require(header is None or mapping(header, "header").get("type") == "text", "the header of a list must be text")
    action = _action(message)
    items = sequence(action.get("sections"), "interactive.action.sections", SECTIONS)
    sections = tuple(_section(item, index, len(items)) for index, item in enumerate(items))
    rows = [row for section in sections for row in section.rows]
    require(len(rows) <= ROWS, f"a list must have 1 to {ROWS} rows in total")
    _distinct([row.id for row in rows], "row ids must be unique")
    menu = words(action.get("button"), "interactive.action.button", TITLE)
    return Content(
        type="list",
        text=_body(message, LIST_BODY),
        menu=menu,
        sections=sections,
        header=_header(message),
        footer=_footer(message),
    )


def _section(value: Any, index: int, among: int) -> Section:
    field = f"interactive.action.sections[{index}]"
    item = mapping(value, field)
    require(among == 1 or bool(item.get("title")), f"{field}.title not found in request")
    rows = sequence(item.get("rows"), f"{field}.rows", ROWS)
    return Section(
        title=maybe(item.get("title"), f"{field}.title", ROW_TITLE),
        rows=tuple(_row(row, f"{field}.rows[{number}]") for number, row in enumerate(rows)),
    )


def _row(value: Any, field: str) -> Option:
    row = mapping(value, field)
    return Option(
        id=words(row.get("id"), f"{field}.id", ROW_ID),
        title=words(row.get("title"), f"{field}.title", ROW_TITLE),
        description=maybe(row.get("description"), f"{field}.description", ROW_DESCRIPTION),
    )


def _action(message: dict[str, Any]) -> dict[str, Any]:
    return mapping(message.get("action"), "interactive.action")


def _body(message: dict[str, Any], most: int) -> str:
    return words(mapping(message.get("body"), "interactive.body").get("text"), "interactive.body.text", most)


def _header(message: dict[str, Any]) -> str:
    """The text above the body; a picture or a film there is let through unseen."""
    if message.get("header") is None:
        return ""
    header = mapping(message["header"], "interactive.header")
    require(header.get("type") in {"text", "image", "video", "document"}, "interactive.header.type is not known")
    return words(header.get("text"), "interactive.header.text", HEADER) if header["type"] == "text" else ""


def _footer(message: dict[str, Any]) -> str:
    if message.get("footer") is None:
        return ""
    return words(mapping(message["footer"], "interactive.footer").get("text"), "interactive.footer.text", FOOTER)


def _distinct(values: list[str], problem: str) -> None:
    require(len(set(values)) == len(values), problem)
