"""The way in: makes durable what happened, and only then lets the actor know (P1, P2).

Whoever waits here waits for durability and for nothing else. Two queues share the work. Webhooks go into the journal
within a short deadline, and into the spool when that fails or when deliveries wait there already (P8); they are refused
when neither takes them or too many wait (P10). The service's own events (a model's answer, a fired timer) are patient
towards the journal and never spooled: nobody waits for them, and what they belong to is away with it.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from bot import metrics
from bot.core.events import Envelope, Event, MessageReceived, Sender
from bot.core.ids import CustomerId, JournalSeq
from bot.ports.failures import Unavailable
from bot.ports.keys import Vault
from bot.ports.quarantine import Quarantine, Quarantined
from bot.runtime.clock import Clock
from bot.runtime.delivery_reports import Reports
from bot.runtime.group import Group
from bot.runtime.journalling import Arrival, Journalling, kind_of
from bot.runtime.spooled import SpooledBody, SpooledMessage
from bot.runtime.spooling import Spooling
from bot.runtime.tasks import Tasks
from bot.runtime.waiter import Tally, Waiter
from bot.wire.msg91.deliveries import Ignored, Item, Received, Reported
from bot.wire.msg91.deliveries import Quarantined as Unusable
from bot.wire.msg91.identity import dedup_key

MESSAGE_KIND = str(MessageReceived.__struct_config__.tag)

QUARANTINE_CONTEXT = b"quarantine"

log = logging.getLogger(__name__)


class Overloaded(Exception):
    """More events wait to be made durable than the bound allows; nothing was taken."""


class _InSpool:
    """The place of an event that the spool has."""


IN_SPOOL: Final = _InSpool()

Place = JournalSeq | _InSpool | None
"""Where an event is now; None when the journal had it already."""


class Intake:
    def __init__(
        self,
        *,
        journalling: Journalling,
        spooling: Spooling,
        quarantine: Quarantine,
        reports: Reports,
        vault: Vault,
        clock: Clock,
        limit: int,
        most: int,
    ) -> None:
        """`limit`: events that may wait to be made durable. `most`: events in one statement."""
        self._journalling = journalling
        self._spooling = spooling
        self._quarantine = quarantine
        self._reports = reports
        self._vault = vault
        self._clock = clock
        self._limit = limit
        self._mixed = Tasks()
        self._webhooks: Group[Arrival, Place] = Group(
            "intake", perform=self._place, settle=self._settle, clock=clock, most=most, patient=False
        )
        self._own: Group[Arrival, JournalSeq | None] = Group(
            "outcomes",
            perform=journalling.append,
            settle=journalling.settle,
            clock=clock,
            most=most,
            patient=True,
        )

    def __len__(self) -> int:
        return len(self._webhooks) + len(self._own)

    @property
    def full(self) -> bool:
        return len(self._webhooks) + len(self._reports) >= self._limit or self._spooling.full

    def take(self, items: Sequence[Item], ended: Callable[[Tally | Exception], None]) -> None:
        """As `accept`, without waiting: `ended` hears what became of it. Messages alone need no task.

        Raises:
            Overloaded: too much waits; nothing was taken, and `ended` hears nothing.
        """
        if self.full:
            raise Overloaded
        messages = [item.event for item in items if isinstance(item, Received)]
        if messages and len(messages) == len(items):
            self._append(messages, Tally(), ended)
        else:
            self._mixed.spawn(self._tell_of(items, messages, ended), "webhook")

    async def accept(self, items: Sequence[Item]) -> Tally:
        """Make everything in `items` durable.

        Raises:
            Overloaded: too much waits; nothing was taken.
            Unavailable: no store took it (or one did, unheard of: the provider's repetition will be a duplicate).
        """
        if self.full:
            raise Overloaded
        return await self._accept(items, [item.event for item in items if isinstance(item, Received)])

    def post(
        self,
        customer: CustomerId,
        event: Event,
        *,
        key: bytes,
        done: Callable[[bool | Exception], None] = lambda _: None,
    ) -> None:
        """Journal an event of the service itself, however long that takes; `key` names it for good."""
        envelope = Envelope(event=event, at=self._clock.now(), seed=self._clock.seed())
        self._own.add(Arrival(envelope=envelope, kind=kind_of(event), dedup=key, done=done, customer=customer))

    async def tell(self, customer: CustomerId, event: Event, *, key: bytes) -> None:
        """As `post`, and return when the event is durable, or refused for good."""
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.post(customer, event, key=key, done=lambda _: None if durable.done() else durable.set_result(None))
        await durable

    async def resolve(self, sender: Sender) -> CustomerId:
        """The customer of an identity, made when it is new."""
        return await self._journalling.resolve(sender)

    async def resolve_all(self, senders: Sequence[Sender]) -> Sequence[CustomerId]:
        return await self._journalling.resolve_all(senders)

    def forget(self) -> None:
        """Ask the directory again from here on: two customers were merged."""
        self._journalling.forget()

    async def drained(self) -> None:
        await self._mixed.finished()
        await self._webhooks.drained()
        await self._own.drained()

    async def _tell_of(
        self, items: Sequence[Item], messages: Sequence[MessageReceived], ended: Callable[[Tally | Exception], None]
    ) -> None:
        try:
            outcome: Tally | Exception = await self._accept(items, messages)
        except Exception as problem:  # noqa: BLE001 - whoever is told says it
            outcome = problem
        ended(outcome)

    async def _accept(self, items: Sequence[Item], messages: Sequence[MessageReceived]) -> Tally:
        """Messages first: what comes with them is not kept when they are not."""
        tally = Tally()
        for item in items:
            if isinstance(item, Ignored):
                self._ignore(item, tally)
        if messages:
            await self._appended(messages, tally)
        reports = [item.report for item in items if isinstance(item, Reported)]
        if reports:
            repeated = await self._reports.accept(reports)
            tally.duplicates += repeated
            tally.accepted += len(reports) - repeated
        unusable = [item for item in items if isinstance(item, Unusable)]
        if unusable:
            await self._set_aside(unusable, tally)
        return tally

    async def _appended(self, messages: Sequence[MessageReceived], tally: Tally) -> None:
        durable: asyncio.Future[Tally | Exception] = asyncio.get_running_loop().create_future()
        self._append(messages, tally, lambda outcome: None if durable.done() else durable.set_result(outcome))
        outcome = await durable
        if isinstance(outcome, Exception):
            raise outcome

    def _append(
        self, messages: Sequence[MessageReceived], tally: Tally, ended: Callable[[Tally | Exception], None]
    ) -> None:
        waiter = Waiter(len(messages), tally, ended)
        for message in messages:
            self._webhooks.add(self._arrival(message, waiter))

    def _arrival(self, event: MessageReceived, waiter: Waiter) -> Arrival:
        now = self._clock.now()
        return Arrival(
            envelope=Envelope(event=event, at=now, seed=self._clock.seed()),
            kind=MESSAGE_KIND,
            dedup=dedup_key(event, now),
            done=waiter.done,
            sender=event.sender,
        )

    def _ignore(self, item: Ignored, tally: Tally) -> None:
        tally.ignored += 1
        metrics.ignored_total.labels(item.reason).inc()

    async def _place(self, arrivals: Sequence[Arrival]) -> Sequence[Place]:
        """Into the journal, or behind what waits in the spool, or there because the journal did not take it in time."""
        if not await self._spooling.in_front():
            try:
                async with self._spooling.deadline():
                    return await self._journalling.append(arrivals)
            except Unavailable as problem:
                log.warning("webhooks go to the spool", extra={"items": len(arrivals), "error": str(problem)})
        await self._spooling.push_in_order([self._spooled(arrival) for arrival in arrivals])
        return [IN_SPOOL] * len(arrivals)

    def _spooled(self, arrival: Arrival) -> SpooledMessage:
        return SpooledMessage(dedup=arrival.dedup, at=arrival.envelope.at, sealed=self._journalling.sealed(arrival))

    def _settle(self, arrival: Arrival, result: Place | Exception) -> None:
        if isinstance(result, _InSpool):
            arrival.done(True)
        else:
            self._journalling.settle(arrival, result)

    async def _set_aside(self, unusable: Sequence[Unusable], tally: Tally) -> None:
        now = self._clock.now()
        bodies = [(item.reason, self._vault.seal(item.body, QUARANTINE_CONTEXT)) for item in unusable]
        await self._spooling.either(
            lambda: self._quarantine.keep(
                [Quarantined(reason=reason, sealed=sealed, at=now) for reason, sealed in bodies]
            ),
            [SpooledBody(reason=reason, sealed=sealed, at=now) for reason, sealed in bodies],
        )
        tally.quarantined += len(unusable)
        metrics.quarantined_total.inc(len(unusable))
