"""Outgoing webhooks of whole replicas: what is committed is told, signed, once if nothing dies and again if it does."""

import asyncio
import logging
from typing import Any

import msgspec
import pytest

from bot import metrics
from bot.core.announcements import EventType
from bot.core.retries import ANNOUNCE_DELAYS, RETRY_AFTER_MOST, announce_delay
from bot.ports.failures import Unavailable
from bot.ports.webhooks import Answered, EndpointId
from bot.runtime.announcing import AT_ONCE, LETS_PASS, LOOK_SECONDS, PATIENCE, REFRESH_SECONDS
from bot.wire.standard_webhooks import signed_headers
from tests.runtime.conftest import Starting
from tests.runtime.memory.tables import HookDelivery
from tests.runtime.memory.webhooks import Posted
from tests.runtime.replica import PHONE, Replica, World
from tests.runtime.simulated_clock import SimulatedClock

URL, OTHER = "https://example.com/hooks", "https://other.example/hooks"
RECEIVED: EventType = "message.received"
TAKEN, BUSY = Answered(status=204), Answered(status=503)
DAY = 86_400.0


@pytest.fixture
async def replica(starting: Starting) -> Replica:
    return await starting("r1")


async def subscribe(replica: Replica, *events: EventType, url: str = URL) -> EndpointId:
    made = await replica.endpoints.make(url, events or (RECEIVED,), "")
    assert made is not None
    return made.endpoint.id


def texts(world: World, url: str = URL) -> list[str]:
    """What was told of customers' messages, attempt by attempt."""
    return [event(post)["data"]["text"] for post in world.courier.posts if post.url == url]


def event(post: Posted) -> Any:
    return msgspec.json.decode(post.body)


def rows(world: World) -> list[HookDelivery]:
    return list(world.tables.hook_deliveries.values())


async def passed(clock: SimulatedClock, seconds: float) -> None:
    """A long time goes by, in which nobody looked."""
    clock.block(seconds)
    await clock.advance(2 * LOOK_SECONDS)


def told(outcome: str) -> float:
    return float(metrics.webhook_deliveries_total.labels(outcome)._value.get())


async def test_while_nobody_wants_to_be_told_nothing_is_written_and_nothing_asked(
    world: World, replica: Replica, clock: SimulatedClock
) -> None:
    await replica.say("hello")
    await clock.advance(10 * REFRESH_SECONDS)
    assert rows(world) == []
    assert not [call for call in replica.database.calls if call.startswith("webhooks")]


async def test_what_is_committed_is_told_at_once_and_signed(
    world: World, replica: Replica, clock: SimulatedClock
) -> None:
    made = await replica.endpoints.make(URL, (RECEIVED, "conversation.started"), "")
    assert made is not None
    await replica.say("hello")
    started, received = world.courier.posts
    assert [event(post)["type"] for post in (started, received)] == ["conversation.started", RECEIVED]
    assert event(received)["data"]["phone_number"] == PHONE
    key = world.vault.open(world.tables.hooks[made.endpoint.id].secret, b"webhook " + made.endpoint.id.encode())
    expected = signed_headers([key], event_id=event(received)["id"], at=clock.now(), body=received.body)
    assert received.headers == expected
    assert [row.status for row in rows(world)] == ["delivered", "delivered"]


async def test_another_replica_knows_after_a_few_seconds_who_wants_to_be_told(
    world: World, replica: Replica, starting: Starting, clock: SimulatedClock
) -> None:
    second = await starting("r2")
    await subscribe(replica)
    await second.say("too early")
    await clock.advance(REFRESH_SECONDS + 1)
    await second.say("hello")
    assert texts(world) == ["hello"]


async def test_a_replica_that_starts_knows_before_its_first_step(
    world: World, replica: Replica, starting: Starting, clock: SimulatedClock
) -> None:
    await subscribe(replica)
    replica.database.fail("store.commit", times=1000)
    await replica.hear("hello")
    await replica.die()
    assert rows(world) == []
    await clock.advance(20)
    await starting("r2")
    await clock.advance(1)
    assert texts(world) == ["hello"]


async def test_a_customers_events_come_one_at_a_time_and_in_order(
    world: World, replica: Replica, clock: SimulatedClock
) -> None:
    await subscribe(replica)
    world.courier.answer = lambda post: BUSY if len(world.courier.posts) < 3 else TAKEN
    await replica.say("one")
    await replica.say("two")
    await replica.say("other", phone="919876500000")
    assert texts(world) == ["one", "other"]
    await clock.advance(ANNOUNCE_DELAYS[0] * 1.3 + LOOK_SECONDS)
    assert texts(world) == ["one", "other", "one", "two", "other"] or texts(world) == [
        "one",
        "other",
        "other",
        "one",
        "two",
    ]


async def test_an_event_that_is_never_taken_lets_later_ones_pass_and_is_given_up_after_a_day(
    world: World, replica: Replica, clock: SimulatedClock
) -> None:
    await subscribe(replica)
    world.courier.answer = lambda post: BUSY if event(post)["data"]["text"] == "bad" else TAKEN
    before = told("failed")
    await replica.say("bad")
    await replica.say("good")
    for delay in ANNOUNCE_DELAYS[: LETS_PASS - 1]:
        assert "good" not in texts(world)
        await passed(clock, delay * 1.25)
    await clock.advance(PATIENCE.pause + LOOK_SECONDS)
    assert texts(world)[-1] == "good"
    assert texts(world).count("bad") == LETS_PASS
    for delay in ANNOUNCE_DELAYS[LETS_PASS - 1 :]:
        await passed(clock, delay * 1.25)
    assert texts(world).count("bad") == len(ANNOUNCE_DELAYS) + 1
    assert [(row.status, row.error) for row in rows(world)] == [("failed", "HTTP 503"), ("delivered", "")]
    assert told("failed") - before == 1


async def test_what_a_dead_replica_was_telling_is_told_by_another_under_the_same_id(
    world: World, replica: Replica, starting: Starting, clock: SimulatedClock
) -> None:
    second = await starting("r2")
    await subscribe(replica)
    await second.announcing.refresh()
    hold = replica.database.hold("webhooks.note", when="before")
    await replica.say("hello")
    assert (hold.reached, len(world.courier.posts)) == (1, 1)
    await clock.advance(2)
    assert len(world.courier.posts) == 1
    await replica.die()
    await clock.advance(20)
    first, again = world.courier.posts
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert rows(world)[0].status == "delivered"


async def test_an_endpoint_that_hangs_does_not_hold_up_another(
    world: World, replica: Replica, clock: SimulatedClock
) -> None:
    await subscribe(replica)
    await subscribe(replica, url=OTHER)
    dead = world.courier.deliver
    hanging: list[str] = []

    async def deliver(url: str, headers: Any, body: bytes) -> Answered:
        if url == OTHER:
            hanging.append(url)
            await clock.sleep(10.0)
            return Answered(error="no answer within 10 s")
        return await dead(url, headers, body)

    world.courier.deliver = deliver  # type: ignore[method-assign]
    for number in range(3 * AT_ONCE):
        await replica.say("hello", phone=f"9198765{number:05d}")
    assert len(texts(world)) == 3 * AT_ONCE
    assert len(hanging) == AT_ONCE
    await clock.advance(10.5)
    probed = len(hanging)
    assert probed <= AT_ONCE + PATIENCE.failures, "it failed often enough to be left alone"
    await clock.advance(2 * PATIENCE.pause + 12)
    assert len(hanging) <= probed + 2


async def test_an_endpoint_that_is_gone_is_told_nothing_more(
    world: World, replica: Replica, clock: SimulatedClock, caplog: pytest.LogCaptureFixture
) -> None:
    id_ = await subscribe(replica)
    world.courier.answer = lambda _: Answered(status=410)
    with caplog.at_level(logging.ERROR):
        await replica.say("hello")
    assert caplog.messages == ["a webhook endpoint was disabled"]
    assert replica.announcing.wanted == frozenset()
    await replica.say("again")
    assert [row.status for row in rows(world)] == ["failed"]
    await replica.endpoints.change(id_, url=None, events=None, description=None, active=True)
    world.courier.answer = lambda _: TAKEN
    await replica.say("back")
    assert texts(world) == ["hello", "back"]


async def test_an_endpoint_that_took_nothing_for_days_is_disabled(
    world: World, replica: Replica, clock: SimulatedClock
) -> None:
    await subscribe(replica)
    world.courier.answer = lambda _: Answered(error="refused")
    for number in range(6):
        await replica.say("hello", phone=f"91987650000{number}")
        await passed(clock, DAY)
    (hook,) = world.tables.hooks.values()
    assert (hook.active, hook.disabled_reason) == (False, "nothing was taken for too long")


async def test_nothing_of_an_erased_customer_is_told(world: World, replica: Replica, clock: SimulatedClock) -> None:
    await subscribe(replica)
    world.courier.answer = lambda _: BUSY
    await replica.say("hello")
    user = world.tables.users[world.customer()]
    key, user.data_key = user.data_key, b""
    await clock.advance(ANNOUNCE_DELAYS[0] * 1.3 + LOOK_SECONDS)
    assert key
    assert len(world.courier.posts) == 1
    assert [(row.status, row.error) for row in rows(world)] == [("cancelled", "the customer was erased")]


async def test_what_no_key_opens_is_tried_again_and_not_lost(
    world: World, replica: Replica, clock: SimulatedClock
) -> None:
    await subscribe(replica)
    world.courier.answer = lambda _: BUSY
    await replica.say("hello")
    sealed, rows(world)[0].sealed = rows(world)[0].sealed, b"another key's"
    await clock.advance(ANNOUNCE_DELAYS[0] * 1.3 + LOOK_SECONDS)
    (row,) = rows(world)
    assert (row.status, row.attempts, row.error) == ("pending", 2, "ValueError in this service")
    row.sealed = sealed
    world.courier.answer = lambda _: TAKEN
    await clock.advance(ANNOUNCE_DELAYS[1] * 1.3 + LOOK_SECONDS)
    assert row.status == "delivered"
    assert len(replica.announcing) == 0


async def test_while_the_store_is_away_nothing_is_forgotten(
    world: World, replica: Replica, clock: SimulatedClock
) -> None:
    await subscribe(replica)
    replica.database.fail("webhooks.claim", times=3)
    replica.database.fail("webhooks.claim", times=1, error=RuntimeError("a defect"))
    replica.database.fail("webhooks.note", times=2)
    await replica.say("hello")
    assert texts(world) == []
    await clock.advance(20)
    assert texts(world) == ["hello"]
    assert rows(world)[0].status == "delivered"


async def test_a_replica_that_cannot_know_who_wants_to_be_told_does_not_start(
    world: World, replica: Replica, starting: Starting
) -> None:
    await subscribe(replica)
    second = Replica(world, "r2")
    second.database.fail("webhooks.endpoints", times=1)
    with pytest.raises(Unavailable):
        await second.begin()
    await second.end()


async def test_a_stop_lets_what_is_under_way_end_and_begins_nothing(
    world: World, replica: Replica, clock: SimulatedClock
) -> None:
    await subscribe(replica)
    hold = replica.database.hold("webhooks.note", when="before")
    await replica.say("hello")
    await replica.say("two")
    stopping = asyncio.ensure_future(replica.announcing.stop())
    await clock.advance(1)
    assert not stopping.done()
    hold.release()
    await clock.advance(1)
    await stopping
    assert [row.status for row in rows(world)] == ["delivered", "pending"]


async def test_what_waits_is_shown_to_the_watch(world: World, replica: Replica, clock: SimulatedClock) -> None:
    id_ = await subscribe(replica)
    world.courier.answer = lambda _: BUSY
    await replica.say("hello")
    await clock.advance(REFRESH_SECONDS + 1)
    assert metrics.webhook_backlog._value.get() == 1
    assert metrics.webhook_oldest_seconds._value.get() >= REFRESH_SECONDS
    await replica.endpoints.remove(id_)
    assert metrics.webhook_backlog._value.get() == metrics.webhook_oldest_seconds._value.get() == 0


@pytest.mark.parametrize("place", range(len(ANNOUNCE_DELAYS)))
def test_delays_grow_by_the_table_and_up_to_a_quarter(place: int) -> None:
    least = announce_delay(place + 1, retry_after=None, chance=0.0)
    assert least == ANNOUNCE_DELAYS[place]
    assert announce_delay(place + 1, retry_after=None, chance=1.0) == 1.25 * least


def test_an_endpoint_may_ask_for_more_time_but_not_for_ever() -> None:
    assert announce_delay(1, retry_after=60.0, chance=0.0) == 60.0
    assert announce_delay(3, retry_after=1.0, chance=0.0) == ANNOUNCE_DELAYS[2]
    assert announce_delay(1, retry_after=1e9, chance=0.0) == RETRY_AFTER_MOST
    assert announce_delay(len(ANNOUNCE_DELAYS) + 1, retry_after=60.0, chance=0.0) is None
    assert 23.5 * 3600 < sum(ANNOUNCE_DELAYS) < 24 * 3600
