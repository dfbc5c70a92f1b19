"""Customers with messages that wait in the store unclaimed, or with somebody else: later ones line up behind them.

A customer stays spilled until a sweep finds nothing of theirs any more, so that no later message overtakes.
"""

from collections.abc import Sequence

from bot.core.ids import CustomerId, MessageId
from bot.ports.outbox import Outbox
from bot.runtime.clock import Clock


class Spilled:
    def __init__(self, *, outbox: Outbox, clock: Clock, me: str) -> None:
        self._outbox = outbox
        self._clock = clock
        self._me = me
        self.given_up: dict[MessageId, CustomerId] = {}
        """Messages that are ours in the store and are not to go out from here, because what comes before them may be
        elsewhere: the next sweep lets go of them, and whoever claims them then has them in order."""
        self.claiming: int | None = None
        """The first of the sweep's calls without an answer: what was claimed since is ours, and not known here yet."""
        self.since: dict[CustomerId, float] = {}
        """Who is spilled, and the moment (monotonic) of their last commit that left messages behind."""

    def add(self, customer: CustomerId) -> None:
        """A commit left messages of this customer unclaimed: all later ones have to line up behind them."""
        self.since[customer] = self._clock.monotonic()

    def give_up(self, customer: CustomerId, message: MessageId) -> None:
        """A message of ours may come before or behind what somebody else has: it is to be anybody's."""
        self.given_up[message] = customer
        self.add(customer)

    async def let_go(self) -> None:
        """Make what was given up anybody's. Raises `Unavailable`."""
        if self.given_up:
            asked = tuple(self.given_up)
            await self._outbox.let_go(self._me, asked)
            for message in asked:
                self.add(self.given_up.pop(message))

    async def line_up(self, customers: Sequence[CustomerId]) -> None:
        """These customers were taken over: what others have still to send to them goes first. Raises `Unavailable`."""
        for customer in await self._behind(customers):
            self.add(customer)

    async def swept(self, began: float) -> None:
        """A sweep that began then (monotonic) claimed all there was; who waits for nobody else is free again. Raises
        `Unavailable`.
        """
        asked = tuple(self.since)
        waiting = await self._behind(asked) if asked else ()
        self.since = {customer: at for customer, at in self.since.items() if at >= began or customer in waiting}

    async def _behind(self, customers: Sequence[CustomerId]) -> Sequence[CustomerId]:
        """Who has to line up. Asked again when a call that claims began meanwhile."""
        while True:
            claiming = self.claiming
            found = await self._outbox.behind(self._me, customers, claiming=claiming)
            if self.claiming in {None, claiming}:
                return found
