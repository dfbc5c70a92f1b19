"""Fulfils `bot.ports.erasures.Erasures` in memory."""

from collections.abc import Mapping, Sequence

import msgspec

from bot.core.ids import CustomerId, JournalSeq
from bot.ports.erasures import Erasure, ErasureId, ErasureReport
from bot.ports.journal import Unread
from bot.ports.store import AuditRow
from bot.runtime.clock import Clock
from tests.runtime.memory.link import Link
from tests.runtime.memory.tables import ErasureRow, Message, Tables

NOTHING = b""


class MemoryErasures:
    def __init__(self, tables: Tables, link: Link, clock: Clock) -> None:
        self._tables = tables
        self._link = link
        self._clock = clock

    async def begin(self, phone: str, *, key: bytes, by: str, at: float) -> Erasure | None:
        return await self._link.call("erasures.begin", lambda: self._begin(phone, key, by, at))

    async def work_off(self, erasure: Erasure) -> None:
        await self._link.call("erasures.work_off", lambda: self._work_off(erasure.id))

    async def report(self, key: bytes) -> ErasureReport | None:
        return await self._link.call("erasures.report", lambda: self._report(key))

    async def take_up(self, silent_for: float) -> Erasure | None:
        def work() -> Erasure | None:
            now = self._clock.now()
            for row in self._tables.erasures.values():
                if not row.worked_off and row.worked_at < now - silent_for:
                    row.worked_at = now
                    return row.erasure
            return None

        return await self._link.call("erasures.take_up", work)

    async def unheard(self, me: str) -> Sequence[Erasure]:
        return await self._link.call(
            "erasures.unheard",
            lambda: [row.erasure for row in self._tables.erasures.values() if me not in row.heard_by],
        )

    async def hear(self, me: str, erasures: Sequence[Erasure]) -> None:
        def work() -> None:
            for row in self._tables.erasures.values():
                if row.erasure.id in {erasure.id for erasure in erasures}:
                    row.heard_by.add(me)

        await self._link.call("erasures.hear", work)

    async def finish(self) -> None:
        def work() -> None:
            live = self._tables.live(self._clock.now())
            for row in self._tables.erasures.values():
                row.finished = row.finished or (row.worked_off and live <= row.heard_by)

        await self._link.call("erasures.finish", work)

    async def strays(self, customer: CustomerId, limit: int) -> Sequence[Unread]:
        def work() -> list[Unread]:
            if not self._tables.users[customer].erased:
                return []
            rows = self._tables.unread(customer)[:limit]
            return [Unread(seq=row.seq, dedup=row.dedup, sealed=row.sealed) for row in rows]

        return await self._link.call("erasures.strays", work)

    async def settle(
        self, customer: CustomerId, moved: Mapping[JournalSeq, CustomerId], dropped: Sequence[JournalSeq], at: float
    ) -> None:
        def work() -> None:
            for row in self._tables.unread(customer):
                row.customer = moved.get(row.seq, row.customer)
                if row.seq in dropped:
                    row.consumed_at, row.sealed = at, NOTHING

        await self._link.call("erasures.settle", work)

    def _begin(self, phone: str, key: bytes, by: str, at: float) -> Erasure | None:
        tables = self._tables
        known = tables.erasures.get(key)
        if known is not None:
            return msgspec.structs.replace(known.erasure, worked_off=known.worked_off)
        holder = tables.identities.get(("phone", phone))
        if holder is None:
            return None
        absorbed = sorted(id_ for id_, user in tables.users.items() if user.merged_into == holder)
        erasure = Erasure(id=ErasureId(tables.number()), customers=(holder, *absorbed))
        row = tables.erasures[key] = ErasureRow(erasure=erasure, worked_at=at)
        for customer in erasure.customers:
            self._end(customer, row, at)
            tables.audit.append((customer, AuditRow(action="customer_erased", by=by, at=at, detail="")))
        return erasure

    def _end(self, customer: CustomerId, row: ErasureRow, at: float) -> None:
        """What lives: identities, state, events and messages to come, timers, questions, the open conversation."""
        tables = self._tables
        user = tables.users[customer]
        if user.facts is not None and user.facts.opted_out:
            tables.suppressed |= {key for key, owner in tables.identities.items() if owner == customer}
        user.data_key, user.state, user.facts, user.erased = NOTHING, None, None, True
        user.version += 1
        tables.identities = {key: owner for key, owner in tables.identities.items() if owner != customer}
        for event in tables.unread(customer):
            event.consumed_at, event.sealed = at, NOTHING
            row.events += 1
        tables.timers = {id_: timer for id_, timer in tables.timers.items() if timer.customer != customer}
        tables.effects = {
            id_: effect for id_, effect in tables.effects.items() if effect.customer != customer or effect.done
        }
        tables.parked.pop(customer, None)
        for message in tables.outbound(customer):
            if message.claimed_by:
                message.status, message.claimed_by, message.claimed_until = "failed", "", None
                _empty(message)
                row.cancelled += 1
        for id_, conversation in tables.conversations.items():
            if tables.owners[id_] == customer and not conversation.completed_at:
                tables.conversations[id_] = msgspec.structs.replace(conversation, status="closed", completed_at=at)

    def _work_off(self, erasure: ErasureId) -> None:
        row = next(row for row in self._tables.erasures.values() if row.erasure.id == erasure)
        for message in self._tables.messages.values():
            if message.customer in row.erasure.customers and message.row.content:
                _empty(message)
                row.messages += 1
        for event in self._tables.journal.values():
            if event.customer in row.erasure.customers and event.consumed_at is not None and event.sealed:
                event.sealed = NOTHING
                row.events += 1
        row.worked_off = True

    def _report(self, key: bytes) -> ErasureReport | None:
        row = self._tables.erasures.get(key)
        if row is None:
            return None
        theirs = [owner for owner in self._tables.owners.values() if owner in row.erasure.customers]
        return ErasureReport(
            status="done" if row.finished else "pending",
            conversations=len(theirs),
            messages=row.messages,
            events=row.events,
            cancelled=row.cancelled,
            quarantined=0,
        )


def _empty(message: Message) -> None:
    """A message without content is an erased customer's."""
    message.row = msgspec.structs.replace(
        message.row, content=NOTHING, sender_number=NOTHING, recipient_number=NOTHING, provider_id=""
    )
    message.provider_id, message.request_id, message.reason = "", "", ""
