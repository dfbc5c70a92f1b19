"""What became of an event is told by its envelope and the messages that exist, or it is not told."""

import pytest

from bot.core.events import AgentReplied, ConversationResolved, Envelope, Event, NoticeRequested, encode_envelope
from bot.core.ids import CustomerId, JournalSeq, MessageId, new_id
from bot.core.messages import Text
from bot.ports.failures import Unacceptable, Unavailable
from bot.records import ActResult
from bot.runtime.recollection import REFUSED_BEFORE, USED_BEFORE, Recollection
from tests.runtime.memory.link import Link
from tests.runtime.memory.past import MemoryPast
from tests.runtime.memory.tables import Event as Row
from tests.runtime.memory.tables import Tables
from tests.runtime.memory.vault import MemoryVault
from tests.runtime.simulated_clock import SimulatedClock

KEY = b"k" * 16
AT, SEED = 1_700_000_000.0, 7
NOTICE = NoticeRequested(by="api", content=Text(text="hi"), phone="919876543210")
MADE = tuple(MessageId(new_id(AT, SEED, index)) for index in (2, 3))


class Made(MemoryPast):
    """The messages that exist are said by the test."""

    existing: tuple[MessageId, ...] = ()

    async def messages(self, ids: object) -> tuple[MessageId, ...]:
        assert isinstance(ids, list)
        return tuple(one for one in self.existing if one in ids)


@pytest.fixture
def tables() -> Tables:
    return Tables()


@pytest.fixture
def link() -> Link:
    return Link()


@pytest.fixture
def past(tables: Tables, link: Link) -> Made:
    return Made(tables, link)


@pytest.fixture
def recollection(past: Made) -> Recollection:
    return Recollection(past=past, vault=MemoryVault(), clock=SimulatedClock(), most=10)


def journalled(tables: Tables, event: Event, *, consumed: bool = True, sealed: bytes = b"") -> None:
    whole = encode_envelope(Envelope(event=event, at=AT, seed=SEED))
    tables.journal[JournalSeq(1)] = Row(
        seq=JournalSeq(1),
        dedup=KEY,
        customer=CustomerId(1),
        sealed=sealed or MemoryVault().seal(whole, KEY),
        at=AT,
        kind="",
        consumed_at=AT if consumed else None,
    )


async def test_the_messages_of_an_event_are_found_again(tables: Tables, past: Made, recollection: Recollection) -> None:
    journalled(tables, NOTICE)
    past.existing = MADE
    assert await recollection.result(KEY) == ActResult(status="done", messages=MADE)


@pytest.mark.parametrize("event", [NOTICE, AgentReplied(agent="zoe", content=Text(text="hi"))])
async def test_what_should_have_made_a_message_and_made_none_was_refused(
    tables: Tables, recollection: Recollection, event: Event
) -> None:
    journalled(tables, event)
    assert await recollection.result(KEY) == ActResult(status="refused", reason=REFUSED_BEFORE)


async def test_of_a_deed_without_a_message_it_is_only_known_that_it_is_settled(
    tables: Tables, recollection: Recollection
) -> None:
    journalled(tables, ConversationResolved(by="zoe"))
    assert await recollection.result(KEY) == ActResult(status="pending", reason=USED_BEFORE)


async def test_nothing_is_told_of_what_is_not_applied_or_not_there(tables: Tables, recollection: Recollection) -> None:
    assert await recollection.result(KEY) is None
    journalled(tables, NOTICE, consumed=False)
    assert await recollection.result(KEY) is None


async def test_nothing_is_told_of_what_cannot_be_read(tables: Tables, recollection: Recollection) -> None:
    journalled(tables, NOTICE, sealed=b"under a key that is gone")
    assert await recollection.result(KEY) is None


@pytest.mark.parametrize("problem", [Unavailable("away"), Unacceptable("no")])
async def test_a_store_that_does_not_answer_is_unavailable(
    link: Link, recollection: Recollection, problem: Exception
) -> None:
    link.fail("past.events", error=problem)
    with pytest.raises(Unavailable):
        await recollection.result(KEY)
