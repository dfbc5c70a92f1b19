"""Bulk sends: once each, in handfuls, behind the replies, and honest about what was not taken."""

import asyncio
from collections.abc import Sequence

import pytest

from bot.core.events import Event
from bot.core.ids import CustomerId
from bot.core.messages import Template, Text
from bot.ports.failures import Unavailable
from bot.records import ActResult, Notice
from bot.runtime import bulk as bulk_module
from bot.runtime.bulk import HANDFUL, Bulk
from tests.runtime.books import echo_book
from tests.runtime.conftest import Starting
from tests.runtime.replica import PHONE, Replica, World
from tests.runtime.simulated_clock import SimulatedClock

WELCOME = Template(name="welcome", language="en")


@pytest.fixture
def world() -> World:
    return World(echo_book())


@pytest.fixture
async def replica(starting: Starting) -> Replica:
    return await starting()


def notices(count: int, content: Template | Text = WELCOME) -> list[Notice]:
    return [Notice(phone=f"9190000{number:05}", content=content) for number in range(count)]


async def test_everybody_gets_one_message_and_a_result(world: World, replica: Replica, clock: SimulatedClock) -> None:
    asked = notices(HANDFUL + 8)
    results = await replica.desk.send_many(asked, by="api", key="k")
    await clock.settled()
    assert [result and result.status for result in results] == ["done"] * len(asked)
    assert sorted(sent.recipient for sent in world.channel.sent) == [notice.phone for notice in asked]
    assert {message.row.kind for message in world.tables.outbound()} == {"bulk"}


async def test_a_repeat_sends_to_nobody_twice_and_has_the_same_results(
    world: World, replica: Replica, starting: Starting, clock: SimulatedClock
) -> None:
    second = await starting("r2")
    asked = notices(5)
    first = await replica.desk.send_many(asked[:3], by="api", key="k")
    whole = await second.desk.send_many(list(reversed(asked)), by="api", key="k")
    again = await replica.desk.send_many(asked, by="api", key="k")
    await clock.settled()
    assert again == list(reversed(whole))
    assert again[:3] == first
    assert len(world.channel.sent) == 5


async def test_one_that_is_refused_is_no_others_concern(world: World, replica: Replica, clock: SimulatedClock) -> None:
    await replica.say("say a")
    await replica.say("stop")
    asked = [*notices(1), Notice(phone=PHONE, content=WELCOME), *notices(1, Text(text="outside the window"))]
    results = await replica.desk.send_many(asked, by="api", key="k")
    told = [(result.status, result.reason) for result in results if result is not None]
    assert told[0] == ("done", "")
    assert told[1] == ("refused", "the customer opted out of messages")
    assert told[2][0] == "refused"


async def test_several_messages_to_one_number_go_in_the_order_asked_for(
    world: World, replica: Replica, clock: SimulatedClock
) -> None:
    await replica.say("say a")
    asked = [Notice(phone=PHONE, content=Text(text=str(number))) for number in range(10)]
    await replica.desk.send_many(asked, by="api", key="k")
    await clock.settled()
    assert world.channel.texts[-10:] == [str(number) for number in range(10)]


async def test_without_the_store_nothing_is_taken_and_the_caller_hears_it(replica: Replica) -> None:
    replica.database.fail("directory.resolve")
    with pytest.raises(Unavailable):
        await replica.desk.send_many(notices(3), by="api", key="k")
    assert await replica.desk.send_many([], by="api", key="k") == []


class Steps:
    """What a `Bulk` stands on, to be slow or away at will."""

    def __init__(self) -> None:
        self.begun: list[CustomerId] = []
        self.most_at_once = 0
        self.away_after = 1_000
        self.stuck: set[CustomerId] = set()
        self.go_on, self.all_begun = asyncio.Event(), asyncio.Event()
        self._under_way = 0

    async def resolve(self, phones: Sequence[str]) -> Sequence[CustomerId]:
        if len(self.begun) >= self.away_after:
            raise Unavailable("away")
        return [CustomerId(int(phone)) for phone in phones]

    async def do(self, customer: CustomerId, event: Event, key: bytes) -> ActResult:
        self.begun.append(customer)
        if len(self.begun) == 3 * HANDFUL:
            self.all_begun.set()
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        if customer in self.stuck:
            await self.go_on.wait()
        await asyncio.sleep(0)
        self._under_way -= 1
        return ActResult(status="done")


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def bulk(steps: Steps, clock: SimulatedClock) -> Bulk:
    return Bulk(resolve=steps.resolve, do=steps.do, clock=clock)


async def test_callers_take_turns_handful_by_handful(steps: Steps, bulk: Bulk) -> None:
    asked = notices(4 * HANDFUL)
    first, second = (bulk.send(asked[part::2], by="api", key="k") for part in (0, 1))
    await asyncio.gather(first, second)
    assert steps.most_at_once == HANDFUL
    turns = [{number % 2 for number in steps.begun[at : at + HANDFUL]} for at in range(0, len(steps.begun), HANDFUL)]
    assert turns == [{0}, {1}, {0}, {1}]


async def test_one_that_is_stuck_holds_up_the_others_for_a_moment_only(
    steps: Steps, bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_module, "HANDFUL_SECONDS", 0.01)
    steps.stuck = {CustomerId(int(notices(1)[0].phone))}
    sending = asyncio.create_task(bulk.send(notices(3 * HANDFUL), by="api", key="k"))
    await steps.all_begun.wait()
    steps.go_on.set()
    assert len(await sending) == 3 * HANDFUL


async def test_only_so_many_are_under_way_however_slow_they_are(
    steps: Steps, bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_module, "HANDFUL_SECONDS", 0.0)
    steps.stuck = {CustomerId(int(notice.phone)) for notice in notices(8 * HANDFUL)}
    sending = asyncio.create_task(bulk.send(notices(8 * HANDFUL), by="api", key="k"))
    await steps.all_begun.wait()
    steps.go_on.set()
    await sending
    assert steps.most_at_once <= bulk_module.UNDER_WAY_MOST


async def test_when_the_store_goes_away_in_the_middle_the_rest_is_untaken(steps: Steps, bulk: Bulk) -> None:
    steps.away_after = HANDFUL
    results = await bulk.send(notices(2 * HANDFUL), by="api", key="k")
    assert [result is None for result in results] == [False] * HANDFUL + [True] * HANDFUL


async def test_what_was_not_begun_in_time_is_untaken(steps: Steps, bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_module, "BEGIN_SECONDS", -1.0)
    assert await bulk.send(notices(3), by="api", key="k") == [None, None, None]
