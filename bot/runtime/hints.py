"""Hints: what one replica tells another, so that a letter accepted at the wrong one need not wait for the sweep.

Whoever was refused a seat tells its owner. Whoever applied a letter that another replica waits for answers it. Whoever
stops tells everybody. Nothing rests on any of it: a hint that is lost, late, doubled or out of order costs time, or one
look into the journal.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from bot import metrics
from bot.core.ids import CustomerId, JournalSeq, MessageId
from bot.ports.failures import Unavailable
from bot.ports.hints import Hint, Hints
from bot.runtime.clock import Clock
from bot.runtime.group import Group
from bot.runtime.registry import Registry
from bot.runtime.watching import Outcome

WAIT_SECONDS: Final = 5.0
"""Seconds one look for hints may wait for some to come; also how long another replica's watched letters are watched."""
AWAY_SECONDS: Final = 1.0
"""After a failure the next look for hints is so much later."""
MOST: Final = 1_000
"""Words that are sent at once."""

log = logging.getLogger(__name__)


class Wake(msgspec.Struct, frozen=True, kw_only=True, tag="wake"):
    """Letters of this customer wait in the journal, `first` being one of them if it is not 0, and the seat is yours.

    `reply_to` waits for what the letters under the keys `watched` come to.
    """

    customer: CustomerId
    first: JournalSeq
    watched: tuple[bytes, ...] = ()
    reply_to: str = ""


class Applied(msgspec.Struct, frozen=True, kw_only=True, tag="applied"):
    """What became of the letter that you watch under this key."""

    key: bytes
    refusal: str
    messages: tuple[MessageId, ...]


class Departed(msgspec.Struct, frozen=True, kw_only=True, tag="departed"):
    """This replica has left its seats and will do nothing more: what it left behind is anybody's at once."""

    replica: str


Word = Wake | Applied | Departed

_encode: Final = msgspec.msgpack.Encoder().encode
_words: Final = msgspec.msgpack.Decoder(tuple[Word, ...])


class Hinting:
    def __init__(self, *, hints: Hints, me: str, clock: Clock) -> None:
        self._hints = hints
        self._me = me
        self._clock = clock
        self._sending: Group[tuple[str, Word], None] = Group(
            "hints", perform=self._send, settle=_sent, clock=clock, most=MOST, patient=False
        )

    def connect(self, *, registry: Registry, departed: Callable[[], None]) -> None:
        """`registry` is woken; `departed` has somebody look at once for what a replica left behind."""
        self._registry = registry
        self._departed = departed

    def elsewhere(self, owner: str, customer: CustomerId, first: JournalSeq, watched: tuple[bytes, ...]) -> None:
        """`owner` has the seat of this customer, whose letters wait: tell it."""
        word = Wake(customer=customer, first=first, watched=watched, reply_to=self._me if watched else "")
        self._sending.add((owner, word))

    async def depart(self, others: Sequence[str]) -> None:
        """Tell the others that this replica is gone, and return when everything is sent."""
        for other in others:
            self._sending.add((other, Departed(replica=self._me)))
        await self._sending.drained()

    async def listen(self) -> None:
        """Take in hints until cancelled."""
        while True:
            try:
                heard = await self._hints.receive(WAIT_SECONDS)
            except Unavailable:
                metrics.store_errors_total.labels("hints").inc()
                await self._clock.sleep(AWAY_SECONDS)
                continue
            for words in heard:
                self._hear(words)

    def _hear(self, words: bytes) -> None:
        try:
            for word in _words.decode(words):
                self._do(word)
        except msgspec.DecodeError:  # another release may know words that this one does not
            metrics.hints_total.labels("unknown").inc()

    def _do(self, word: Word) -> None:
        match word:
            case Wake():
                metrics.hints_total.labels("wake").inc()
                self._wake(word)
            case Applied(key=key):
                metrics.hints_total.labels("applied").inc()
                self._registry.watching.settle(key, Outcome(refusal=word.refusal, messages=word.messages))
            case Departed(replica=replica):
                metrics.hints_total.labels("departed").inc()
                log.info("another replica has stopped", extra={"replica": replica})
                self._departed()

    def _wake(self, word: Wake) -> None:
        for key in word.watched:
            self._watch(word.customer, key, word.reply_to)
        self._registry.wake(word.customer, word.first)

    def _watch(self, customer: CustomerId, key: bytes, reply_to: str) -> None:
        """Answer when the letter is applied, unless it was a moment ago."""

        def told(outcome: Outcome) -> None:
            applied = Applied(key=key, refusal=outcome.refusal, messages=outcome.messages)
            self._sending.add((reply_to, applied))

        watching = self._registry.watching
        known = watching.recent(key)
        if known is not None:
            told(known)
            return
        watching.watch(customer, key, told)
        self._clock.later(WAIT_SECONDS, lambda: watching.unwatch(key, told))

    async def _send(self, words: Sequence[tuple[str, Word]]) -> Sequence[None]:
        """One hint for each replica, however many words there are for it."""
        gathered: dict[str, dict[Word, None]] = {}
        for to, word in words:
            gathered.setdefault(to, {})[word] = None
        await self._hints.send([Hint(to=to, words=_encode(tuple(said))) for to, said in gathered.items()])
        return [None] * len(words)


def _sent(_: tuple[str, Word], result: Exception | None) -> None:
    if result is not None:
        metrics.hints_total.labels("unsent").inc()
