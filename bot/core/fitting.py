"""What fits into WhatsApp: the limits of each message type by name, and messages cut to them.

The limits are those of Meta's documentation of text, reply button and list messages. A flow that breaks them is refused
by `bot flows check`; here is what happens to texts that only grow too long when they are filled.
"""

import unicodedata
from collections.abc import Sequence
from itertools import count

import msgspec

from bot.core.messages import Buttons, Choice, ListMenu, Outbound, Text

TEXT_LIMIT = 4096
BODY_LIMIT = 1024
BUTTONS_LIMIT = 3
ROWS_LIMIT = 10
BUTTON_TITLE_LIMIT = 20
ROW_TITLE_LIMIT = 24
DESCRIPTION_LIMIT = 72
LIST_BUTTON_LIMIT = 20
PAYLOAD_LIMIT = 200

_SENTENCE_ENDS = ("\n", ". ", "! ", "? ", "। ", "… ")
_JOINER = "\u200d"
_ELLIPSIS = "…"
_SKIN_TONES = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"


def split_text(text: str, limit: int = TEXT_LIMIT) -> tuple[str, ...]:
    """`text` in pieces of at most `limit` characters, cut at sentence ends, else between words, else anywhere a
    reader sees two characters. Blank text gives no piece.
    """
    pieces = []
    rest = text.strip()
    while len(rest) > limit:
        end = _cut(rest, limit)
        pieces.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return (*pieces, rest) if rest else tuple(pieces)


def plain(text: str) -> tuple[Text, ...]:
    """`text` as messages without anything to tap; none for blank text."""
    return tuple(Text(text=piece) for piece in split_text(text))


def question(text: str, choices: Sequence[Choice], *, list_button: str, numbered_hint: str) -> tuple[Outbound, ...]:
    """`text` with its choices, in the form WhatsApp has for so many: reply buttons, a list, or numbered lines.

    Only the last message can be tapped. `list_button` names the button that opens a list, and is the body where `text`
    is blank; `numbered_hint` ends a numbered text.
    """
    if not choices:
        return plain(text)
    if len(choices) > ROWS_LIMIT:
        return plain(f"{text.strip()}\n\n{_numbered(choices)}\n\n{numbered_hint}")
    limit = BUTTON_TITLE_LIMIT if len(choices) <= BUTTONS_LIMIT else ROW_TITLE_LIMIT
    fitted = _fitted(choices, limit)
    button = shorten(list_button, LIST_BUTTON_LIMIT) or _ELLIPSIS
    before, body = _body(text if _titles(fitted) == _titles(choices) else f"{text}\n\n{_numbered(choices)}", button)
    if len(choices) <= BUTTONS_LIMIT:
        return (*before, Buttons(text=body, buttons=fitted))
    return (*before, ListMenu(text=body, button=button, rows=fitted))


def shorten(text: str, limit: int) -> str:
    """`text` on one line of at most `limit` characters; an ellipsis says that something is missing."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: _whole_characters(line, limit - 1)].rstrip() + _ELLIPSIS


def _body(text: str, otherwise: str) -> tuple[tuple[Text, ...], str]:
    pieces = split_text(text, BODY_LIMIT)
    if not pieces:
        return (), otherwise
    kept = text.strip()[: -len(pieces[-1])]
    return plain(kept), pieces[-1]


def _numbered(choices: Sequence[Choice]) -> str:
    return "\n".join(f"{number}. {choice.title}" for number, choice in enumerate(choices, 1))


def _titles(choices: Sequence[Choice]) -> list[str]:
    return [choice.title for choice in choices]


def _fitted(choices: Sequence[Choice], limit: int) -> tuple[Choice, ...]:
    taken: set[str] = set()
    fitted = []
    for number, choice in enumerate(choices, 1):
        title = _unlike(taken, shorten(choice.title, limit) or str(number), limit)
        taken.add(title)
        description = shorten(choice.description, DESCRIPTION_LIMIT)
        fitted.append(msgspec.structs.replace(choice, title=title, description=description))
    return tuple(fitted)


def _unlike(taken: set[str], title: str, limit: int) -> str:
    if title not in taken:
        return title
    options = (f"{shorten(title, limit - len(str(number)) - 1)} {number}" for number in count(2))
    return next(option for option in options if option not in taken)


def _cut(text: str, limit: int) -> int:
    sentence = max(text.rfind(end, 0, limit + 1) + len(end.rstrip(" ")) for end in _SENTENCE_ENDS)
    if limit // 2 < sentence <= limit:
        return sentence
    space = max(text.rfind(" ", 0, limit + 1), text.rfind("\n", 0, limit + 1))
    return space if space > 0 else _whole_characters(text, limit)


def _whole_characters(text: str, limit: int) -> int:
    """The greatest index up to `limit` at which no mark, joiner or selector is torn off; `limit` if there is none."""
    end = limit
    while end > 0 and (_clings(text[end]) or text[end - 1] == _JOINER):
        end -= 1
    return end or limit


def _clings(character: str) -> bool:
    return (
        character == _JOINER or unicodedata.category(character)[0] == "M" or "\U0001f3fb" <= character <= "\U0001f3ff"
    )
