"""The book in force: replaced whole or not at all, and completed with versions somebody is still on."""

import asyncio
import logging

import pytest

from bot.core.flow import Ask, Say
from bot.ports.failures import Unavailable
from bot.runtime.flows import FETCH_AGAIN
from tests.runtime.books import flow
from tests.runtime.conftest import Starting
from tests.runtime.replica import Replica, World, book_of
from tests.runtime.simulated_clock import SimulatedClock

ASK = Ask(step_id="ask", text={"": "Which?"}, variable="x", validate=None, retry={}, attempts=3, otherwise=None)
OLD = flow("f", ASK, Say(step_id="old", text={"": "old {x}"}), pattern="begin", digest="old")
NEW = flow("f", ASK, Say(step_id="new", text={"": "new {x}"}), pattern="begin", digest="new")


@pytest.fixture
def world() -> World:
    return World(book_of(OLD))


async def threads(replica: Replica, clock: SimulatedClock) -> None:
    """Compiling happens in a thread, which simulated time does not know of."""
    running = [task for task in replica.tasks._running if task.get_name() == "fetch flow"]
    while not all(task.done() for task in running):
        await asyncio.wait(running, timeout=0.01)
        await clock.advance(0.0)
    await clock.settled()


async def test_before_flows_are_loaded_there_is_no_book(world: World) -> None:
    replica = Replica(world)
    with pytest.raises(RuntimeError, match="no flows are loaded"):
        replica.shelf.book()
    await replica.shelf.reload()
    assert replica.shelf.book().flows
    await replica.end()


async def test_a_broken_set_is_refused_and_the_old_one_stays(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    replica.problems = ("f.yaml:3: broken",)
    assert await replica.shelf.reload() == ("f.yaml:3: broken",)
    await replica.say("begin")
    assert world.channel.texts == ["Which?"]


async def test_warnings_are_told_and_do_no_harm(world: World, caplog: pytest.LogCaptureFixture) -> None:
    replica = Replica(world)
    replica.shelf._load = lambda: (world.book, ("f.yaml:9: a dead end",))
    with caplog.at_level(logging.WARNING):
        assert await replica.shelf.reload() == ()
    assert "a dead end" in caplog.text
    await replica.end()


async def test_a_version_that_cannot_be_stored_is_not_put_in_force(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    world.book = book_of(NEW)
    replica.database.fail("flow_versions.keep")
    with pytest.raises(Unavailable):
        await replica.shelf.reload()
    assert replica.shelf.book().flows["f"].digest == "old"


async def test_a_conversation_stays_on_the_version_it_began_with(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting()
    await replica.say("begin")
    world.book = book_of(NEW)
    assert await replica.shelf.reload() == ()
    await replica.say("this")
    assert world.channel.texts == ["Which?", "old this"]
    await replica.say("begin")
    await replica.say("that")
    assert world.channel.texts[2:] == ["Which?", "new that"]


async def test_a_version_that_this_replica_never_had_is_fetched(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await starting("r1")
    await first.say("begin")
    await clock.advance(1)
    await first.registry.leave()
    world.book = book_of(NEW)
    second = await starting("r2")
    second.shelf._compile = lambda _: OLD
    second.database.fail("flow_versions.source")
    await second.hear("this")
    await clock.advance(FETCH_AGAIN + 0.1)
    await threads(second, clock)
    assert world.channel.texts == ["Which?", "old this"]


@pytest.mark.parametrize("lost", [True, False], ids=["lost", "broken"])
async def test_a_version_that_is_gone_ends_the_flow_and_nothing_hangs(
    world: World, starting: Starting, clock: SimulatedClock, lost: bool, caplog: pytest.LogCaptureFixture
) -> None:
    first = await starting("r1")
    await first.say("begin")
    await clock.advance(1)
    await first.registry.leave()
    if lost:
        world.tables.flows.clear()
    world.book = book_of(NEW)
    second = await starting("r2")
    await second.hear("this")
    await clock.settled()
    await threads(second, clock)
    await second.say("begin")
    assert world.channel.texts == ["Which?", "Which?"]
    assert world.conversation().flow is not None
    assert "a flow version is gone" in caplog.text


async def test_a_compiler_that_fails_in_an_unknown_way_does_not_hold_the_conversation(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await starting("r1")
    await first.say("begin")
    await clock.advance(1)
    await first.registry.leave()
    world.book = book_of(NEW)
    second = await starting("r2")

    def fail(source: str) -> None:
        raise KeyError(source)

    second.shelf._compile = fail  # type: ignore[assignment]
    await second.hear("this")
    await clock.settled()
    await threads(second, clock)
    await second.say("begin")
    assert world.channel.texts == ["Which?", "Which?"]
