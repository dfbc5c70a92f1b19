"""Questions to the models: bounded, capped, accounted for, and always with an outcome."""

import asyncio

import pytest

from bot.core.effects import AskModel, Turn
from bot.core.events import ModelAnswered, ModelFailed, ModelUse
from bot.core.ids import ConversationId, CustomerId, EffectId
from bot.ports.failures import Unacceptable
from bot.runtime.thinking import DAY, Caps, Outcome, Thinking, decode_question, encode_question
from tests.runtime.memory.link import Link
from tests.runtime.memory.outside import MemoryModel
from tests.runtime.memory.rest import MemoryEffects
from tests.runtime.memory.tables import Tables
from tests.runtime.simulated_clock import SimulatedClock

ANNA = CustomerId(1)


def question(name: str, **changes: object) -> AskModel:
    turns = (Turn(role="user", text=name),)
    fields: dict[str, object] = {"system": "", "turns": turns, "caused_at": 0.0, **changes}
    return AskModel(id=EffectId(name), conversation=ConversationId("c"), **fields)  # type: ignore[arg-type]


class Room:
    def __init__(self, model: MemoryModel | None, **caps: float) -> None:
        self.clock, self.link, self.tables, self.model = SimulatedClock(), Link(), Tables(), model
        self.outcomes: list[tuple[CustomerId, Outcome]] = []
        limits = {"conversation_usd": 1.0, "day_usd": 10.0, "waiting": 3, "workers": 2, **caps}
        self.thinking = Thinking(
            model=model,
            effects=MemoryEffects(self.tables, self.link, self.clock),
            clock=self.clock,
            caps=Caps(**limits),  # type: ignore[arg-type]
            customer_hash=str,
            answered=lambda customer, outcome: self.outcomes.append((customer, outcome)),
        )
        self.thinking.start()

    def ask(self, name: str, **changes: object) -> None:
        self.thinking.ask(ANNA, question(name, **changes))

    @property
    def told(self) -> list[str]:
        return [
            outcome.text if isinstance(outcome, ModelAnswered) else f"{outcome.ask_id}: {outcome.failure}"
            for _, outcome in self.outcomes
        ]


async def test_a_question_is_answered_and_accounted_for() -> None:
    room = Room(MemoryModel())
    room.ask("q")
    await room.clock.settled()
    assert room.told == ["Answer to: q"]
    (call,) = room.tables.model_calls.values()
    assert (call.outcome, call.cost_usd, call.customer) == ("answered", 0.01, ANNA)
    await room.thinking.stop()


async def test_without_a_model_every_question_fails_at_once() -> None:
    room = Room(None)
    room.ask("q")
    await room.clock.settled()
    assert room.told == ["q: unavailable"]
    await room.thinking.stop()


async def test_a_failure_that_cost_nothing_is_told_and_not_accounted() -> None:
    model = MemoryModel()
    model.answers.append(ModelFailed(ask_id=EffectId(""), failure="timeout"))
    model.answers.append(ModelFailed(ask_id=EffectId(""), failure="refused", use=ModelUse(attempts=2, cost_usd=0.5)))
    room = Room(model)
    room.ask("q")
    room.ask("r")
    await room.clock.settled()
    assert room.told == ["q: timeout", "r: refused"]
    assert [call.outcome for call in room.tables.model_calls.values()] == ["refused"]
    await room.thinking.stop()


async def test_so_many_questions_are_under_way_and_so_many_wait_and_the_rest_fails() -> None:
    model = MemoryModel()
    model.gate = asyncio.Event()
    room = Room(model)
    for number in range(2):
        room.ask(f"q{number}")
    await room.clock.settled()
    for number in range(2, 7):
        room.ask(f"q{number}")
    assert room.told == ["q5: unavailable", "q6: unavailable"]
    assert (len(room.thinking), room.thinking.waiting, len(model.asked)) == (5, 3, 2)
    model.gate.set()
    await room.clock.settled()
    assert sorted(room.told[2:]) == [f"Answer to: q{number}" for number in range(5)]
    assert len(room.thinking) == 0
    await room.thinking.stop()


async def test_a_conversation_that_cost_enough_is_asked_no_further() -> None:
    room = Room(MemoryModel())
    room.ask("q", spent_usd=1.0)
    await room.clock.settled()
    assert room.told == ["q: budget"]
    await room.thinking.stop()


async def test_a_day_that_cost_enough_ends_at_midnight() -> None:
    model = MemoryModel()
    model.cost = 6.0
    room = Room(model)
    await room.thinking.refresh()
    for name in ("a", "b", "c"):
        room.ask(name)
        await room.clock.settled()
    assert room.told == ["Answer to: a", "Answer to: b", "c: budget"]
    await room.clock.advance(DAY)
    room.ask("d")
    await room.clock.settled()
    assert room.told[3:] == ["Answer to: d"]
    await room.thinking.stop()


async def test_what_other_replicas_spent_today_counts() -> None:
    room, other = Room(MemoryModel()), Room(MemoryModel())
    other.tables.model_calls = room.tables.model_calls
    assert other.model is not None
    other.model.cost = 20.0
    other.ask("a")
    await other.clock.settled()
    await room.thinking.refresh()
    room.ask("b")
    await room.clock.settled()
    assert room.told == ["b: budget"]
    await room.thinking.stop()
    await other.thinking.stop()


async def test_an_answer_does_not_wait_long_for_its_account() -> None:
    room = Room(MemoryModel())
    room.link.down = True
    room.ask("q")
    await room.clock.advance(5)
    assert room.told == ["Answer to: q"]
    await room.thinking.stop()


@pytest.mark.parametrize("problem", [Unacceptable("a NUL"), RuntimeError("a bug")])
async def test_an_answer_that_cannot_be_accounted_for_is_given_all_the_same(problem: Exception) -> None:
    room = Room(MemoryModel())
    room.link.fail("effects.account", error=problem)
    room.ask("q")
    await room.clock.settled()
    assert room.told == ["Answer to: q"]
    await room.thinking.stop()


async def test_a_model_that_raises_is_a_failure_of_its_question() -> None:
    model = MemoryModel()
    model.answers.append(RuntimeError("a bug"))
    room = Room(model)
    room.ask("q")
    room.ask("r")
    await room.clock.settled()
    assert room.told == ["q: unavailable", "Answer to: r"]
    await room.thinking.stop()


async def test_stopping_ends_what_is_under_way_without_an_outcome() -> None:
    model = MemoryModel()
    model.gate = asyncio.Event()
    room = Room(model)
    room.ask("q")
    await room.clock.settled()
    await room.thinking.stop()
    assert room.told == []


def test_a_question_is_read_back_as_it_was_written() -> None:
    asked = question("q", spent_usd=0.25, system="Be kind.")
    assert decode_question(encode_question(asked)) == asked
