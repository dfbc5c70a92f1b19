"""Fulfils `bot.ports.hints.Hints` in memory: a box for each replica, in a world that all of them share.

What Redis may do to hints a test does to a box: empty it, turn it round, put something in twice, or hold it shut.
"""

import asyncio
from collections.abc import Sequence

from bot.ports.hints import Hint
from bot.runtime.clock import Clock
from tests.runtime.memory.link import Link


class Box:
    """Words that wait for one replica, oldest first. `shut`: it seems empty until it is opened."""

    def __init__(self) -> None:
        self.words: list[bytes] = []
        self.shut = False
        self._arrived: asyncio.Future[None] | None = None

    def put(self, words: bytes) -> None:
        self.words.append(words)
        self.tell()

    def open(self) -> None:
        self.shut = False
        self.tell()

    def tell(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    async def wait(self, seconds: float, clock: Clock) -> None:
        """Return when something came, at the latest after `seconds`."""
        if self.words and not self.shut:
            return
        self._arrived = asyncio.get_running_loop().create_future()
        handle = clock.later(seconds, self.tell)
        try:
            await self._arrived
        finally:
            handle.cancel()

    def take(self) -> Sequence[bytes]:
        if self.shut:
            return ()
        taken, self.words = self.words, []
        return taken


Boxes = dict[str, Box]
"""What all replicas share."""


class MemoryHints:
    def __init__(self, boxes: Boxes, link: Link, clock: Clock, *, me: str) -> None:
        self._boxes = boxes
        self._link = link
        self._clock = clock
        self._box = boxes.setdefault(me, Box())

    async def send(self, hints: Sequence[Hint]) -> None:
        def work() -> None:
            for hint in hints:
                self._boxes.setdefault(hint.to, Box()).put(hint.words)

        await self._link.call("hints.send", work)

    async def receive(self, wait: float) -> Sequence[bytes]:
        await self._box.wait(wait, self._clock)
        return await self._link.call("hints.receive", self._box.take)
