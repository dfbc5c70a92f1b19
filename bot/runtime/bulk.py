"""Many messages asked for at once, let in so that customers who write meanwhile do not notice.

Each is an event of its own under a key of its own, like a single message, so that a repeat of the whole sends to nobody
twice. They come in handfuls: one of the process at a time is made known and journalled, and the next follows when it
was applied, or after `HANDFUL_SECONDS` when something slow or stuck is among it, unless too many are under way. So what
a customer writes waits behind a handful, behind `UNDER_WAY_MOST` at the worst, and two callers take turns. How fast
they go out afterwards, and that replies go first, is the outbox's (`bot/runtime/turns.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from hashlib import blake2b
from typing import Any, Final

from bot.core.events import Event, NoticeRequested
from bot.core.ids import CustomerId
from bot.core.messages import encode_content
from bot.ports.failures import Unavailable
from bot.records import ActResult, Notice
from bot.runtime.clock import Clock
from bot.runtime.letters import event_key

HANDFUL: Final = 32
"""Messages of all bulk sends of this process that are let in at a time."""
HANDFUL_SECONDS: Final = 0.25
"""How long the next handful waits for one of which something is not applied yet."""
UNDER_WAY_MOST: Final = 4 * HANDFUL
"""Messages that may be let in and not applied."""
BEGIN_SECONDS: Final = 20.0
"""How long handfuls are begun for one caller; what is left then was not taken."""
DIGEST_BYTES: Final = 16

Result = ActResult | None
"""None: it was not taken."""


class Bulk:
    def __init__(
        self,
        *,
        resolve: Callable[[Sequence[str]], Awaitable[Sequence[CustomerId]]],
        do: Callable[[CustomerId, Event, bytes], Coroutine[Any, Any, ActResult]],
        clock: Clock,
    ) -> None:
        """`resolve`: the customers of phone numbers. `do`: journal an event under its key, and what it comes to."""
        self._resolve = resolve
        self._do = do
        self._clock = clock
        self._one_handful = asyncio.Lock()
        self._under_way: set[asyncio.Task[ActResult]] = set()

    async def send(self, notices: Sequence[Notice], *, by: str, key: str) -> Sequence[Result]:
        """What became of each, in order. Raises `Unavailable` when none was taken."""
        begun: list[asyncio.Task[ActResult]] = []
        end = self._clock.monotonic() + BEGIN_SECONDS
        for start in range(0, len(notices), HANDFUL):
            async with self._one_handful:
                await self._room()
                if self._clock.monotonic() > end:
                    break
                try:
                    handful = await self._begin(notices[start : start + HANDFUL], by, key)
                except Unavailable:
                    if not begun:
                        raise
                    break
                begun += handful
                await asyncio.wait(handful, timeout=HANDFUL_SECONDS)
        results = await asyncio.gather(*begun)
        return [*results, *[None] * (len(notices) - len(results))]

    async def _begin(self, notices: Sequence[Notice], by: str, key: str) -> Sequence[asyncio.Task[ActResult]]:
        customers = await self._resolve([notice.phone for notice in notices])
        loop = asyncio.get_running_loop()
        handful = [
            loop.create_task(self._do(customer, _event(notice, by), _key(notice, key)), name="bulk message")
            for notice, customer in zip(notices, customers, strict=True)
        ]
        for task in handful:
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return handful

    async def _room(self) -> None:
        """Wait until another handful may be let in; each message is waited for only so long."""
        while len(self._under_way) > UNDER_WAY_MOST - HANDFUL:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)


def _event(notice: Notice, by: str) -> NoticeRequested:
    return NoticeRequested(by=by, content=notice.content, phone=notice.phone, bulk=True)


def _key(notice: Notice, key: str) -> bytes:
    """By what it says and not by its place: who repeats a part of the request, or in another order, doubles nothing."""
    said = blake2b(encode_content(notice.content), digest_size=DIGEST_BYTES).hexdigest()
    return event_key("bulk", notice.phone, said, key)
