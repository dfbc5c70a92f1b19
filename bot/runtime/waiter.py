"""One webhook that waits until all of its events are durable, and what became of each."""

from collections.abc import Callable

import msgspec


class Tally(msgspec.Struct):
    """What became of the events of one webhook."""

    accepted: int = 0
    duplicates: int = 0
    ignored: int = 0
    quarantined: int = 0


class Waiter:
    """`count` events are under way, one at least; each ends with one call of `done`, and the last of them with `ended`,
    which hears the tally or what one of them ended with.
    """

    __slots__ = ("_ended", "_failure", "_left", "_tally")

    def __init__(self, count: int, tally: Tally, ended: Callable[[Tally | Exception], None]) -> None:
        self._left = count
        self._tally = tally
        self._ended = ended
        self._failure: Exception | None = None

    def done(self, result: bool | Exception) -> None:
        if isinstance(result, Exception):
            self._failure = result
        elif result:
            self._tally.accepted += 1
        else:
            self._tally.duplicates += 1
        self._left -= 1
        if self._left == 0:
            self._ended(self._failure or self._tally)
