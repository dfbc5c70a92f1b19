"""Group commit: one call at a time over what has come together, and one bad item alone pays for itself."""

import asyncio
from collections.abc import Sequence

import pytest

from bot.ports.failures import Unacceptable, Unavailable
from bot.runtime.group import RETRY_FIRST, RETRY_MOST, Group
from tests.runtime.simulated_clock import SimulatedClock

BAD = 13
FOUL = 17


class Calls:
    """A store that notes what it was called with. 13 is refused, 17 makes it fail in a way nobody foresaw."""

    def __init__(self, clock: SimulatedClock, *, most: int = 100, patient: bool = True) -> None:
        self.calls: list[list[int]] = []
        self.settled: list[tuple[int, int | str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.away = 0
        self.group: Group[int, int] = Group(
            "test", perform=self._perform, settle=self._settle, clock=clock, most=most, patient=patient
        )

    async def _perform(self, items: Sequence[int]) -> Sequence[int]:
        self.calls.append(list(items))
        await self.gate.wait()
        if self.away:
            self.away -= 1
            raise Unavailable("away")
        if BAD in items:
            raise Unacceptable("13")
        if FOUL in items:
            raise KeyError("17")
        return [item * 10 for item in items]

    def _settle(self, item: int, result: int | Exception) -> None:
        self.settled.append((item, result if isinstance(result, int) else type(result).__name__))
        if item < 0:
            raise RuntimeError("a bug in the one who is told")


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


async def test_an_item_at_rest_waits_for_nobody(clock: SimulatedClock) -> None:
    store = Calls(clock)
    store.group.add(1)
    await clock.settled()
    assert store.calls == [[1]]
    assert store.settled == [(1, 10)]


async def test_what_comes_while_a_call_is_under_way_goes_into_the_next(clock: SimulatedClock) -> None:
    store = Calls(clock)
    store.gate.clear()
    store.group.add(1)
    await clock.settled()
    for number in (2, 3, 4):
        store.group.add(number)
    assert len(store.group) == 4
    store.gate.set()
    await clock.settled()
    assert store.calls == [[1], [2, 3, 4]]
    assert [item for item, _ in store.settled] == [1, 2, 3, 4]
    assert len(store.group) == 0


async def test_a_call_has_at_most_so_many_items(clock: SimulatedClock) -> None:
    store = Calls(clock, most=2)
    for number in (1, 2, 3, 4, 5):
        store.group.add(number)
    await clock.settled()
    assert store.calls == [[1, 2], [3, 4], [5]]


@pytest.mark.parametrize(("bad", "name"), [(BAD, "Unacceptable"), (FOUL, "KeyError")])
async def test_a_bad_item_fails_alone(clock: SimulatedClock, bad: int, name: str) -> None:
    store = Calls(clock)
    for number in (1, 2, bad, 4, 5):
        store.group.add(number)
    await clock.settled()
    assert store.settled == [(1, 10), (2, 20), (bad, name), (4, 40), (5, 50)]
    assert store.calls[0] == [1, 2, bad, 4, 5]


async def test_a_patient_group_repeats_with_the_same_items_until_the_store_is_back(clock: SimulatedClock) -> None:
    store = Calls(clock)
    store.away = 20
    store.group.add(1)
    await clock.settled()
    store.group.add(2)
    await clock.advance(RETRY_FIRST)
    assert store.calls == [[1], [1]]
    await clock.advance(20 * RETRY_MOST)
    assert store.settled == [(1, 10), (2, 20)]
    assert store.calls[-1] == [2]


async def test_an_impatient_group_gives_up_at_once(clock: SimulatedClock) -> None:
    store = Calls(clock, patient=False)
    store.away = 1
    store.group.add(1)
    store.group.add(2)
    await clock.settled()
    assert store.settled == [(1, "Unavailable"), (2, "Unavailable")]
    store.group.add(3)
    await clock.settled()
    assert store.settled[2:] == [(3, 30)]


async def test_drained_waits_for_what_waits_and_what_is_under_way(clock: SimulatedClock) -> None:
    store = Calls(clock, most=1)
    await store.group.drained()
    store.gate.clear()
    store.group.add(1)
    store.group.add(2)
    drained = asyncio.ensure_future(store.group.drained())
    await clock.settled()
    assert not drained.done()
    store.gate.set()
    await clock.settled()
    assert drained.done()


async def test_somebody_who_fails_to_hear_costs_the_others_nothing(clock: SimulatedClock) -> None:
    store = Calls(clock)
    for number in (1, -2, 3):
        store.group.add(number)
    await clock.settled()
    store.group.add(4)
    await clock.settled()
    assert [item for item, _ in store.settled] == [1, -2, 3, 4]
