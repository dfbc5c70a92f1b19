"""Fulfils `bot.ports.seats.Seats` in memory: leases and snapshots that every replica sees and that may vanish."""

from collections.abc import Sequence

import msgspec

from bot.core.ids import CustomerId
from bot.ports.seats import Keep, Seat
from bot.ports.store import Loaded
from bot.runtime.clock import Clock
from tests.runtime.memory.link import Link


class Place(msgspec.Struct):
    owner: str = ""
    until: float = 0.0
    snapshot: Loaded | None = None


Places = dict[CustomerId, Place]
"""What all replicas share."""


class MemorySeats:
    def __init__(self, places: Places, link: Link, clock: Clock, *, me: str, lease: float) -> None:
        self._places = places
        self._link = link
        self._clock = clock
        self._me = me
        self._lease = lease

    async def take(self, customers: Sequence[CustomerId]) -> Sequence[Seat]:
        return await self._link.call("seats.take", lambda: [self._take(customer) for customer in customers])

    async def keep(self, keeps: Sequence[Keep]) -> None:
        def work() -> None:
            for keep in keeps:
                self._keep(keep)

        await self._link.call("seats.keep", work)

    async def leave(self, customers: Sequence[CustomerId]) -> None:
        def work() -> None:
            for customer in customers:
                place = self._places.get(customer)
                if place is not None and place.owner == self._me:
                    place.owner = ""

        await self._link.call("seats.leave", work)

    async def forget(self, customers: Sequence[CustomerId]) -> None:
        def work() -> None:
            for customer in customers:
                self._places.pop(customer, None)

        await self._link.call("seats.forget", work)

    def _taken(self, place: Place) -> bool:
        return place.owner not in {"", self._me} and place.until > self._clock.now()

    def _sit(self, place: Place) -> None:
        place.owner, place.until = self._me, self._clock.now() + self._lease

    def _take(self, customer: CustomerId) -> Seat:
        place = self._places.setdefault(customer, Place())
        if self._taken(place):
            return Seat(granted=False, owner=place.owner)
        self._sit(place)
        return Seat(granted=True, owner=self._me, snapshot=place.snapshot)

    def _keep(self, keep: Keep) -> None:
        place = self._places.setdefault(keep.customer, Place())
        further = place.snapshot is not None and place.snapshot.version > keep.loaded.version
        if self._taken(place) and further:
            return
        self._sit(place)
        place.snapshot = keep.loaded
