"""The room for calls under way shrinks when money is short, grows back, and loses no place."""

import asyncio

import pytest

from bot.adapters.openrouter.crowd import AT_FIRST, Crowd


async def test_at_first_nobody_waits() -> None:
    crowd = Crowd()
    assert all([await crowd.enter(within=0) for _ in range(AT_FIRST)])


async def test_the_room_halves_from_what_was_inside_but_never_closes() -> None:
    crowd = Crowd()
    for _ in range(6):
        await crowd.enter(within=0)
    crowd.shrink()
    assert crowd.room == 3
    crowd.shrink()
    crowd.shrink()
    assert crowd.room == 1


async def test_who_finds_no_place_in_time_is_told_so() -> None:
    crowd = Crowd(room=1)
    assert await crowd.enter(within=0)
    assert not await crowd.enter(within=0.001)
    crowd.leave()
    assert await crowd.enter(within=0)


async def test_who_leaves_lets_exactly_one_of_those_who_wait_in() -> None:
    crowd = Crowd(room=1)
    await crowd.enter(within=0)
    waiting = [asyncio.create_task(crowd.enter(within=5)) for _ in range(3)]
    await asyncio.sleep(0)
    crowd.leave()
    done, pending = await asyncio.wait(waiting, timeout=0.01)
    assert (len(done), len(pending)) == (1, 2)
    for _ in pending:
        crowd.leave()
        await asyncio.sleep(0.001)
    assert all(await asyncio.gather(*pending))


async def test_a_place_is_not_lost_with_one_who_was_cancelled_on_waking() -> None:
    crowd = Crowd(room=1)
    await crowd.enter(within=0)
    first = asyncio.create_task(crowd.enter(within=5))
    second = asyncio.create_task(crowd.enter(within=5))
    await asyncio.sleep(0)
    crowd.leave()
    first.cancel()
    assert await second
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_success_widens_the_room_step_by_step_up_to_what_it_was() -> None:
    crowd = Crowd(room=1)
    await crowd.enter(within=0)
    waiting = asyncio.create_task(crowd.enter(within=5))
    await asyncio.sleep(0)
    crowd.grow()
    assert crowd.room == 2
    assert await waiting
    full = Crowd()
    full.grow()
    assert full.room == AT_FIRST
