"""What an event came to that was applied long ago, elsewhere, or by a process that died before it could say so.

Nothing is kept for this. The ids of an event's messages follow from its envelope alone (`bot.core.ids.new_id`), so the
journal row and a look at which of them exist tell what happened. They do not tell why something was refused, nor
whether a deed that makes no message was done or refused: of those it is only known that they are settled.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from bot.core.events import AgentReplied, Envelope, NoticeRequested, decode_envelope
from bot.core.ids import MessageId, new_id
from bot.ports.failures import Unavailable
from bot.ports.keys import Vault
from bot.ports.past import Past
from bot.records import ActResult
from bot.runtime.clock import Clock
from bot.runtime.group import Group

IDS_LOOKED_AT: Final = 32
"""Ids one event may have used that are looked for. A text of the greatest length makes five messages."""
USED_BEFORE: Final = "this key was used before"
REFUSED_BEFORE: Final = "this was refused when the key was first used"

Question = tuple[bytes, "asyncio.Future[ActResult | None]"]


class Recollection:
    def __init__(self, *, past: Past, vault: Vault, clock: Clock, most: int) -> None:
        """`most`: events asked for in one statement."""
        self._past = past
        self._vault = vault
        self._questions: Group[Question, ActResult | None] = Group(
            "past", perform=self._results, settle=_answer, clock=clock, most=most, patient=False
        )

    async def result(self, key: bytes) -> ActResult | None:
        """What the event under this dedup key came to; None when it is not applied yet, or nothing tells.

        Raises `Unavailable`.
        """
        answer: asyncio.Future[ActResult | None] = asyncio.get_running_loop().create_future()
        self._questions.add((key, answer))
        return await answer

    async def _results(self, questions: Sequence[Question]) -> Sequence[ActResult | None]:
        keys = [key for key, _ in questions]
        envelopes = self._opened(await self._past.events(keys))
        ids = {key: _ids(envelope) for key, envelope in envelopes.items()}
        wanted = [message for some in ids.values() for message in some]
        made = await self._past.messages(wanted) if wanted else ()
        return [_result(envelopes[key], made, ids[key]) if key in envelopes else None for key in keys]

    def _opened(self, rows: Mapping[bytes, bytes]) -> Mapping[bytes, Envelope]:
        """Those that can be read: one of a newer release, or sealed under a key that is gone, tells nothing."""
        opened = {}
        for key, sealed in rows.items():
            try:
                opened[key] = decode_envelope(self._vault.open(sealed, key))
            except (ValueError, msgspec.DecodeError):
                continue
        return opened


def _ids(envelope: Envelope) -> frozenset[MessageId]:
    return frozenset(MessageId(new_id(envelope.at, envelope.seed, index)) for index in range(IDS_LOOKED_AT))


def _result(envelope: Envelope, made: Sequence[MessageId], own: frozenset[MessageId]) -> ActResult:
    messages = tuple(message for message in made if message in own)
    if messages:
        return ActResult(status="done", messages=messages)
    if isinstance(envelope.event, NoticeRequested | AgentReplied):
        return ActResult(status="refused", reason=REFUSED_BEFORE)
    return ActResult(status="pending", reason=USED_BEFORE)


def _answer(question: Question, result: ActResult | Exception | None) -> None:
    _, answer = question
    if answer.done():
        return
    if isinstance(result, Exception):
        answer.set_exception(result if isinstance(result, Unavailable) else Unavailable(type(result).__name__))
        return
    answer.set_result(result)
