"""Fulfils `bot.ports.journal.Journal` and `bot.ports.parking.Parking` in memory."""

from collections.abc import Mapping, Sequence

import msgspec

from bot.core.ids import CustomerId, JournalSeq
from bot.ports.journal import Backlog, Entry, Unread
from bot.ports.parking import KEY, OPERATOR, STATE
from bot.ports.store import AuditRow
from bot.runtime.clock import Clock
from bot.runtime.letters import event_key
from tests.runtime.memory.link import Link
from tests.runtime.memory.tables import Event, Parked, Tables


class MemoryJournal:
    def __init__(self, tables: Tables, link: Link, clock: Clock) -> None:
        self._tables = tables
        self._link = link
        self._clock = clock

    async def append(self, entries: Sequence[Entry]) -> Sequence[JournalSeq | None]:
        return await self._link.call("journal.append", lambda: append(self._tables, entries))

    async def unread(self, customers: Sequence[CustomerId], limit: int) -> Mapping[CustomerId, Sequence[Unread]]:
        return await self._link.call(
            "journal.unread", lambda: {customer: self._unread(customer, limit) for customer in customers}
        )

    async def forgotten(self, older_than: float, limit: int) -> Sequence[CustomerId]:
        return await self._link.call("journal.forgotten", lambda: self._forgotten(older_than, limit))

    async def backlog(self) -> Backlog:
        return await self._link.call("journal.backlog", self._backlog)

    def _unread(self, customer: CustomerId, limit: int) -> list[Unread]:
        if customer in self._tables.parked:
            return []
        rows = self._tables.unread(customer)[:limit]
        return [Unread(seq=row.seq, dedup=row.dedup, sealed=row.sealed) for row in rows]

    def _forgotten(self, older_than: float, limit: int) -> list[CustomerId]:
        for row in self._tables.journal.values():
            kept = self._tables.users[row.customer].merged_into
            if row.consumed_at is None and kept is not None:
                row.customer = kept
        waiting = [row for row in self._waiting() if row.at < older_than]
        return list(dict.fromkeys(row.customer for row in waiting))[:limit]

    def _backlog(self) -> Backlog:
        rows = self._waiting()
        oldest = min((row.at for row in rows), default=self._clock.now())
        return Backlog(count=len(rows), oldest_seconds=self._clock.now() - oldest)

    def _waiting(self) -> list[Event]:
        rows = [row for row in self._tables.journal.values() if row.consumed_at is None]
        return [row for row in rows if row.customer not in self._tables.parked]


class MemoryParking:
    def __init__(self, tables: Tables, link: Link) -> None:
        self._tables = tables
        self._link = link

    async def park(self, customer: CustomerId, seq: JournalSeq, error: str, attempts: int, at: float) -> None:
        def work() -> None:
            if self._tables.users[customer].erased:
                return
            known = self._tables.parked.get(customer)
            if known is not None and known.seq < seq:
                return
            number = known.id if known else self._tables.number()
            self._tables.parked[customer] = Parked(id=number, seq=seq, error=error, attempts=attempts)

        await self._link.call("parking.park", work)

    async def release(self, parked: int, *, discard: bool, at: float, by: str = OPERATOR) -> CustomerId | None:
        return await self._link.call("parking.release", lambda: self._release(parked, discard, at, by))

    def _release(self, number: int, discard: bool, at: float, by: str) -> CustomerId | None:
        for customer, parked in list(self._tables.parked.items()):
            if parked.id != number:
                continue
            del self._tables.parked[customer]
            if discard and parked.seq == STATE:
                self._begin_anew(customer, parked, at, by)
            elif discard and parked.seq != KEY:
                self._discard(customer, parked, at, by)
            else:
                note = AuditRow(action="parked_retried", by=by, at=at, detail=parked.error)
                self._tables.audit.append((customer, note))
            return customer
        return None

    def _discard(self, customer: CustomerId, parked: Parked, at: float, by: str) -> None:
        row = self._tables.journal.get(parked.seq)
        if row is not None and row.consumed_at is None:
            row.consumed_at = at
            self._end_cause(row)
        self._tables.users[customer].version += 1
        note = AuditRow(action="event_discarded", by=by, at=at, detail=parked.error)
        self._tables.audit.append((customer, note))

    def _end_cause(self, row: Event) -> None:
        """The timer or the question that the event came from is settled with it."""
        timer = next((id_ for id_ in self._tables.timers if event_key("timer", id_) == row.dedup), None)
        if timer is not None:
            del self._tables.timers[timer]
        for id_, effect in self._tables.effects.items():
            if event_key("ask", id_) == row.dedup:
                effect.done = True

    def _begin_anew(self, customer: CustomerId, parked: Parked, at: float, by: str) -> None:
        tables = self._tables
        tables.users[customer].version += 1
        tables.users[customer].state = None
        tables.timers = {id_: timer for id_, timer in tables.timers.items() if timer.customer != customer}
        for effect in tables.effects.values():
            effect.done = effect.done or effect.customer == customer
        for id_, row in tables.conversations.items():
            if tables.owners[id_] == customer and row.completed_at is None:
                tables.conversations[id_] = msgspec.structs.replace(row, status="closed", completed_at=at)
        note = AuditRow(action="conversation_begun_anew", by=by, at=at, detail=parked.error)
        tables.audit.append((customer, note))


def append(tables: Tables, entries: Sequence[Entry]) -> list[JournalSeq | None]:
    """A row for each entry that is new; a repeated one is known by its sealed bytes and gets its number again."""
    given: set[JournalSeq] = set()
    return [_append(tables, entry, given) for entry in entries]


def _append(tables: Tables, entry: Entry, given: set[JournalSeq]) -> JournalSeq | None:
    seq = tables.dedups.get(entry.dedup)
    if seq is None:
        seq = JournalSeq(tables.number())
        tables.dedups[entry.dedup] = seq
        known = tables.users.get(entry.customer)
        customer = (known and known.merged_into) or entry.customer
        tables.journal[seq] = Event(
            seq=seq, dedup=entry.dedup, customer=customer, sealed=entry.sealed, at=entry.at, kind=entry.kind
        )
    elif tables.journal[seq].sealed != entry.sealed or seq in given:
        return None
    given.add(seq)
    return seq
