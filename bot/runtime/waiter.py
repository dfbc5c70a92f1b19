"""One webhook that waits until all of its events are durable, and what became of each."""

import asyncio

import msgspec


class Tally(msgspec.Struct):
    """What became of the events of one webhook."""

    accepted: int = 0
    duplicates: int = 0
    ignored: int = 0
    quarantined: int = 0


class Waiter:
    """`count` events are under way; each ends with one call of `done`."""

    def __init__(self, count: int) -> None:
        self.tally = Tally()
        self._left = count
        self._failure: Exception | None = None
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(self, result: bool | Exception) -> None:
        if isinstance(result, Exception):
            self._failure = result
        elif result:
            self.tally.accepted += 1
        else:
            self.tally.duplicates += 1
        self._left -= 1
        if self._left == 0 and not self._future.done():
            self._future.set_result(None)

    async def finished(self) -> None:
        """Return when all events have ended. Raises what one of them ended with."""
        if self._left:
            await self._future
        if self._failure is not None:
            raise self._failure
