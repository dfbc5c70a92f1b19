"""Replicas that come and go over stores that fail by chance: what was accepted is applied once, in order, and answered.

Chance comes from the seed alone, so a failure comes again under its number.
"""

import random

import pytest

from bot.ports.failures import Unavailable
from bot.runtime.intake import Overloaded
from bot.wire.msg91.deliveries import Received
from tests.runtime.books import echo_book
from tests.runtime.memory.link import Link
from tests.runtime.memory.outside import BUSY, DOWN, LOST
from tests.runtime.replica import Replica, Settings, World

PHONES = tuple(f"91900000000{number}" for number in range(3))
STORE_CALLS = (
    *("journal.append", "journal.unread", "store.load", "store.commit", "outbox.note", "outbox.behind"),
    *("replicas.beat", "outbox.still_mine", "outbox.orphans", "directory.resolve", "journal.forgotten", "timers.due"),
)
SEAT_CALLS = ("seats.take", "seats.keep", "seats.leave")


class Fate:
    """A world in which chance decides what goes wrong next."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.world = World(echo_book())
        self.living: list[Replica] = []
        self.dead: list[Replica] = []
        self.accepted: dict[str, list[str]] = {phone: [] for phone in PHONES}
        self.names = 0

    async def be_born(self) -> None:
        self.names += 1
        settings = Settings(mailbox=3, batch=4, parcels=6, delivery_workers=2, idle=5.0, interval=0.5)
        self.living.append(await Replica(self.world, f"r{self.names}", settings).begin())

    async def die(self) -> None:
        replica = self.living.pop(self.chance.randrange(len(self.living)))
        await replica.die()
        self.dead.append(replica)

    async def hear(self, number: int) -> None:
        """A webhook, delivered again until a replica takes it, and sometimes once more."""
        phone = self.chance.choice(PHONES)
        item = Received(event=self.world.message(f"say {number}", phone))
        taken, repetitions = False, self.chance.choice((1, 1, 2))
        while repetitions:
            try:
                await self.chance.choice(self.living).intake.accept([item])
            except (Unavailable, Overloaded):
                await self.world.clock.advance(0.5)
                continue
            if not taken:
                self.accepted[phone].append(f"1 say {number}")
            taken, repetitions = True, repetitions - 1

    def disturb(self) -> None:
        replica = self.chance.choice(self.living)
        link, calls = self.chance.choice(((replica.database, STORE_CALLS), (replica.redis, SEAT_CALLS)))
        when = self.chance.choice(("before", "after"))
        link.fail(self.chance.choice(calls), when=when, times=self.chance.randint(1, 3))  # type: ignore[arg-type]
        if self.chance.random() < 0.2:
            self.world.channel.outcomes.append(self.chance.choice((BUSY, DOWN, LOST)))
        if self.chance.random() < 0.1:
            self.world.places.clear()

    async def live(self, messages: int) -> None:
        await self.be_born()
        await self.be_born()
        for number in range(messages):
            await self.hear(number)
            if self.chance.random() < 0.3:
                self.disturb()
            if self.chance.random() < 0.05:
                await self.die()
                await self.be_born()
            await self.world.clock.advance(self.chance.choice((0.0, 0.01, 0.3, 2.0)))
        for replica in self.living:
            _heal(replica.database)
            _heal(replica.redis)
        self.world.channel.outcomes.clear()
        await self.world.clock.advance(120)

    async def end(self) -> None:
        for replica in (*self.living, *self.dead):
            await replica.end()


def _heal(link: Link) -> None:
    link._faults.clear()
    link.down = False


def first_times(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(texts))


@pytest.mark.parametrize("seed", range(25))
async def test_whatever_fails_every_message_is_applied_once_in_order_and_answered(seed: int) -> None:
    fate = Fate(seed)
    try:
        await fate.live(40)
        world = fate.world
        assert [row for row in world.tables.journal.values() if row.consumed_at is None] == []
        assert world.tables.parked == {}
        for phone in PHONES:
            if not fate.accepted[phone]:
                continue
            customer = world.customer(phone)
            replies = world.tables.outbound(customer)
            contents = [world.channel_text(message.row.id) for message in replies]
            assert contents == fate.accepted[phone]
            assert {message.status for message in replies} <= {"sent"}
            sent = [sent.text for sent in world.channel.sent if sent.recipient == phone]
            assert first_times(sent) == fate.accepted[phone]
    finally:
        await fate.end()
