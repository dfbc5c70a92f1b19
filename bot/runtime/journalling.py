"""From arrivals to rows of the journal: whose it is, sealed once, appended, and then told to the actor (P1, P2).

Webhooks, the service's own events and the spool all come through here, so an event is the same row whichever way it
took.
"""

from collections.abc import Callable, Sequence

import msgspec

from bot import metrics
from bot.core.events import CustomerMerged, Envelope, Event, Sender, encode_envelope
from bot.core.ids import CustomerId, JournalSeq
from bot.ports.directory import Directory, Merge
from bot.ports.failures import Unavailable
from bot.ports.journal import Entry, Journal
from bot.ports.keys import Vault
from bot.runtime.clock import Clock
from bot.runtime.letters import Letter, event_key

IDENTITIES_REMEMBERED = 200_000
"""Identities whose customer is kept in memory; past it the memory starts anew."""

Tell = Callable[[CustomerId, Letter], None]


class Arrival(msgspec.Struct, kw_only=True):
    """An event on its way into the journal. `customer` is filled in when the sender is known."""

    envelope: Envelope
    kind: str
    dedup: bytes
    done: Callable[[bool | Exception], None]
    """Hears True (accepted), False (seen before) or what went wrong."""
    sender: Sender | None = None
    customer: CustomerId | None = None
    sealed: bytes = b""
    """Sealed once: the journal knows a repeated entry by its sealed bytes."""


class Journalling:
    def __init__(self, *, journal: Journal, directory: Directory, vault: Vault, tell: Tell, clock: Clock) -> None:
        self._journal = journal
        self._directory = directory
        self._vault = vault
        self._tell = tell
        self._clock = clock
        self._known: dict[str | tuple[str, str], CustomerId] = {}

    async def append(self, arrivals: Sequence[Arrival]) -> Sequence[JournalSeq | None]:
        """Durable when it returns; None for an event that was there already. Raises as the journal does."""
        try:
            await self._identify(arrivals)
            return await self._journal.append([self._entry(arrival) for arrival in arrivals])
        except Unavailable:
            metrics.store_errors_total.labels("journal").inc()
            raise

    def settle(self, arrival: Arrival, result: JournalSeq | Exception | None) -> None:
        """Tell the actor of what was appended, and `done` of how it ended."""
        if isinstance(result, Exception):
            arrival.done(result)
            return
        if result is None:
            if arrival.sender is not None:
                metrics.duplicates_total.inc()
            arrival.done(False)
            return
        metrics.accepted_total.inc()
        if arrival.customer is not None:
            self._tell(arrival.customer, Letter(seq=result, dedup=arrival.dedup, envelope=arrival.envelope))
        arrival.done(True)

    def sealed(self, arrival: Arrival) -> bytes:
        """The envelope as the journal keeps it."""
        if not arrival.sealed:
            arrival.sealed = self._vault.seal(encode_envelope(arrival.envelope), arrival.dedup)
        return arrival.sealed

    async def resolve(self, sender: Sender) -> CustomerId:
        """The customer of an identity, made when it is new."""
        (customer,) = await self.resolve_all([sender])
        return customer

    async def resolve_all(self, senders: Sequence[Sender]) -> Sequence[CustomerId]:
        return await self._directory.resolve(senders, self._announce)

    def forget(self) -> None:
        """Ask the directory again from here on: two customers were merged."""
        self._known.clear()

    async def _identify(self, arrivals: Sequence[Arrival]) -> None:
        unknown = []
        for arrival in arrivals:
            if arrival.customer is not None or arrival.sender is None:
                continue
            arrival.customer = self._known.get(_name(arrival.sender))
            if arrival.customer is None:
                unknown.append(arrival)
        if not unknown:
            return
        senders = [arrival.sender for arrival in unknown if arrival.sender is not None]
        customers = await self._directory.resolve(senders, self._announce)
        if len(self._known) + len(customers) > IDENTITIES_REMEMBERED:
            self._known.clear()
        for arrival, sender, customer in zip(unknown, senders, customers, strict=True):
            arrival.customer = self._known[_name(sender)] = customer

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
        return Entry(dedup=key, customer=merge.kept, kind=kind_of(event), sealed=sealed, at=now)

    def _entry(self, arrival: Arrival) -> Entry:
        if arrival.customer is None:
            raise ValueError("an arrival without a customer")
        return Entry(
            dedup=arrival.dedup,
            customer=arrival.customer,
            kind=arrival.kind,
            sealed=self.sealed(arrival),
            at=arrival.envelope.at,
        )


def _name(sender: Sender) -> str | tuple[str, str]:
    """All by which a sender is known; the number alone where there is no more, because very many lie in memory."""
    return (sender.phone, sender.user_id) if sender.user_id else sender.phone


def kind_of(event: Event) -> str:
    """What stands beside a sealed event in the clear."""
    return str(event.__struct_config__.tag)
