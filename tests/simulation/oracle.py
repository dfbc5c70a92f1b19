"""What should have come of the inputs: the journal stepped once more by the pure rules, beside what was committed.

The rules are a function of the events and nothing else. So the events of a customer, in the order in which commits
consumed them, must give exactly the messages, effects and state that the store has, whatever went wrong meanwhile.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

import msgspec

from bot.core.book import Book
from bot.core.conversation import Step, step
from bot.core.effects import AskModel, RecordMessage, SendMessage, StartTimer, WithholdMessage
from bot.core.events import Envelope, decode_envelope
from bot.core.ids import CustomerId, JournalSeq
from bot.core.state import Conversation, decode_conversation
from bot.runtime.writer import STATE_CONTEXT
from tests.runtime.memory.tables import Tables
from tests.runtime.memory.vault import MemoryVault
from tests.simulation.history import Commit


class Expected(msgspec.Struct, kw_only=True):
    """What the events of one customer come to."""

    state: Conversation
    steps: list[Step]


def envelope_of(tables: Tables, vault: MemoryVault, seq: JournalSeq) -> Envelope:
    row = tables.journal[seq]
    return decode_envelope(vault.open(row.sealed, row.dedup))


def replayed(tables: Tables, vault: MemoryVault, commits: list[Commit], book: Book) -> Expected:
    """The steps of one customer's events, in the order in which `commits` consumed them."""
    state, steps = Conversation(), []
    for commit in commits:
        for seq in commit.consumed:
            steps.append(step(state, envelope_of(tables, vault, seq), book))
            state = steps[-1].conversation
    return Expected(state=state, steps=steps)


def stored_state(tables: Tables, vault: MemoryVault, customer: CustomerId) -> Conversation:
    user = tables.users[customer]
    if user.state is None:
        return Conversation()
    return decode_conversation(vault.customer(user.data_key).open(user.state, STATE_CONTEXT))


def differences(tables: Tables, customer: CustomerId, expected: Expected) -> Iterator[str]:
    """Where the rows of a customer are not what the steps say: messages and questions missing or too many."""
    effects = [effect for one in expected.steps for effect in one.effects]
    messages = {effect.id for effect in effects if isinstance(effect, SendMessage | RecordMessage | WithholdMessage)}
    stored = {id_ for id_, message in tables.messages.items() if message.customer == customer}
    yield from _compared("messages", messages, stored)
    questions = {effect.id for effect in effects if isinstance(effect, AskModel)}
    asked = {id_ for id_, effect in tables.effects.items() if effect.customer == customer}
    yield from _compared("questions", questions, asked)
    timers = {effect.id for effect in effects if isinstance(effect, StartTimer)}
    kept = {id_ for id_, timer in tables.timers.items() if timer.customer == customer}
    if kept - timers:
        yield f"timers nobody started: {sorted(kept - timers)}"


def _compared(what: str, expected: AbstractSet[str], found: AbstractSet[str]) -> Iterator[str]:
    if expected - found:
        yield f"{what} missing: {sorted(expected - found)}"
    if found - expected:
        yield f"{what} too many: {sorted(found - expected)}"
