"""How many calls may be under way at once. Open until the account says that fewer would be better.

OpenRouter sets money aside for every call under way; on a low balance it answers 402 although there is money for one
call after the other. Each such answer halves the room, each success widens it a little, as TCP does with its window.
"""

import asyncio
from typing import Final

AT_FIRST: Final = 1000
"""More than the pool of workers that ask, so that nothing waits here before the first such answer."""


class Crowd:
    """Every `enter` that answered True must be followed by one `leave`."""

    def __init__(self, room: int = AT_FIRST) -> None:
        self._room = float(room)
        self._inside = 0
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def room(self) -> int:
        return int(self._room)

    async def enter(self, *, within: float) -> bool:
        """Wait for a place; False when there was none for `within` seconds."""
        if self._inside >= self.room:
            try:
                async with asyncio.timeout(within):
                    await self._place()
            except TimeoutError:
                return False
        self._inside += 1
        return True

    def leave(self) -> None:
        self._inside -= 1
        self._wake()

    def shrink(self) -> None:
        """Too many were under way: the one that says so is still inside."""
        self._room = max(1.0, min(self._room, float(self._inside)) / 2)

    def grow(self) -> None:
        self._room = min(float(AT_FIRST), self._room + 1 / self._room)
        self._wake()

    async def _place(self) -> None:
        """All who wait are woken and look again, so that no place is lost with one who was cancelled."""
        while self._inside >= self.room:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.add(turn)
            try:
                await turn
            finally:
                self._waiting.discard(turn)

    def _wake(self) -> None:
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)
