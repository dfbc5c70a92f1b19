"""What happens to an actor when something fails: it rests and tries again, and at last its conversation is parked.

A parked conversation waits for a person; everything else goes on. While a new release is rolled out, what only that
release knows is no failure: its replicas are given the time to take the conversation over.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from bot.core.ids import CustomerId, JournalSeq
from bot.ports.failures import Unacceptable, Unavailable
from bot.ports.parking import Parking
from bot.runtime.actor import Actor
from bot.runtime.clock import Clock
from bot.runtime.lease import held_seconds
from bot.runtime.tasks import Tasks

REST_SECONDS = 1.0
"""How long an actor rests after a failure before it tries again; less where a seat would not hold for as long."""
TRIES = 3
"""Failed tries of one event before its conversation is parked."""
REMEMBERED_SECONDS = 60.0
"""How long a failed try counts."""
REMEMBERED_MOST = 10_000
"""Customers with a failed try that are kept in memory; past it the memory starts anew."""
NEWER_SECONDS = 600.0
"""How long a conversation is left to replicas of a newer release; longer than a deploy takes. Then it is parked."""

log = logging.getLogger(__name__)


class Failing(msgspec.Struct, frozen=True, kw_only=True):
    """An event that failed `count` times, the last time `at` (monotonic seconds)."""

    seq: JournalSeq
    count: int
    at: float


class Setbacks:
    def __init__(
        self,
        *,
        parking: Parking,
        clock: Clock,
        tasks: Tasks,
        go_on: Callable[[Actor], None],
        drop: Callable[[Actor], None],
        leave: Callable[[Sequence[CustomerId]], Awaitable[None]],
        lease_seconds: float,
    ) -> None:
        """`go_on` lets a rested actor try again, `drop` forgets one that is parked, `leave` gives seats back."""
        self._parking = parking
        self._clock = clock
        self._tasks = tasks
        self._go_on = go_on
        self._drop = drop
        self._leave = leave
        self._rest = min(REST_SECONDS, held_seconds(lease_seconds) / 2)
        self._failed: dict[CustomerId, Failing] = {}

    def rest(self, actor: Actor) -> None:
        """The store failed, not the event: this does not count as a try."""
        actor.phase = "resting"
        self._clock.later(self._rest, lambda: self._go_on(actor))

    def failed(self, actor: Actor, seq: JournalSeq, error: str) -> None:
        """Try again a bounded number of times, then park: the customer's later letters wait in the journal.

        What is tried again is what the journal has first: this letter may have come before one that was not told here,
        and a customer who is parked already has none.
        """
        actor.failures = self._count(actor.customer, seq)
        actor.reread()
        if actor.failures < TRIES:
            self.rest(actor)
            return
        actor.phase = "resting"
        self._tasks.spawn(self._park(actor, seq, error), "park")

    def _count(self, customer: CustomerId, seq: JournalSeq) -> int:
        """How often this event failed here by now, also when the seat went to another replica and came back."""
        known, now = self._failed.pop(customer, None), self._clock.monotonic()
        count = 1
        if known is not None and known.seq == seq and now - known.at < REMEMBERED_SECONDS:
            count += known.count
        if len(self._failed) >= REMEMBERED_MOST:
            self._failed.clear()
        self._failed[customer] = Failing(seq=seq, count=count, at=now)
        return count

    def left_to_newer(self, actor: Actor, seq: JournalSeq, error: str) -> None:
        """Let a replica of a newer release have the seat; try again as long as none took it. This is no failed try."""
        now = self._clock.monotonic()
        if actor.puzzled_at is None:
            log.warning("left to a newer release", extra={"customer": actor.customer, "seq": seq, "error": error})
            actor.puzzled_at = now
        if now - actor.puzzled_at >= NEWER_SECONDS:
            self.failed(actor, seq, error)
            return
        actor.phase = "resting"
        self._tasks.spawn(self._stand_up(actor), "stand up")

    async def _stand_up(self, actor: Actor) -> None:
        await self._leave([actor.customer])
        actor.forget()
        self.rest(actor)

    async def _park(self, actor: Actor, seq: JournalSeq, error: str) -> None:
        log.error("a conversation is parked", extra={"customer": actor.customer, "seq": seq, "error": error})
        try:
            await self._parking.park(actor.customer, seq, error, actor.failures, self._clock.now())
        except (Unavailable, Unacceptable) as problem:
            log.warning("parking has to wait", extra={"customer": actor.customer, "error": str(problem)})
            self.rest(actor)
            return
        self._failed.pop(actor.customer, None)
        self._drop(actor)
