"""What happens to an actor when something fails: it rests and tries again, and at last its conversation is parked.

A parked conversation waits for a person; everything else goes on.
"""

import logging
from collections.abc import Callable

from bot.core.ids import JournalSeq
from bot.ports.failures import Unacceptable, Unavailable
from bot.ports.parking import Parking
from bot.runtime.actor import Actor
from bot.runtime.clock import Clock
from bot.runtime.tasks import Tasks

REST_SECONDS = 1.0
"""How long an actor rests after a failure before it tries again."""
TRIES = 3
"""Failed tries of one event before its conversation is parked."""

log = logging.getLogger(__name__)


class Setbacks:
    def __init__(
        self,
        *,
        parking: Parking,
        clock: Clock,
        tasks: Tasks,
        go_on: Callable[[Actor], None],
        drop: Callable[[Actor], None],
    ) -> None:
        """`go_on` lets a rested actor try again, `drop` forgets one that is parked."""
        self._parking = parking
        self._clock = clock
        self._tasks = tasks
        self._go_on = go_on
        self._drop = drop

    def rest(self, actor: Actor) -> None:
        """The store failed, not the event: this does not count as a try."""
        actor.phase = "resting"
        self._clock.later(REST_SECONDS, lambda: self._go_on(actor))

    def failed(self, actor: Actor, seq: JournalSeq, error: str) -> None:
        """Try again a bounded number of times, then park: the customer's later letters wait in the journal."""
        actor.failures += 1
        actor.read_again = True
        if actor.failures < TRIES:
            self.rest(actor)
            return
        actor.phase = "resting"
        self._tasks.spawn(self._park(actor, seq, error), "park")

    async def _park(self, actor: Actor, seq: JournalSeq, error: str) -> None:
        log.error("a conversation is parked", extra={"customer": actor.customer, "seq": seq, "error": error})
        try:
            await self._parking.park(actor.customer, seq, error, actor.failures, self._clock.now())
        except (Unavailable, Unacceptable) as problem:
            log.warning("parking has to wait", extra={"customer": actor.customer, "error": str(problem)})
            self.rest(actor)
            return
        self._drop(actor)
