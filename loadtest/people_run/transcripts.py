"""One customer's history thrice: as they lived it, as the provider saw it, and as the service tells it over REST."""

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, Final
from urllib.parse import quote

import msgspec

from loadtest.people_run.said import Heard, Said

PAGE: Final = 200
NO_CAPTION: Final = "[image]"
"""What a reader of the transcript sees of an image without a caption."""
PENDING: Final = frozenset({"pending", "sending", "failed"})
"""Statuses that no message may have once everything has come to rest."""

Read = Callable[[str], Any]
"""The answer of a path below `/api/v1`, as a document."""


class Told(msgspec.Struct, frozen=True):
    """One message of the transcript."""

    seq: int
    direction: str
    text: str | None
    delivery_status: str


class _Conversation(msgspec.Struct, frozen=True):
    id: str
    phone_number: str | None
    created_at: str


class _Found(msgspec.Struct, frozen=True):
    items: tuple[_Conversation, ...]
    next: str | None


class _Page(msgspec.Struct, frozen=True):
    messages: tuple[Told, ...]
    messages_next: str | None


def transcript(read: Read, phone: str) -> list[Told]:
    """Everything that REST tells of a customer, over all conversations, in order."""
    found = sorted(conversations(read, phone), key=lambda one: (one.created_at, one.id))
    return [told for one in found for told in _messages(read, one.id)]


def conversations(read: Read, phone: str) -> Iterator[_Conversation]:
    cursor: str | None = ""
    while cursor is not None:
        path = f"/conversations?q={phone}&limit={PAGE}&cursor={quote(cursor)}"
        page = msgspec.convert(read(path), _Found)
        yield from (one for one in page.items if one.phone_number == phone)
        cursor = page.next


def _messages(read: Read, conversation: str) -> list[Told]:
    pages: list[tuple[Told, ...]] = []
    cursor: str | None = ""
    while cursor is not None:
        path = f"/conversations/{conversation}?limit={PAGE}&cursor={quote(cursor)}"
        page = msgspec.convert(read(path), _Page)
        pages.append(page.messages)
        cursor = page.messages_next
    return [told for page in reversed(pages) for told in page]


def differences(phone: str, said: Sequence[Said], heard: Sequence[Heard], told: Sequence[Told]) -> list[str]:
    """A sentence for the first difference of each kind. `heard` without repeated sends."""
    inbound = [one.text or "" for one in told if one.direction == "inbound"]
    sent = [one for one in told if one.direction == "outbound" and one.delivery_status != "withheld"]
    wrote = [one.text or NO_CAPTION for one in said if one.kind != "agent" and one.acked]
    maybe = {one.text or NO_CAPTION for one in said if not one.acked}
    stuck = [f"{phone}: {one.text!r} is still {one.delivery_status}" for one in sent if one.delivery_status in PENDING]
    return [
        *_first(phone, "said", wrote, [text for text in inbound if text not in maybe or text in wrote]),
        *_first(phone, "was sent", [one.text for one in heard], [one.text or "" for one in sent]),
        *stuck[:1],
    ]


def _first(phone: str, what: str, right: Sequence[str], told: Sequence[str]) -> list[str]:
    for place, (one, other) in enumerate(zip_longest(right, told)):
        if one != other:
            return [f"{phone} {what} {one!r} as number {place}, and the transcript has {other!r}"]
    return []
