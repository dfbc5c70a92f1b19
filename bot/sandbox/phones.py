"""The open phone pages, and telling them what happens: one bounded queue per page, of ready-made event texts."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec

QUEUE: Final = 500
"""Events that may wait for one page; a page that does not read loses the oldest."""


class Phones:
    """Pages by the number they play."""

    def __init__(self) -> None:
        self._open: dict[str, set[asyncio.Queue[bytes]]] = {}

    @contextmanager
    def page(self, number: str) -> Iterator[asyncio.Queue[bytes]]:
        """The queue of events for one page, as long as it is open."""
        queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE)
        pages = self._open.setdefault(number, set())
        pages.add(queue)
        try:
            yield queue
        finally:
            pages.discard(queue)
            if not pages:
                self._open.pop(number, None)

    def tell(self, number: str, name: str, value: Any) -> None:
        """Tell the pages of one number; costs one lookup when there is none."""
        pages = self._open.get(number)
        if pages:
            _put(pages, event(name, value))

    def tell_all(self, name: str, value: Any) -> None:
        raw = event(name, value)
        for pages in self._open.values():
            _put(pages, raw)

    def close(self) -> None:
        """End the stream of every page: an empty text is the end."""
        for pages in self._open.values():
            _put(pages, b"")

    def __len__(self) -> int:
        return sum(len(pages) for pages in self._open.values())


def event(name: str, value: Any) -> bytes:
    """One server-sent event; JSON has no bare line breaks, so one data line is enough."""
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(value) + b"\n\n"


def _put(pages: set[asyncio.Queue[bytes]], raw: bytes) -> None:
    for queue in pages:
        if queue.full():
            queue.get_nowait()
        queue.put_nowait(raw)
