"""Conversations that nothing happens to: of them a replica keeps what it would otherwise have to ask the store for.

That is the sealed state and the wrapped key, a fraction of what an actor holds: its key alone takes 2.5 KB when it is
open. An actor falls asleep when its lease has run out. From then on its next letter costs the way to Redis in any case,
and what Redis answers decides whether what is kept here is still the newest. So nothing is done for those who sleep:
nobody renews their seats, and only who left a moment ago has one to give back.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from bot.core.ids import CustomerId
from bot.ports.store import Loaded
from bot.runtime.actor import Actor
from bot.runtime.clock import Clock
from bot.runtime.seating import Seating

AT_ONCE: Final = 2_000
"""Conversations that are put to sleep, or let go, before the event loop gets its turn."""

Gone = tuple[CustomerId, float]
"""Who left memory, and when the lease ends or ended."""


class Asleep(msgspec.Struct, frozen=True, gc=False):
    """One of them. Times are monotonic seconds."""

    loaded: Loaded
    lease_until: float
    touched_at: float


class Dormant:
    """Moves actors out of `actors`, which lie there in order of last use, and makes them again when they are wanted."""

    def __init__(self, actors: dict[CustomerId, Actor], *, seating: Seating, clock: Clock) -> None:
        self._actors = actors
        self._seating = seating
        self._clock = clock
        self._asleep: dict[CustomerId, Asleep] = {}

    def __len__(self) -> int:
        return len(self._asleep)

    def wake(self, customer: CustomerId) -> Actor | None:
        """An actor that knows the state without having opened it, and has no seat; None for who does not sleep."""
        asleep = self._asleep.pop(customer, None)
        if asleep is None:
            return None
        actor = Actor(customer)
        actor.loaded = asleep.loaded
        actor.version = asleep.loaded.version
        return actor

    async def retire(self, idle_seconds: float) -> None:
        """Put to sleep who has no lease any more, and let go of whom nothing happened to for a while, by portions."""
        while await self._portion(idle_seconds):
            await self._clock.sleep(0)

    def forget(self, customers: Sequence[CustomerId]) -> None:
        """Know nothing of these customers any more."""
        for customer in customers:
            self._asleep.pop(customer, None)

    def let_all_go(self) -> list[CustomerId]:
        """Empty the place; those whose seats are still to be given back."""
        asleep, self._asleep = self._asleep, {}
        return [customer for customer, one in asleep.items() if self._seating.may_hold(one.lease_until)]

    async def _portion(self, idle_seconds: float) -> bool:
        """Whether there may be more."""
        now = self._clock.monotonic()
        tired = self._fall_asleep(now)
        gone = [*self._let_sleepers_go(now - idle_seconds), *self._let_awake_go(now - idle_seconds)]
        seated = [customer for customer, lease_until in gone if self._seating.may_hold(lease_until)]
        await self._seating.leave(seated)
        for customer in seated:
            if customer in self._actors:  # came back meanwhile: who knows which came first at Redis
                self._actors[customer].lease_until = 0.0
        return tired == AT_ONCE or len(gone) >= AT_ONCE

    def _fall_asleep(self, now: float) -> int:
        tired: list[Actor] = []
        for actor in self._actors.values():
            if not self._seating.outlasted(actor.touched_at) or len(tired) == AT_ONCE:
                break
            if actor.lease_until < now and actor.calm and actor.loaded is not None:
                tired.append(actor)
                self._asleep[actor.customer] = Asleep(actor.loaded, actor.lease_until, actor.touched_at)
        for actor in tired:
            del self._actors[actor.customer]
        return len(tired)

    def _let_sleepers_go(self, before: float) -> list[Gone]:
        gone: list[Gone] = []
        for customer, one in self._asleep.items():
            if one.touched_at > before or len(gone) == AT_ONCE:
                break
            gone.append((customer, one.lease_until))
        for customer, _ in gone:
            del self._asleep[customer]
        return gone

    def _let_awake_go(self, before: float) -> list[Gone]:
        """Those who were idle for long enough before they could fall asleep."""
        gone: list[Gone] = []
        for actor in self._actors.values():
            if actor.touched_at > before or len(gone) == AT_ONCE:
                break
            if not actor.busy:  # one whose lease is in doubt (0) has had it when it was used last
                gone.append((actor.customer, max(actor.lease_until, actor.touched_at)))
        for customer, _ in gone:
            del self._actors[customer]
        return gone
