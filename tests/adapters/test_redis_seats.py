import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.asyncio import Redis

from bot.adapters.redis.connection import connect
from bot.adapters.redis.keyspace import Keyspace
from bot.adapters.redis.seats import RedisSeats
from bot.core.ids import CustomerId
from bot.ports.failures import Unavailable
from bot.ports.seats import Keep
from bot.ports.store import Loaded

ANNA, BORIS = CustomerId(1), CustomerId(2)


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    """Not through our own words."""
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def keyspace(redis_url: str) -> AsyncIterator[Keyspace]:
    async with connect(redis_url) as keyspace:
        yield keyspace


@pytest.fixture
def seats_of(keyspace: Keyspace) -> Callable[[str], RedisSeats]:
    return lambda me: RedisSeats(keyspace, me=me, lease_s=0.02, session_s=60)


@pytest.fixture
def lasting(keyspace: Keyspace) -> Callable[[str], RedisSeats]:
    return lambda me: RedisSeats(keyspace, me=me, lease_s=60, session_s=60)


def snapshot(version: int, state: bytes | None = b"state") -> Loaded:
    return Loaded(version=version, state=state, data_key=b"key")


async def holds(condition: Callable[[], Awaitable[bool]]) -> bool:
    """Asks again and again; each question is a round trip to Redis, so nothing else is needed between them."""
    async with asyncio.timeout(1):
        while not await condition():
            pass
    return True


async def test_a_free_seat_is_granted_without_a_snapshot(lasting: Callable[[str], RedisSeats]) -> None:
    (seat,) = await lasting("me").take([ANNA])
    assert (seat.granted, seat.owner, seat.snapshot) == (True, "me", None)


async def test_a_seat_that_somebody_holds_is_refused_by_their_name(lasting: Callable[[str], RedisSeats]) -> None:
    await lasting("first").take([ANNA])
    refused, granted = await lasting("second").take([ANNA, BORIS])
    assert (refused.granted, refused.owner, refused.snapshot) == (False, "first", None)
    assert granted.granted


async def test_my_own_seat_is_granted_again_with_what_i_kept(lasting: Callable[[str], RedisSeats]) -> None:
    me = lasting("me")
    await me.take([ANNA])
    await me.keep([Keep(customer=ANNA, loaded=snapshot(3))])
    (seat,) = await me.take([ANNA])
    assert seat.snapshot == snapshot(3)


async def test_an_expired_lease_is_free_and_its_snapshot_comes_along(seats_of: Callable[[str], RedisSeats]) -> None:
    await seats_of("first").keep([Keep(customer=ANNA, loaded=snapshot(7))])

    async def granted() -> bool:
        (seat,) = await seats_of("second").take([ANNA])
        return seat.granted and seat.snapshot == snapshot(7)

    assert await holds(granted)


async def test_leaving_frees_the_seat_at_once_and_keeps_the_snapshot(lasting: Callable[[str], RedisSeats]) -> None:
    first = lasting("first")
    await first.keep([Keep(customer=ANNA, loaded=snapshot(7))])
    await first.leave([ANNA])
    (seat,) = await lasting("second").take([ANNA])
    assert seat.granted
    assert seat.snapshot == snapshot(7)


async def test_nobody_leaves_the_seat_of_another(lasting: Callable[[str], RedisSeats]) -> None:
    await lasting("first").take([ANNA])
    await lasting("second").leave([ANNA])
    assert not (await lasting("second").take([ANNA]))[0].granted


async def test_an_older_version_does_not_overwrite_a_seat_held_by_another(lasting: Callable[[str], RedisSeats]) -> None:
    await lasting("first").keep([Keep(customer=ANNA, loaded=snapshot(7))])
    await lasting("second").keep([Keep(customer=ANNA, loaded=snapshot(6))])
    assert (await lasting("first").take([ANNA]))[0].snapshot == snapshot(7)


async def test_who_committed_last_takes_the_seat_over(lasting: Callable[[str], RedisSeats]) -> None:
    await lasting("first").keep([Keep(customer=ANNA, loaded=snapshot(7))])
    await lasting("second").keep([Keep(customer=ANNA, loaded=snapshot(8))])
    (seat,) = await lasting("second").take([ANNA])
    assert seat.snapshot == snapshot(8)


async def test_a_customer_without_a_state_is_kept_as_such(lasting: Callable[[str], RedisSeats]) -> None:
    await lasting("me").keep([Keep(customer=ANNA, loaded=snapshot(0, None))])
    assert (await lasting("me").take([ANNA]))[0].snapshot == snapshot(0, None)


async def test_scripts_that_redis_forgot_are_loaded_again(client: Redis, lasting: Callable[[str], RedisSeats]) -> None:
    await lasting("me").take([ANNA])
    await client.script_flush()
    assert (await lasting("me").take([ANNA, BORIS]))[1].granted


async def test_the_snapshot_outlives_the_lease_by_the_session(
    client: Redis, seats_of: Callable[[str], RedisSeats]
) -> None:
    await seats_of("me").keep([Keep(customer=ANNA, loaded=snapshot(1))])
    assert 50_000 < await client.pttl("seat:1") <= 60_000


async def test_an_empty_batch_asks_nothing() -> None:
    seats = RedisSeats(connect("unix:///nowhere/redis.sock"), me="me", lease_s=1, session_s=1)
    assert list(await seats.take([])) == []
    await seats.keep([])
    await seats.leave([])


async def test_a_redis_that_is_away_is_unavailable() -> None:
    seats = RedisSeats(connect("unix:///nowhere/redis.sock"), me="me", lease_s=1, session_s=1)
    with pytest.raises(Unavailable):
        await seats.take([ANNA])


async def test_a_key_of_another_type_is_unavailable(client: Redis, lasting: Callable[[str], RedisSeats]) -> None:
    await client.set("seat:1", "not a hash")
    with pytest.raises(Unavailable, match="WRONGTYPE"):
        await lasting("me").take([ANNA])


async def test_a_silent_redis_is_unavailable_and_its_late_replies_reach_nobody(redis_url: str) -> None:
    async with connect(redis_url, timeout_s=0.05, size=1) as keyspace, Redis.from_url(redis_url) as other:
        seats = RedisSeats(keyspace, me="me", lease_s=60, session_s=60)
        await seats.take([BORIS])
        await other.client_pause(200)
        with pytest.raises(Unavailable, match="TimeoutError"):
            await seats.take([ANNA])
        assert await holds(lambda: _is_granted(seats, BORIS))


async def _is_granted(seats: RedisSeats, customer: CustomerId) -> bool:
    try:
        return (await seats.take([customer]))[0].granted
    except Unavailable:
        return False
