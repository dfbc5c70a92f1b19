"""Whose turn it is to be sent: replies to customers first, bulk messages with what is left.

A bulk send may ask for more messages than our number may send in a quarter of a minute. They go out only while the
limiter of our number has room to spare and half of the workers are free of them. So a reply finds a worker and a place
at once, however many bulk messages wait. A customer for whom both wait goes with the replies, because the messages of
one customer keep their order.
"""

import asyncio
from collections import deque
from typing import Any, Final

from aiolimiter import AsyncLimiter

from bot.runtime.clock import Clock
from bot.runtime.parcels import Lane, Parcel

SPARED: Final = 0.25
"""The share of a second's messages of our number that bulk messages leave to replies."""
LOOK_SECONDS: Final = 0.05
"""Seconds between looks at whether there is room again for bulk messages."""


class Turns:
    """What the workers take lanes from."""

    def __init__(self, *, limiter: AsyncLimiter, clock: Clock, workers: int) -> None:
        self._limiter = limiter
        self._clock = clock
        self._most_bulk = max(1, workers // 2)
        self._room = min(limiter.max_rate, 1 + SPARED * limiter.max_rate)
        self._replies: deque[Lane] = deque()
        self._bulk: dict[Lane, None] = {}
        self._idle: deque[asyncio.Future[None]] = deque()
        self._with_bulk: set[asyncio.Task[Any] | None] = set()
        self._looking = False

    def empty(self) -> bool:
        return not self._replies and not self._bulk

    def put_nowait(self, lane: Lane) -> None:
        """The head of this lane may go."""
        if _is_bulk(lane):
            self._bulk[lane] = None
        else:
            self._replies.append(lane)
        self._wake()

    def line_up(self, lane: Lane, parcel: Parcel) -> None:
        """Another message of a customer; a reply brings what waits before it among the replies."""
        lane.parcels.append(parcel)
        if lane in self._bulk and not _is_bulk(lane):
            del self._bulk[lane]
            self.put_nowait(lane)

    async def get(self) -> Lane:
        """The next lane. A worker that asks is done with the one it got before."""
        worker = asyncio.current_task()
        self._with_bulk.discard(worker)
        while True:
            if self._replies:
                return self._replies.popleft()
            if self._bulk and self._spare():
                self._with_bulk.add(worker)
                lane = next(iter(self._bulk))
                del self._bulk[lane]
                self._wake()
                return lane
            await self._called()

    def _spare(self) -> bool:
        """Whether a bulk message may go now; if not, somebody looks again soon."""
        if len(self._with_bulk) < self._most_bulk and self._limiter.has_capacity(self._room):
            return True
        if not self._looking:
            self._looking = True
            self._clock.later(LOOK_SECONDS, self._look)
        return False

    def _look(self) -> None:
        self._looking = False
        self._wake()

    async def _called(self) -> None:
        call: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.append(call)
        await call

    def _wake(self) -> None:
        """Call one worker, if there is anything to do; it calls the next one."""
        while self._idle and not self.empty():
            call = self._idle.popleft()
            if not call.done():
                call.set_result(None)
                return


def _is_bulk(lane: Lane) -> bool:
    return bool(lane.parcels) and all(parcel.kind == "bulk" for parcel in lane.parcels)
