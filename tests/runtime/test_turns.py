"""Whose turn it is: replies before bulk messages, whatever waits, and the order of one customer whatever the hurry."""

import asyncio
from collections import deque

import pytest
from aiolimiter import AsyncLimiter

from bot.core.ids import CustomerId, MessageId
from bot.core.messages import Text
from bot.runtime.parcels import Lane, Parcel
from bot.runtime.turns import LOOK_SECONDS, SPARED, Turns
from tests.runtime.simulated_clock import SimulatedClock

RATE = 8.0


def parcel(customer: int, kind: str, number: int = 1) -> Parcel:
    return Parcel(
        id=MessageId(f"{customer}-{number}"),
        customer=CustomerId(customer),
        recipient=str(customer),
        content=Text(text="hello"),
        number="",
        kind=kind,
        caused_at=0.0,
        created_at=0.0,
        marked=True,
    )


def lane(customer: int, *kinds: str) -> Lane:
    parcels = deque(parcel(customer, kind, number) for number, kind in enumerate(kinds, 1))
    return Lane(customer=CustomerId(customer), parcels=parcels)


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


def turns_of(clock: SimulatedClock, *, rate: float = RATE, period: float = 1e9, workers: int = 4) -> Turns:
    """With a limiter whose bucket does not get empty again within a test."""
    return Turns(limiter=AsyncLimiter(rate, period), clock=clock, workers=workers)


async def worker(turns: Turns, got: list[CustomerId], limiter: AsyncLimiter | None = None) -> None:
    while True:
        taken = await turns.get()
        got.append(taken.customer)
        if limiter is not None:
            await limiter.acquire()


async def test_replies_go_before_bulk_messages_that_waited_longer(clock: SimulatedClock) -> None:
    turns = turns_of(clock)
    for customer in (1, 2):
        turns.put_nowait(lane(customer, "bulk"))
    for customer in (3, 4):
        turns.put_nowait(lane(customer, "flow"))
    assert [(await turns.get()).customer for _ in range(4)] == [3, 4, 1, 2]
    assert turns.empty()


async def test_bulk_messages_leave_room_in_the_limit_of_our_number(clock: SimulatedClock) -> None:
    limiter = AsyncLimiter(RATE, 1e9)
    turns = Turns(limiter=limiter, clock=clock, workers=4)
    got: list[CustomerId] = []
    for customer in range(20):
        turns.put_nowait(lane(customer, "bulk"))
    busy = asyncio.create_task(worker(turns, got, limiter))
    await clock.advance(10 * LOOK_SECONDS)
    assert len(got) == RATE * (1 - SPARED)
    turns.put_nowait(lane(99, "agent"))
    await clock.settled()
    assert got[-1] == 99
    busy.cancel()


async def test_bulk_messages_go_on_when_there_is_room_again(clock: SimulatedClock) -> None:
    limiter = AsyncLimiter(RATE, 1e9)
    await limiter.acquire(RATE)
    turns = Turns(limiter=limiter, clock=clock, workers=4)
    got: list[CustomerId] = []
    busy = asyncio.create_task(worker(turns, got))
    await clock.settled()
    turns.put_nowait(lane(1, "bulk"))
    await clock.advance(LOOK_SECONDS)
    assert got == []
    limiter._level = 0.0
    await clock.advance(LOOK_SECONDS)
    assert got == [1]
    busy.cancel()


async def test_half_of_the_workers_are_free_of_bulk_messages(clock: SimulatedClock) -> None:
    turns = turns_of(clock, rate=1e6, workers=4)
    held = asyncio.Event()
    got: list[CustomerId] = []

    async def slow() -> None:
        while True:
            got.append((await turns.get()).customer)
            await held.wait()

    busy = [asyncio.create_task(slow()) for _ in range(4)]
    await clock.settled()
    for customer in range(10):
        turns.put_nowait(lane(customer, "bulk"))
    await clock.settled()
    assert got == [0, 1]
    turns.put_nowait(lane(99, "flow"))
    await clock.settled()
    assert got == [0, 1, 99]
    held.set()
    await clock.settled()
    assert sorted(got) == [*range(10), 99]
    for task in busy:
        task.cancel()


async def test_a_reply_brings_the_bulk_message_before_it_along(clock: SimulatedClock) -> None:
    turns = turns_of(clock)
    for customer in (1, 2, 3):
        turns.put_nowait(lane(customer, "bulk"))
    third = lane(4, "bulk")
    turns.put_nowait(third)
    turns.line_up(third, parcel(4, "bulk", 2))
    assert [one.id for one in third.parcels] == ["4-1", "4-2"]
    turns.line_up(third, parcel(4, "flow", 3))
    assert (await turns.get()).customer == 4
    assert (await turns.get()).customer == 1


async def test_a_number_with_the_lowest_rate_sends_bulk_messages_all_the_same(clock: SimulatedClock) -> None:
    turns = turns_of(clock, rate=1.0, workers=1)
    turns.put_nowait(lane(1, "bulk"))
    assert (await asyncio.wait_for(turns.get(), 1.0)).customer == 1


async def test_a_worker_that_was_sent_home_is_not_called(clock: SimulatedClock) -> None:
    turns = turns_of(clock)
    got: list[CustomerId] = []
    gone, stays = (asyncio.create_task(worker(turns, got)) for _ in range(2))
    await clock.settled()
    gone.cancel()
    await clock.settled()
    turns.put_nowait(lane(1, "flow"))
    await clock.settled()
    assert got == [1]
    stays.cancel()
