"""The way in: seals what happened, journals it in groups, and only then lets the actor know (P1, P2).

Whoever waits here waits for durability and for nothing else. Two queues share the work: webhooks, which are refused
when
the store is away or too many wait (P10), and the service's own events (a model's answer, a fired timer), which are
patient, because nobody would send them again.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from bot import metrics
from bot.core.events import CustomerMerged, Envelope, Event, MessageReceived, Sender, encode_envelope
from bot.core.ids import CustomerId, JournalSeq
from bot.ports.directory import Directory, Merge
from bot.ports.failures import Unavailable
from bot.ports.journal import Entry, Journal
from bot.ports.keys import Vault
from bot.ports.quarantine import Quarantine, Quarantined
from bot.runtime.clock import Clock
from bot.runtime.delivery_reports import Reports
from bot.runtime.group import Group
from bot.runtime.letters import Letter, event_key
from bot.wire.msg91.deliveries import Ignored, Item, Received, Reported
from bot.wire.msg91.deliveries import Quarantined as Unusable
from bot.wire.msg91.identity import dedup_key

IDENTITIES_REMEMBERED = 200_000
"""Identities whose customer is kept in memory; past it the memory starts anew."""

MESSAGE_KIND = str(MessageReceived.__struct_config__.tag)

QUARANTINE_CONTEXT = b"quarantine"

Tell = Callable[[CustomerId, Letter], None]


class Overloaded(Exception):
    """More events wait to be made durable than the bound allows; nothing was taken."""


class Tally(msgspec.Struct):
    """What became of the events of one webhook."""

    accepted: int = 0
    duplicates: int = 0
    ignored: int = 0
    quarantined: int = 0


class _Arrival(msgspec.Struct):
    """An event on its way into the journal. `customer` is filled in when the sender is known."""

    event: Event
    kind: str
    dedup: bytes
    at: float
    seed: int
    done: Callable[[bool | Exception], None]
    sender: Sender | None = None
    customer: CustomerId | None = None
    envelope: Envelope | None = None
    entry: Entry | None = None
    """Sealed once: the journal knows a repeated entry by its sealed bytes."""


class _Waiter:
    """One webhook that waits for all of its events."""

    def __init__(self, count: int) -> None:
        self.tally = Tally()
        self.left = count
        self.failure: Exception | None = None
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(self, result: bool | Exception) -> None:
        if isinstance(result, Exception):
            self.failure = result
        elif result:
            self.tally.accepted += 1
        else:
            self.tally.duplicates += 1
        self.left -= 1
        if self.left == 0 and not self.future.done():
            self.future.set_result(None)


class Intake:
    def __init__(
        self,
        *,
        journal: Journal,
        directory: Directory,
        quarantine: Quarantine,
        reports: Reports,
        vault: Vault,
        tell: Tell,
        clock: Clock,
        limit: int,
        most: int,
    ) -> None:
        """`limit`: events that may wait to be made durable. `most`: events in one statement."""
        self._journal = journal
        self._directory = directory
        self._quarantine = quarantine
        self._reports = reports
        self._vault = vault
        self._tell = tell
        self._clock = clock
        self._limit = limit
        self._known: dict[tuple[str, str], CustomerId] = {}
        self._webhooks: Group[_Arrival, JournalSeq | None] = Group(
            "intake", perform=self._append, settle=self._settle, clock=clock, most=most, patient=False
        )
        self._own: Group[_Arrival, JournalSeq | None] = Group(
            "outcomes", perform=self._append, settle=self._settle, clock=clock, most=most, patient=True
        )

    def __len__(self) -> int:
        return len(self._webhooks) + len(self._own)

    @property
    def full(self) -> bool:
        return len(self._webhooks) + len(self._reports) >= self._limit

    async def accept(self, items: Sequence[Item]) -> Tally:
        """Make everything in `items` durable.

        Raises:
            Overloaded: too much waits; nothing was taken.
            Unavailable: the store did not take it (or did, unheard of: the provider's repetition will be a duplicate).
        """
        if self.full:
            raise Overloaded
        waiter = _Waiter(sum(isinstance(item, Received) for item in items))
        reports = []
        unusable = []
        for item in items:
            if isinstance(item, Received):
                self._webhooks.add(self._arrival(item.event, waiter))
            elif isinstance(item, Reported):
                reports.append(item.report)
            elif isinstance(item, Unusable):
                unusable.append(item)
            else:
                self._ignore(item, waiter.tally)
        if waiter.left:
            await waiter.future
        if waiter.failure is not None:
            raise waiter.failure
        if reports:
            repeated = await self._reports.accept(reports)
            waiter.tally.duplicates += repeated
            waiter.tally.accepted += len(reports) - repeated
        if unusable:
            await self._set_aside(unusable, waiter.tally)
        return waiter.tally

    def post(
        self,
        customer: CustomerId,
        event: Event,
        *,
        key: bytes,
        done: Callable[[bool | Exception], None] = lambda _: None,
    ) -> None:
        """Journal an event of the service itself, however long that takes; `key` names it for good."""
        self._own.add(
            _Arrival(
                event=event,
                kind=str(event.__struct_config__.tag),
                dedup=key,
                at=self._clock.now(),
                seed=self._clock.seed(),
                done=done,
                customer=customer,
            )
        )

    async def tell(self, customer: CustomerId, event: Event, *, key: bytes) -> None:
        """As `post`, and return when the event is durable, or refused for good."""
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.post(customer, event, key=key, done=lambda _: None if durable.done() else durable.set_result(None))
        await durable

    async def resolve(self, sender: Sender) -> CustomerId:
        """The customer of an identity, made when it is new."""
        (customer,) = await self._directory.resolve([sender], self._announce)
        return customer

    def forget(self) -> None:
        """Ask the directory again from here on: two customers were merged."""
        self._known.clear()

    async def drained(self) -> None:
        await self._webhooks.drained()
        await self._own.drained()

    def _arrival(self, event: MessageReceived, waiter: _Waiter) -> _Arrival:
        now = self._clock.now()
        return _Arrival(
            event=event,
            kind=MESSAGE_KIND,
            dedup=dedup_key(event, now),
            at=now,
            seed=self._clock.seed(),
            done=waiter.done,
            sender=event.sender,
        )

    def _ignore(self, item: Ignored, tally: Tally) -> None:
        tally.ignored += 1
        metrics.ignored_total.labels(item.reason).inc()

    async def _set_aside(self, unusable: Sequence[Unusable], tally: Tally) -> None:
        now = self._clock.now()
        await self._quarantine.keep(
            [
                Quarantined(reason=item.reason, sealed=self._vault.seal(item.body, QUARANTINE_CONTEXT), at=now)
                for item in unusable
            ]
        )
        tally.quarantined += len(unusable)
        metrics.quarantined_total.inc(len(unusable))

    async def _append(self, arrivals: Sequence[_Arrival]) -> Sequence[JournalSeq | None]:
        try:
            await self._identify(arrivals)
            entries = [arrival.entry or self._entry(arrival) for arrival in arrivals]
            return await self._journal.append(entries)
        except Unavailable:
            metrics.store_errors_total.labels("journal").inc()
            raise

    async def _identify(self, arrivals: Sequence[_Arrival]) -> None:
        unknown = []
        for arrival in arrivals:
            if arrival.customer is not None or arrival.sender is None:
                continue
            arrival.customer = self._known.get((arrival.sender.phone, arrival.sender.user_id))
            if arrival.customer is None:
                unknown.append(arrival)
        if not unknown:
            return
        senders = [arrival.sender for arrival in unknown if arrival.sender is not None]
        customers = await self._directory.resolve(senders, self._announce)
        if len(self._known) + len(customers) > IDENTITIES_REMEMBERED:
            self._known.clear()
        for arrival, sender, customer in zip(unknown, senders, customers, strict=True):
            arrival.customer = self._known[sender.phone, sender.user_id] = customer

    def _announce(self, merge: Merge) -> Entry:
        """The entry that tells the kept customer's actor of a merge."""
        self.forget()
        event = CustomerMerged(
            absorbed=merge.absorbed, held_by_person=merge.held_by_person, department=merge.department
        )
        key = event_key("merge", str(merge.absorbed))
        now = self._clock.now()
        envelope = Envelope(event=event, at=now, seed=self._clock.seed())
        sealed = self._vault.seal(encode_envelope(envelope), key)
        return Entry(dedup=key, customer=merge.kept, kind=str(event.__struct_config__.tag), sealed=sealed, at=now)

    def _entry(self, arrival: _Arrival) -> Entry:
        if arrival.customer is None:
            raise ValueError("an arrival without a customer")
        envelope = Envelope(event=arrival.event, at=arrival.at, seed=arrival.seed)
        arrival.envelope = envelope
        arrival.entry = Entry(
            dedup=arrival.dedup,
            customer=arrival.customer,
            kind=arrival.kind,
            sealed=self._vault.seal(encode_envelope(envelope), arrival.dedup),
            at=arrival.at,
        )
        return arrival.entry

    def _settle(self, arrival: _Arrival, result: JournalSeq | Exception | None) -> None:
        if isinstance(result, Exception):
            arrival.done(result)
            return
        if result is None:
            if arrival.sender is not None:
                metrics.duplicates_total.inc()
            arrival.done(False)
            return
        metrics.accepted_total.inc()
        if arrival.customer is not None and arrival.envelope is not None:
            self._tell(arrival.customer, Letter(seq=result, dedup=arrival.dedup, envelope=arrival.envelope))
        arrival.done(True)
