"""The same commands on one server, behind Sentinel and in a cluster: while all is well and while a master dies."""

import asyncio
import itertools
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from bot import metrics
from bot.adapters.redis.connection import connect
from bot.adapters.redis.hints import RedisHints
from bot.adapters.redis.keyspace import Keyspace
from bot.adapters.redis.node import Command, pack
from bot.adapters.redis.seats import RedisSeats
from bot.adapters.redis.spool import RedisSpool
from bot.core.ids import CustomerId
from bot.ports.failures import Unavailable
from bot.ports.hints import Hint
from bot.ports.seats import Keep
from bot.ports.store import Loaded
from tests.acceptance.world import free_port, until
from tests.redis_servers import MASTERS, SERVICE, Clustered, Server, Watched, standing, wait_for

TIMEOUT_S = 0.5
SLACK_S = 1.0
"""What a busy machine may add to a timeout."""
NEW = itertools.count(1)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    servers = Watched(tmp_path_factory.mktemp("watched"))
    with standing(servers):
        yield servers


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clustered]:
    servers = Clustered(tmp_path_factory.mktemp("clustered"))
    with standing(servers):
        yield servers


@pytest.fixture(params=["server", "sentinel", "cluster"])
def url(request: pytest.FixtureRequest) -> str:
    return _url(request)


@pytest.fixture(params=["sentinel", "cluster"])
def replicated(request: pytest.FixtureRequest) -> Watched | Clustered:
    servers: Watched | Clustered = request.getfixturevalue("watched" if request.param == "sentinel" else "clustered")
    return servers


def _url(request: pytest.FixtureRequest) -> str:
    if request.param == "server":
        return str(request.getfixturevalue("redis_url"))
    servers: Watched | Clustered = request.getfixturevalue("watched" if request.param == "sentinel" else "clustered")
    wait_for(servers.healthy, "the servers are whole")
    servers.flush()
    return servers.url


@pytest.fixture
async def keyspace(url: str) -> AsyncIterator[Keyspace]:
    async with connect(url, timeout_s=TIMEOUT_S) as keyspace:
        yield keyspace


def snapshot(version: int) -> Loaded:
    return Loaded(version=version, state=b"state", data_key=b"key")


def setting(key: str, value: str) -> Command:
    return key.encode(), pack((b"SET", key.encode(), value.encode()))


def getting(key: str) -> Command:
    return key.encode(), pack((b"GET", key.encode()))


async def done(work: Callable[[], object]) -> bool:
    """Whether it worked; if not, it was `Unavailable` and said so in time."""
    begun = time.monotonic()
    try:
        await work()  # type: ignore[misc]
    except Unavailable:
        return False
    finally:
        assert time.monotonic() - begun < TIMEOUT_S + SLACK_S
    return True


# --- while all is well -------------------------------------------------------------------------------------------


async def test_replies_come_in_the_order_of_the_commands_wherever_their_keys_are(keyspace: Keyspace) -> None:
    keys = [f"key:{number}" for number in range(200)]
    await keyspace.run([setting(key, key.upper()) for key in keys])
    assert list(await keyspace.run([getting(key) for key in keys])) == [key.upper().encode() for key in keys]


async def test_an_error_reply_stands_in_its_place(keyspace: Keyspace) -> None:
    first, wrong, last = await keyspace.run([setting("a", "1"), (b"a", pack((b"LPOP", b"a"))), getting("a")])
    assert (first, last) == (b"OK", b"1")
    assert isinstance(wrong, Exception)


async def test_seats_are_taken_kept_and_left(keyspace: Keyspace) -> None:
    me, other = (RedisSeats(keyspace, me=name, lease_s=60, session_s=60) for name in ("me", "other"))
    customers = [CustomerId(number) for number in range(1, 60)]
    assert all(seat.granted for seat in await me.take(customers))
    await me.keep([Keep(customer=customer, loaded=snapshot(customer)) for customer in customers])
    assert {seat.owner for seat in await other.take(customers)} == {"me"}
    await me.leave(customers)
    assert [seat.snapshot for seat in await other.take(customers)] == [snapshot(customer) for customer in customers]


async def test_scripts_that_every_server_forgot_are_known_again(keyspace: Keyspace, url: str) -> None:
    seats = RedisSeats(keyspace, me="me", lease_s=60, session_s=60)
    customers = [CustomerId(number) for number in range(1, 60)]
    for _ in range(2):
        assert all(seat.granted for seat in await seats.take(customers))
        await keyspace.run([(f"key:{number}".encode(), pack((b"SCRIPT", b"FLUSH"))) for number in range(60)])


async def test_the_spool_keeps_the_order_and_what_was_pushed_has_a_replica(keyspace: Keyspace) -> None:
    spool, unconfirmed = RedisSpool(keyspace), metrics.spool_unconfirmed_total._value.get()
    await spool.push([b"first", b"second"])
    await spool.push([b"third"])
    assert [waits.sealed for waits in await spool.first(10)] == [b"first", b"second", b"third"]
    assert metrics.spool_unconfirmed_total._value.get() == unconfirmed


async def test_hints_reach_their_replica(keyspace: Keyspace) -> None:
    names = [f"replica-{number}" for number in range(9)]
    await RedisHints(keyspace, me="me").send([Hint(to=name, words=name.encode()) for name in names])
    for name in names:
        assert list(await RedisHints(keyspace, me=name).receive(5.0)) == [name.encode()]


async def test_a_ping_says_who_answers(keyspace: Keyspace) -> None:
    assert "answer" in await keyspace.ping()


async def test_calls_side_by_side_do_not_mix_their_replies(keyspace: Keyspace) -> None:
    async def echo(number: int) -> bool:
        key, value = f"key:{number % 7}", f"value:{number % 7}"
        return list(await keyspace.run([setting(key, value), getting(key)])) == [b"OK", value.encode()]

    for _ in range(5):
        assert all(await asyncio.gather(*map(echo, range(15))))


# --- while a master dies -----------------------------------------------------------------------------------------


def master_of(servers: Watched | Clustered, key: str) -> Server:
    return servers.master() if isinstance(servers, Watched) else servers.owner(key)


def revive(lost: Server, how: signal.Signals) -> None:
    if how == signal.SIGSTOP:
        lost.signal(signal.SIGCONT)
        return
    lost.kill()  # it is reaped
    lost.start()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
async def test_when_a_master_is_gone_calls_fail_in_time_and_work_again_on_the_next_one(
    replicated: Watched | Clustered, how: signal.Signals
) -> None:
    wait_for(replicated.healthy, "the servers are whole")
    replicated.flush()
    lost = master_of(replicated, "spool")
    unconfirmed = metrics.spool_unconfirmed_total._value.get()
    async with (
        connect(replicated.url, timeout_s=TIMEOUT_S) as keyspace,
        connect(replicated.url, timeout_s=TIMEOUT_S) as unaware,
    ):
        spool, seats = RedisSpool(keyspace), RedisSeats(keyspace, me="me", lease_s=60, session_s=60)
        assert await RedisSpool(unaware).waiting() == 0
        customers = [CustomerId(number) for number in range(1, 40)]
        pushed: list[bytes] = []

        async def push() -> None:
            word = b"%d" % next(NEW)
            await spool.push([word])
            pushed.append(word)

        for _ in range(20):
            assert await done(push)
        assert await done(lambda: seats.take(customers))
        assert metrics.spool_unconfirmed_total._value.get() == unconfirmed, "a replica has all of it"
        lost.signal(how)
        try:
            await until(lambda: done(push), "the spool takes something again")
            await until(lambda: done(lambda: seats.take(customers)), "every seat is given again")
            assert master_of(replicated, "spool") is not lost
            if how == signal.SIGKILL:
                assert await RedisSpool(unaware).waiting(), "who did not notice finds the next one within the call"
            for _ in range(3):  # nobody confirms: the only replica is the master now
                assert await done(push)
        finally:
            revive(lost, how)
            replicated.rejoin(lost)
        found = [waits.sealed for waits in await spool.first(1000)]
        assert [word for word in found if word in set(pushed)] == pushed


async def test_a_master_that_was_made_a_replica_leads_to_the_sentinels_at_once(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    with standing(watched):
        async with connect(watched.url, timeout_s=TIMEOUT_S) as keyspace:
            seats = RedisSeats(keyspace, me="me", lease_s=60, session_s=60)
            await seats.take([CustomerId(1)])
            watched.second.ask("REPLICAOF", "NO", "ONE")
            watched.first.ask("REPLICAOF", "127.0.0.1", watched.second.port)
            watched.name(watched.second)
            await seats.take([CustomerId(2)])
        with Redis(port=watched.second.port) as direct:
            assert direct.hget("seat:2", "owner") == b"me"
        watched.name(watched.first)
        async with connect(watched.url, timeout_s=TIMEOUT_S) as keyspace:
            with pytest.raises(Unavailable, match="not the master any more"):
                await keyspace.run([getting("a")])


async def test_sentinels_that_do_not_answer_are_not_waited_for(watched: Watched) -> None:
    wait_for(watched.healthy, "the servers are whole")
    frozen = watched.sentinels[:2]
    for sentinel in frozen:
        sentinel.signal(signal.SIGSTOP)
    try:
        async with connect(watched.url, timeout_s=TIMEOUT_S) as keyspace:
            assert await done(lambda: keyspace.run([setting("a", "1")]))
    finally:
        for sentinel in frozen:
            sentinel.signal(signal.SIGCONT)


async def test_a_service_that_no_sentinel_knows_is_named(watched: Watched) -> None:
    async with connect(watched.url.replace(f"/{SERVICE}/", "/other/")) as keyspace:
        with pytest.raises(Unavailable, match="no service 'other'"):
            await keyspace.ping()


# --- a cluster that is moved about -------------------------------------------------------------------------------


async def test_a_slot_on_its_way_to_another_master_is_followed(clustered: Clustered) -> None:
    wait_for(clustered.healthy, "the servers are whole")
    clustered.flush()
    old = clustered.owner("spool")
    new = next(node for node in clustered.masters_now() if node is not old)
    slot = old.ask("CLUSTER", "KEYSLOT", "spool")
    async with connect(clustered.url, timeout_s=TIMEOUT_S) as keyspace:
        spool, claimed = RedisSpool(keyspace), RedisSpool(keyspace)
        await spool.push([b"first"])
        new.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", old.ask("CLUSTER", "MYID"))
        old.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", new.ask("CLUSTER", "MYID"))
        old.ask("MIGRATE", "127.0.0.1", new.port, "spool", 0, 1000)
        await spool.push([b"second"])  # ASK
        assert await claimed.claim("me", 5)
        for node in (new, old):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", new.ask("CLUSTER", "MYID"))
        await spool.push([b"third"])  # MOVED
        assert [waits.sealed for waits in await spool.first(10)] == [b"first", b"second", b"third"]
        assert await spool.waiting() == 3


async def test_a_master_that_is_gone_is_named_by_a_ping(clustered: Clustered) -> None:
    wait_for(clustered.healthy, "the servers are whole")
    async with connect(clustered.url, timeout_s=TIMEOUT_S) as keyspace:
        assert await keyspace.ping() == f"{MASTERS} masters answer"
        lost = clustered.owner("spool")
        lost.kill()
        try:
            with pytest.raises(Unavailable, match=str(lost.port)):
                await keyspace.ping()
        finally:
            lost.start()


async def test_a_server_that_is_in_no_cluster_says_so(redis_url: str, watched: Watched) -> None:
    async with connect(f"redis+cluster://127.0.0.1:{watched.first.port}") as keyspace:
        with pytest.raises(Unavailable, match="cluster support disabled"):
            await keyspace.ping()


@pytest.mark.parametrize("form", ["redis://{}", "redis+sentinel://{}/main", "redis+cluster://{}"])
async def test_where_nobody_listens_the_call_is_unavailable_at_once(form: str) -> None:
    async with connect(form.format(f"127.0.0.1:{free_port()}"), timeout_s=TIMEOUT_S) as keyspace:
        assert not await done(lambda: keyspace.run([getting("a")]))
        assert not await done(keyspace.ping)
