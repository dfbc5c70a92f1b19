"""The way from a replica to a store, on which a call can be late, lost before it takes effect, or lost after it did.

A call takes effect at one instant somewhere between the question and the answer, whether or not the replica that asked
is still alive then. What is on its way when a replica dies arrives or not, as the seed has it.
"""

import asyncio
from collections.abc import Callable
from typing import Literal, TypeVar

from bot.ports.failures import Unavailable
from tests.runtime.memory.link import Link
from tests.simulation.chance import Chance
from tests.simulation.loop import Process, SimulatedLoop
from tests.simulation.trace import Trace

T = TypeVar("T")
State = Literal["fine", "refusing", "frozen"]
"""`refusing`: every call fails at once. `frozen`: no answer; what was asked takes effect, or not, when it thaws."""

THAWED = 0.5
"""Share of the calls to a frozen store that take effect when it thaws, long after whoever asked has given up."""
LATE = 0.3
"""Share of those that take effect later still, when the replica has had answers to later calls."""
LATER_SECONDS = 3.0
DYING = 0.5
"""Share of the calls on their way that still arrive when the replica that made them dies."""


class Site:
    """A store as everybody sees it. `typical`: seconds of one way. `timeout`: seconds a replica waits for an answer."""

    def __init__(self, name: str, *, typical: float, timeout: float) -> None:
        self.name = name
        self.typical = typical
        self.timeout = timeout
        self.state: State = "fine"
        self.slowness = 1.0
        self.failing = 0.0
        """Share of the calls that fail, half of them after they took effect."""
        self.waiting: list[Callable[[], None]] = []
        """Calls that reached it while it was frozen."""

    def heal(self) -> None:
        self.state, self.slowness, self.failing = "fine", 1.0, 0.0


class SimulatedLink(Link):
    """From one replica to one store. `cut`: nothing comes through in either direction."""

    def __init__(self, loop: SimulatedLoop, process: Process, site: Site, chance: Chance, trace: Trace) -> None:
        super().__init__()
        self._loop = loop
        self._process = process
        self._site = site
        self._chance = chance
        self._trace = trace
        self._outside = loop.outside.context
        self.cut = False

    async def call(self, name: str, work: Callable[[], T]) -> T:
        answer: asyncio.Future[T] = self._loop.create_future()
        site = self._site
        there = self._chance.heavy(site.typical * site.slowness)
        if site.state == "refusing":
            self._fail(there, name, answer, "refused")
        elif self.cut or there > site.timeout:
            self._fail(site.timeout, name, answer, "timeout")
        elif site.failing and self._chance.happens(site.failing):
            self._fail_by_chance(there, name, work, answer)
        else:
            self._later(there, lambda: self._arrive(name, work, answer, there))
        return await answer

    def _fail_by_chance(self, there: float, name: str, work: Callable[[], T], answer: asyncio.Future[T]) -> None:
        if self._chance.happens(0.5):
            self._fail(there, name, answer, "lost call")
            return
        self._later(there, lambda: self._effect(work))
        self._fail(there * 2, name, answer, "lost answer")

    def _arrive(self, name: str, work: Callable[[], T], answer: asyncio.Future[T], there: float) -> None:
        site = self._site
        if not self._process.alive and not self._chance.happens(DYING):
            self._trace.note("call died", f"{self._process.name} {name}")
            return
        if site.state == "frozen":
            site.waiting.append(lambda: self._thaw(name, work))
            self._fail(site.timeout - there, name, answer, "timeout")
            return
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - whoever called hears of it
            self._settle_later(answer, error)
            return
        self._trace.detail(f"{self._process.name} {name} {_told(result)}")
        self._process.struck(name)
        back = self._chance.heavy(site.typical * site.slowness)
        if self.cut or there + back > site.timeout:
            self._fail(site.timeout - there, name, answer, "late answer")
        else:
            self._later(back, lambda: self._answered(name, answer, result))

    def _answered(self, name: str, answer: asyncio.Future[T], result: T) -> None:
        if self.cut:
            self._fail(self._site.timeout, name, answer, "lost answer")
        elif not answer.done():
            answer.set_result(result)

    def _thaw(self, name: str, work: Callable[[], object]) -> None:
        if not self._chance.happens(THAWED):
            return
        self._trace.note("late effect", f"{self._process.name} {name}")
        if self._chance.happens(LATE):
            self._later(self._chance.uniform(0.0, LATER_SECONDS), lambda: self._effect(work))
        else:
            self._effect(work)

    def _effect(self, work: Callable[[], object]) -> None:
        """Nobody hears of the result, nor of a refusal."""
        try:
            self._trace.detail(f"{self._process.name} unheard {_told(work())}")
        except Exception as error:  # noqa: BLE001 - nobody hears of it, but readers may
            self._trace.note("refused unheard", repr(error))

    def _fail(self, after: float, name: str, answer: asyncio.Future[T], why: str) -> None:
        self._trace.note(f"{self._site.name} {why}", f"{self._process.name} {name}")
        self._later(after, lambda: _refuse(answer, Unavailable(f"{self._site.name}: {why}")))

    def _settle_later(self, answer: asyncio.Future[T], error: Exception) -> None:
        self._later(self._chance.heavy(self._site.typical), lambda: _refuse(answer, error))

    def _later(self, delay: float, call: Callable[[], None]) -> None:
        self._loop.call_later(delay, call, context=self._outside)


def _told(result: object) -> str:
    """A result for readers: rows by their ids."""
    if isinstance(result, list):
        return str([getattr(row, "id", row) for row in result])[:400]
    return repr(result)[:160]


def _refuse(answer: asyncio.Future[T], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()  # whoever asked may be dead; then nobody looks at it, and that is no fault
