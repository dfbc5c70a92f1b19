"""A pair of replicas, and what tests of both say to them."""

from typing import Any

from bot.core.events import AgentReplied, Envelope, encode_envelope
from bot.core.ids import JournalSeq
from bot.core.messages import Text
from bot.ports.journal import Entry
from bot.runtime.letters import event_key
from tests.runtime.conftest import Starting
from tests.runtime.memory.journal import MemoryJournal
from tests.runtime.memory.link import Link
from tests.runtime.replica import Replica, World


def echoes(*words: str) -> list[str]:
    return [f"1 say {word}" for word in words]


def reply(text: str) -> AgentReplied:
    return AgentReplied(agent="zoe", content=Text(text=text))


async def journalled_elsewhere(world: World, text: str) -> JournalSeq:
    """A letter that another replica made durable, and of which this one was not told."""
    event = world.message(text)
    key = event_key(event.provider_id)
    envelope = Envelope(event=event, at=world.clock.now(), seed=world.clock.seed())
    sealed = world.vault.seal(encode_envelope(envelope), key)
    entry = Entry(dedup=key, customer=world.customer(), kind="message_received", sealed=sealed, at=envelope.at)
    (seq,) = await MemoryJournal(world.tables, Link(), world.clock).append([entry])
    assert seq is not None
    return seq


async def pair(starting: Starting, **settings: Any) -> tuple[Replica, Replica]:
    return await starting("r1", **settings), await starting("r2", **settings)
