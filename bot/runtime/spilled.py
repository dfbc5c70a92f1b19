"""Customers with messages that wait in the store unclaimed, or with somebody else: later ones line up behind them.

A customer stays spilled until a sweep finds nothing of theirs any more, so that no later message overtakes.
"""

from collections.abc import Sequence

from bot.core.ids import CustomerId
from bot.ports.outbox import Outbox
from bot.runtime.clock import Clock


class Spilled:
    def __init__(self, *, outbox: Outbox, clock: Clock, me: str) -> None:
        self._outbox = outbox
        self._clock = clock
        self._me = me
        self.since: dict[CustomerId, float] = {}
        """Who is spilled, and the moment (monotonic) of their last commit that left messages behind."""

    def add(self, customer: CustomerId) -> None:
        """A commit left messages of this customer unclaimed: all later ones have to line up behind them."""
        self.since[customer] = self._clock.monotonic()

    async def line_up(self, customers: Sequence[CustomerId]) -> None:
        """These customers were taken over: what others have still to send to them goes first. Raises `Unavailable`."""
        for customer in await self._outbox.behind(self._me, customers):
            self.add(customer)

    async def swept(self, began: float) -> None:
        """A sweep that began then (monotonic) claimed all there was; who waits for nobody else is free again. Raises
        `Unavailable`.
        """
        asked = tuple(self.since)
        waiting = await self._outbox.behind(self._me, asked) if asked else ()
        self.since = {customer: at for customer, at in self.since.items() if at >= began or customer in waiting}
