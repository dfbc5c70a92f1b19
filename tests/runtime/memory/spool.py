"""Fulfils `bot.ports.spool.Spool` in memory: one queue that all replicas of a world share."""

from collections.abc import Sequence

import msgspec

from bot.ports.spool import Spooled
from bot.runtime.clock import Clock
from tests.runtime.memory.link import Link


class Queue(msgspec.Struct):
    """What Redis holds: entries by their place, oldest first, and whose it is to work them off."""

    entries: dict[int, bytes] = {}
    pushed: int = 0
    claimed_by: str = ""
    claimed_until: float = 0.0


class MemorySpool:
    def __init__(self, queue: Queue, link: Link, clock: Clock) -> None:
        self._queue = queue
        self._link = link
        self._clock = clock

    async def waiting(self) -> int:
        return await self._link.call("spool.waiting", lambda: len(self._queue.entries))

    async def push(self, sealed: Sequence[bytes]) -> None:
        await self._link.call("spool.push", lambda: self._push(sealed))

    async def first(self, limit: int) -> Sequence[Spooled]:
        return await self._link.call("spool.first", lambda: self._first(limit))

    async def remove(self, ids: Sequence[str]) -> None:
        def work() -> None:
            for id_ in ids:
                self._queue.entries.pop(int(id_), None)

        await self._link.call("spool.remove", work)

    async def claim(self, me: str, seconds: float) -> bool:
        return await self._link.call("spool.claim", lambda: self._claim(me, seconds))

    def _push(self, sealed: Sequence[bytes]) -> None:
        for entry in sealed:
            self._queue.pushed += 1
            self._queue.entries[self._queue.pushed] = entry

    def _first(self, limit: int) -> list[Spooled]:
        places = sorted(self._queue.entries)[:limit]
        return [Spooled(id=str(place), sealed=self._queue.entries[place]) for place in places]

    def _claim(self, me: str, seconds: float) -> bool:
        queue, now = self._queue, self._clock.now()
        if queue.claimed_by not in {"", me} and queue.claimed_until > now:
            return False
        queue.claimed_by, queue.claimed_until = me, now + seconds
        return True
