"""The way between one replica and a store, and everything that can go wrong on it."""

import asyncio
from collections.abc import Callable
from typing import Literal, TypeVar

import msgspec

from bot.ports.failures import Unavailable

T = TypeVar("T")
When = Literal["before", "after"]
"""Before the call takes effect, or after it did and its answer is lost."""


class Fault(msgspec.Struct):
    """`name` is `port.method`; it strikes `times` times."""

    name: str
    when: When
    error: Exception
    times: int


class Hold(msgspec.Struct):
    """Calls that wait at a point until they are released."""

    name: str
    when: When
    gate: asyncio.Event
    reached: int = 0

    def release(self) -> None:
        self.gate.set()


class Link:
    """Every call of a store goes through `call`; faults and holds are looked up by the name of the call."""

    def __init__(self) -> None:
        self.down = False
        self.calls: list[str] = []
        self._faults: list[Fault] = []
        self._holds: list[Hold] = []

    def fail(self, name: str, *, when: When = "before", times: int = 1, error: Exception | None = None) -> None:
        self._faults.append(Fault(name=name, when=when, error=error or Unavailable("away"), times=times))

    def hold(self, name: str, *, when: When = "before") -> Hold:
        """Every call of `name` stops at this point until the hold is released."""
        hold = Hold(name=name, when=when, gate=asyncio.Event())
        self._holds.append(hold)
        return hold

    def count(self, name: str) -> int:
        return self.calls.count(name)

    async def call(self, name: str, work: Callable[[], T]) -> T:
        self.calls.append(name)
        await self._point(name, "before")
        result = work()
        await self._point(name, "after")
        return result

    async def _point(self, name: str, when: When) -> None:
        await asyncio.sleep(0)
        for hold in [hold for hold in self._holds if hold.name == name and hold.when == when]:
            hold.reached += 1
            await hold.gate.wait()
        for fault in self._faults:
            if fault.name == name and fault.when == when and fault.times:
                fault.times -= 1
                raise fault.error
        if self.down:
            raise Unavailable("the store is away")
