"""How an actor comes to its seat: lease and snapshot from Redis in one round trip, the stored state when there is none.

Leases are speed, not safety. While Redis is away everybody sits where they are and the version guard keeps order (P7).
"""

from collections.abc import Awaitable, Callable, Sequence

from bot import metrics
from bot.core.ids import CustomerId
from bot.ports.failures import Unavailable
from bot.ports.seats import Keep, Seat, Seats
from bot.ports.store import Loaded, Store
from bot.runtime.actor import Actor
from bot.runtime.clock import Clock
from bot.runtime.group import Group
from bot.runtime.lease import held_seconds

LEASE_MARGIN = 0.2
"""Share of the time a seat holds before its end at which it is no longer relied on."""
KEEP_SHARE = 0.1
"""Share of the time a seat holds over which snapshots are gathered, less than the margin; of one conversation the last
is kept. A crash meanwhile costs whoever takes the seat one step in vain: the store's version is newer, and is read."""
LEAVE_AT_ONCE = 1_000
"""Seats given back in one round trip; many at once would keep the event loop."""
AWAY_SECONDS = 1.0
"""After a failure Redis is left alone for so long."""

Seated = Callable[[Actor, Seat | Loaded | Exception | None], None]
"""Hears `Seat` (taken with the snapshot, taken while the state is known already, or refused), `Loaded` (the stored
state), None (the store knows no such customer) or what went wrong."""

TakenOver = Callable[[Sequence[CustomerId]], Awaitable[None]]
"""Hears, before their states are used, of customers whose states somebody else may have written. Raises
`Unavailable`."""


class Seating:
    def __init__(
        self,
        *,
        seats: Seats,
        store: Store,
        clock: Clock,
        seated: Seated,
        taken_over: TakenOver,
        lease_seconds: float,
        most: int,
    ) -> None:
        self._seats = seats
        self._taken_over = taken_over
        self._store = store
        self._clock = clock
        self._held = held_seconds(lease_seconds)
        self._lease = self._held * (1 - LEASE_MARGIN)
        self._linger = KEEP_SHARE * held_seconds(lease_seconds)
        self._away_until = 0.0
        self._closed = False
        self._taking: Group[Actor, Seat | Loaded | None] = Group(
            "seats", perform=self._take, settle=seated, clock=clock, most=most, patient=True
        )
        self._keeping: Group[Keep, None] = Group(
            "snapshots",
            perform=self._keep,
            settle=lambda *_: None,
            clock=clock,
            most=most,
            patient=False,
        )
        self._snapshots: dict[CustomerId, Keep] = {}

    def __len__(self) -> int:
        return len(self._taking)

    @property
    def away(self) -> bool:
        return self._clock.monotonic() < self._away_until

    def needed(self, actor: Actor) -> bool:
        """Whether the actor has to take its seat before it does anything."""
        return actor.conversation is None or (actor.lease_until < self._clock.monotonic() and not self.away)

    def may_hold(self, lease_until: float) -> bool:
        """Whether Redis may still say that a seat is ours; its clock began later than ours, by a snapshot's way."""
        return lease_until + self._held > self._clock.monotonic()

    def outlasted(self, moment: float) -> bool:
        """Whether a lease from then would be over."""
        return moment + self._lease < self._clock.monotonic()

    def take(self, actor: Actor) -> None:
        self._taking.add(actor)

    def renewed(self, actor: Actor) -> None:
        """The seat was just taken or kept."""
        actor.lease_until = self._clock.monotonic() + self._lease

    def keep(self, customer: CustomerId, loaded: Loaded) -> None:
        """Leave a snapshot of what was committed, with the lease anew; best effort."""
        if self.away or self._closed:
            return
        if not self._snapshots:
            self._clock.later(self._linger, self._keep_gathered)
        self._snapshots[customer] = Keep(customer=customer, loaded=loaded)

    async def forget(self, customers: Sequence[CustomerId]) -> None:
        """Take seats away with their snapshots, after what is on its way there. Raises `Unavailable`."""
        for customer in customers:
            self._snapshots.pop(customer, None)
        await self._keeping.drained()
        await self._seats.forget(customers)

    async def leave(self, customers: Sequence[CustomerId]) -> None:
        """Give seats back; best effort."""
        for first in range(0, len(customers), LEAVE_AT_ONCE):
            await self._leave(customers[first : first + LEAVE_AT_ONCE])

    async def close(self, customers: Sequence[CustomerId]) -> None:
        """Give these seats back, the last snapshots in them, and from now on any that is still granted."""
        self._closed = True
        self._keep_gathered()
        await self._keeping.drained()
        self._snapshots.clear()
        await self.leave(customers)

    async def drained(self) -> None:
        await self._taking.drained()
        self._keep_gathered()
        await self._keeping.drained()

    def _keep_gathered(self) -> None:
        """Send off what was gathered, unless the last of it is still on its way: then it goes on being gathered."""
        if len(self._keeping) and self._snapshots:
            self._clock.later(self._linger, self._keep_gathered)
            return
        for keep in self._snapshots.values():
            self._keeping.add(keep)
        self._snapshots.clear()

    async def _take(self, actors: Sequence[Actor]) -> Sequence[Seat | Loaded | None]:
        answers = await self._states(actors)
        taken_over = [actor.customer for actor, answer in zip(actors, answers, strict=True) if _is_news(actor, answer)]
        if taken_over:
            await self._taken_over(taken_over)
        return answers

    async def _states(self, actors: Sequence[Actor]) -> Sequence[Seat | Loaded | None]:
        answers: list[Seat | Loaded | None] = list(await self._leases(actors))
        missing = [
            index
            for index, (actor, seat) in enumerate(zip(actors, answers, strict=True))
            if isinstance(seat, Seat) and seat.granted and actor.loaded is None and not _is_of_use(seat, actor)
        ]
        if missing:
            found = await self._store.load([actors[index].customer for index in missing])
            for index in missing:
                answers[index] = found.get(actors[index].customer)
        return answers

    async def _leases(self, actors: Sequence[Actor]) -> Sequence[Seat]:
        if self.away:
            return [Seat(granted=True) for _ in actors]
        customers = [actor.customer for actor in actors]
        try:
            seats = await self._seats.take(customers)
        except Unavailable:
            self._lost()
            return [Seat(granted=True) for _ in actors]
        if self._closed:  # it was on its way when the seats were left
            await self._leave(customers)
        return seats

    async def _leave(self, customers: Sequence[CustomerId]) -> None:
        if self.away:
            return
        try:
            await self._seats.leave(customers)
        except Unavailable:
            self._lost()

    async def _keep(self, keeps: Sequence[Keep]) -> Sequence[None]:
        if not self.away:
            try:
                await self._seats.keep(keeps)
            except Unavailable:
                self._lost()
        return [None] * len(keeps)

    def _lost(self) -> None:
        metrics.store_errors_total.labels("redis").inc()
        self._away_until = self._clock.monotonic() + AWAY_SECONDS


def _is_news(actor: Actor, answer: Seat | Loaded | None) -> bool:
    """Whether somebody else may have made messages that the actor does not know of: nothing is sent before the first
    commit, and every commit raises the version.
    """
    loaded = answer.snapshot if isinstance(answer, Seat) else answer
    return loaded is not None and loaded.version > (actor.version if actor.loaded is not None else 0)


def _is_of_use(seat: Seat, actor: Actor) -> bool:
    """Redis may know less than the store: what the store turned away would be turned away again."""
    return seat.snapshot is not None and seat.snapshot.version > actor.doubted
