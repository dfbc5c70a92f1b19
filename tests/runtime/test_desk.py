"""What people do: once per key, awaited until it was applied, and pending when that takes long."""

import asyncio

import pytest

from bot.core.events import AgentReplied, ConversationResolved, PreferencesChanged, ReturnedToBot
from bot.core.ids import ConversationId
from bot.core.messages import Template, Text
from bot.ports.failures import Unacceptable
from bot.runtime import desk as desk_module
from bot.runtime.desk import WAIT_SECONDS
from tests.runtime.books import echo_book
from tests.runtime.conftest import Starting
from tests.runtime.replica import PHONE, Replica, World
from tests.runtime.simulated_clock import SimulatedClock


@pytest.fixture
def world() -> World:
    return World(echo_book())


@pytest.fixture
async def replica(world: World, starting: Starting) -> Replica:
    replica = await starting()
    await replica.say("say a")
    return replica


def reply(text: str) -> AgentReplied:
    return AgentReplied(agent="zoe", content=Text(text=text))


async def test_a_deed_is_done_when_it_was_applied(world: World, replica: Replica, clock: SimulatedClock) -> None:
    result = await replica.desk.act(world.conversation().id, reply("hello"), key="k")
    assert result.status == "done"
    assert len(result.messages) == 1
    await clock.settled()
    assert world.channel.texts[-1] == "hello"
    assert world.conversation().agent == "zoe"


async def test_the_same_key_has_one_effect_and_the_same_result(
    world: World, replica: Replica, clock: SimulatedClock
) -> None:
    conversation = world.conversation().id
    first = await replica.desk.act(conversation, reply("hello"), key="k")
    again = await replica.desk.act(conversation, reply("hello"), key="k")
    await clock.settled()
    assert first == again
    assert world.channel.texts.count("hello") == 1


async def test_two_callers_with_one_key_at_the_same_time_hear_the_same(
    world: World, replica: Replica, clock: SimulatedClock
) -> None:
    conversation = world.conversation().id
    first, second = await asyncio.gather(
        replica.desk.act(conversation, reply("hello"), key="k"),
        replica.desk.act(conversation, reply("hello"), key="k"),
    )
    await clock.settled()
    assert first == second
    assert first.status == "done"
    assert world.channel.texts.count("hello") == 1


async def test_a_key_counts_for_its_subject(world: World, replica: Replica, clock: SimulatedClock) -> None:
    for text in ("one", "two"):
        await replica.desk.send(PHONE, Text(text=text), by="zoe", key="k")
    await replica.desk.act(world.conversation().id, reply("three"), key="k")
    await clock.settled()
    assert [text for text in world.channel.texts if text in {"one", "two", "three"}] == ["one", "three"]


async def test_what_the_rules_refuse_is_refused_with_a_reason(
    world: World, replica: Replica, clock: SimulatedClock
) -> None:
    result = await replica.desk.act(world.conversation().id, ReturnedToBot(by="zoe"), key="k")
    assert (result.status, result.reason) == ("refused", "return is not possible while the conversation is bot")


async def test_a_conversation_that_is_over_is_not_acted_on(
    world: World, replica: Replica, clock: SimulatedClock
) -> None:
    old = world.conversation().id
    await replica.desk.act(old, ConversationResolved(by="zoe"), key="k")
    await replica.say("say b")
    result = await replica.desk.act(old, reply("late"), key="l")
    assert (result.status, result.reason) == ("refused", "this is not the customer's present conversation")


async def test_nobody_is_found_under_an_unknown_name(world: World, replica: Replica) -> None:
    nowhere = ConversationId("00000000-0000-7000-8000-000000000000")
    assert (await replica.desk.act(nowhere, reply("hello"), key="k")).status == "not_found"
    changed = PreferencesChanged(by="zoe", name="Asha")
    assert (await replica.desk.change("910000000000", changed, key="k")).status == "not_found"


async def test_preferences_are_changed(world: World, replica: Replica, clock: SimulatedClock) -> None:
    result = await replica.desk.change(PHONE, PreferencesChanged(by="zoe", name="Asha"), key="k")
    assert result.status == "done"
    assert world.conversation().customer.name == "Asha"


async def test_a_customer_who_never_wrote_can_be_sent_a_template(
    world: World, replica: Replica, clock: SimulatedClock
) -> None:
    template = Template(name="welcome", language="en")
    sent = await replica.desk.send("919000000009", template, by="api", key="k")
    refused = await replica.desk.send("919000000008", Text(text="hi"), by="api", key="k")
    await clock.settled()
    assert (sent.status, refused.status) == ("done", "refused")
    assert world.channel.sent[-1].recipient == "919000000009"


async def test_what_takes_long_is_pending_and_done_later(
    world: World, replica: Replica, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "WAIT_SECONDS", 0.0)
    conversation = world.conversation().id
    result = await replica.desk.act(conversation, reply("hello"), key="k")
    assert result.status == "pending"
    await clock.settled()
    assert world.channel.texts[-1] == "hello"
    again = await replica.desk.act(conversation, reply("hello"), key="k")
    assert again.status in {"pending", "done"}
    await clock.settled()
    assert world.channel.texts.count("hello") == 1


async def test_a_key_that_was_used_at_another_replica_has_the_result_it_had_there(
    world: World, replica: Replica, starting: Starting, clock: SimulatedClock
) -> None:
    second = await starting("r2")
    conversation = world.conversation().id
    first = await replica.desk.act(conversation, reply("hello"), key="k")
    assert await second.desk.act(conversation, reply("hello"), key="k") == first
    assert first.status == "done"
    await clock.settled()
    assert world.channel.texts.count("hello") == 1


async def test_what_was_refused_at_another_replica_is_refused_here(
    world: World, replica: Replica, starting: Starting
) -> None:
    second = await starting("r2")
    await replica.desk.send("919000000008", Text(text="hi"), by="api", key="k")
    result = await second.desk.send("919000000008", Text(text="hi"), by="api", key="k")
    assert (result.status, result.reason) == ("refused", "this was refused when the key was first used")


async def test_a_deed_without_a_message_is_pending_where_nobody_remembers_it(
    world: World, replica: Replica, starting: Starting
) -> None:
    second = await starting("r2")
    conversation = world.conversation().id
    await replica.desk.act(conversation, ConversationResolved(by="zoe"), key="k")
    result = await second.desk.act(conversation, ConversationResolved(by="zoe"), key="k")
    assert (result.status, result.reason) == ("pending", "this key was used before")


async def test_an_event_that_a_dead_replica_only_journalled_is_applied_for_who_asks_again(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    first = await starting("r1")
    first.database.fail("store.commit", times=1_000)
    template = Template(name="welcome", language="en")
    asking = asyncio.create_task(first.desk.send("919000000009", template, by="api", key="k"))
    await clock.settled()
    await first.die()
    asking.cancel()
    second = await starting("r2")
    again = asyncio.create_task(second.desk.send("919000000009", template, by="api", key="k"))
    await clock.advance(30)
    assert (await again).status == "done"
    await clock.settled()
    assert len(world.channel.sent) == 1


async def test_while_the_store_is_away_nothing_is_recalled(
    world: World, replica: Replica, starting: Starting, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = await starting("r2")
    conversation = world.conversation().id
    await replica.desk.act(conversation, reply("hello"), key="k")
    await replica.die()  # or else it tells what it remembers
    monkeypatch.setattr(desk_module, "WAIT_SECONDS", 0.05)
    second.database.fail("past.events", times=2)
    assert (await second.desk.act(conversation, reply("hello"), key="k")).status == "pending"
    assert (await second.desk.act(conversation, reply("hello"), key="k")).status == "done"


async def test_a_deed_that_the_store_refuses_is_refused_at_once(
    world: World, replica: Replica, clock: SimulatedClock
) -> None:
    replica.database.fail("journal.append", error=Unacceptable("no"))
    result = await asyncio.wait_for(replica.desk.act(world.conversation().id, reply("hello"), key="k"), 2.0)
    assert result.status == "refused"


async def test_results_are_remembered_up_to_a_bound(
    world: World, replica: Replica, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "REMEMBERED", 1)
    conversation = world.conversation().id
    for key in ("a", "b"):
        await replica.desk.act(conversation, reply(key), key=key)
    assert len(replica.desk._results) == 1
    assert WAIT_SECONDS == 5.0


async def test_flows_are_listed_and_reloaded(world: World, replica: Replica) -> None:
    assert {flow.flow_id for flow in replica.desk.flows()} == {"once", "twice", "thrice", "circle", "person", "ask"}
    replica.problems = ("support.yaml:3: broken",)
    assert await replica.desk.reload_flows() == ("support.yaml:3: broken",)
    assert len(replica.desk.flows()) == 6
