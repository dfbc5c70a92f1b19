"""Sends whose answer was lost: before one is repeated, a delivery report has a moment to prove that it arrived (P5)."""

from collections.abc import Callable

from bot.core.ids import MessageId
from bot.runtime.clock import Clock
from bot.runtime.parcels import Lane, Parcel
from bot.wire.msg91.outcomes import Deferred

UNCERTAIN_WAIT = 5.0
"""Seconds to wait for a delivery report after a send whose answer was lost, before it is sent again."""


class Proofs:
    def __init__(
        self,
        *,
        clock: Clock,
        proved: Callable[[Lane, MessageId], None],
        unproved: Callable[[Lane, Parcel, Deferred], None],
    ) -> None:
        """`proved` ends the message, `unproved` has it sent again."""
        self._clock = clock
        self._proved = proved
        self._unproved = unproved
        self._awaited: set[MessageId] = set()
        self.tried: dict[MessageId, Lane] = {}
        """Heads that went out at least once: a report may prove them at any moment from then on."""

    def reported(self, message: MessageId) -> None:
        """A delivery report says that the provider has this message: it needs no repetition."""
        lane = self.tried.get(message)
        if lane is None or not lane.heads(message):
            return
        lane.parcels[0].proven = True
        if message in self._awaited:
            self._awaited.remove(message)
            self._proved(lane, message)

    def wait(self, lane: Lane, parcel: Parcel, outcome: Deferred) -> None:
        """The answer was lost; a delivery report may still say, or have said, that the message went out."""
        parcel.uncertain = True
        if parcel.proven:
            self._proved(lane, parcel.id)
            return
        self._awaited.add(parcel.id)

        def over() -> None:
            if parcel.id in self._awaited:
                self._awaited.remove(parcel.id)
                self._unproved(lane, parcel, outcome)

        self._clock.later(UNCERTAIN_WAIT, over)
