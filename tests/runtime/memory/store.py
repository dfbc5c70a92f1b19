"""Fulfils `bot.ports.store.Store` in memory: all of a write or nothing, guarded by its version and what it consumes."""

from collections.abc import Mapping, Sequence

import msgspec

from bot.core.ids import CustomerId
from bot.ports.store import Loaded, Write
from tests.runtime.memory.link import Link
from tests.runtime.memory.tables import Effect, Message, Tables, Timer, check_message, check_text, check_uuid
from tests.runtime.memory.webhooks import announce


class MemoryStore:
    def __init__(self, tables: Tables, link: Link) -> None:
        self._tables = tables
        self._link = link

    async def load(self, customers: Sequence[CustomerId]) -> Mapping[CustomerId, Loaded]:
        return await self._link.call("store.load", lambda: self._load(customers))

    async def commit(self, writes: Sequence[Write]) -> Sequence[bool]:
        return await self._link.call("store.commit", lambda: self._commit(writes))

    def _load(self, customers: Sequence[CustomerId]) -> dict[CustomerId, Loaded]:
        users = {customer: self._tables.users[customer] for customer in customers if customer in self._tables.users}
        return {
            customer: Loaded(
                version=user.version,
                state=user.state,
                data_key=user.data_key,
                merged_into=user.merged_into,
                language=user.facts.language if user.facts else "",
                opted_out=user.facts.opted_out if user.facts else user.opted_out,
                parked=customer in self._tables.parked,
                erased=user.erased,
            )
            for customer, user in users.items()
        }

    def _commit(self, writes: Sequence[Write]) -> list[bool]:
        for write in writes:
            check(write)
        before = {write.customer: self._tables.users[write.customer].version for write in writes}
        return [self._mine(write) or self._take(write, before[write.customer]) for write in writes]

    def _take(self, write: Write, before: int) -> bool:
        if not self._guarded(write, before):
            return False
        self._apply(write)
        return True

    def _guarded(self, write: Write, before: int) -> bool:
        """All guards of a batch look at the state before it, so only one write of a customer can pass.

        What is consumed must be all that waits up to there: who overlooked a row is turned away.
        """
        last = max(write.consumed, default=0)
        waiting = {
            seq
            for seq, row in self._tables.journal.items()
            if seq <= last and row.customer == write.customer and row.consumed_at is None
        }
        return waiting == set(write.consumed) and write.version == before == self._tables.users[write.customer].version

    def _mine(self, write: Write) -> bool:
        user = self._tables.users[write.customer]
        if user.version == write.version + 1 and user.commit_id == write.commit_id:
            return True
        row = self._tables.journal.get(write.consumed[0]) if write.consumed else None
        return row is not None and row.commit_id == write.commit_id

    def _apply(self, write: Write) -> None:
        tables, customer = self._tables, write.customer
        user = tables.users[customer]
        user.version, user.commit_id, user.state = user.version + 1, write.commit_id, write.state
        user.facts = write.facts or user.facts
        for seq in write.consumed:
            tables.journal[seq].consumed_at = write.at
            tables.journal[seq].commit_id = write.commit_id
        for row in write.conversations:
            known = tables.conversations.get(row.id)
            created_at = known.created_at if known else row.created_at
            tables.conversations[row.id] = msgspec.structs.replace(row, created_at=created_at)
            tables.owners[row.id] = customer
        for message in write.messages:
            tables.messages[message.id] = Message(
                seq=tables.number(),
                customer=customer,
                row=message,
                status=message.delivery_status,
                claimed_by=message.claimed_by,
                provider_id=message.provider_id,
            )
        self._apply_rest(write)

    def _apply_rest(self, write: Write) -> None:
        tables, customer = self._tables, write.customer
        for effect in write.effects:
            tables.effects[effect.id] = Effect(customer=customer, row=effect, claimed_by=effect.claimed_by, at=write.at)
        for done in write.done_effects:
            if done in tables.effects:
                tables.effects[done].done = True
        for timer in write.timers:
            tables.timers[timer.id] = Timer(customer=customer, row=timer)
        for stopped in write.stopped_timers:
            tables.timers.pop(stopped, None)
        tables.audit += [(customer, row) for row in write.audit]
        announce(tables, write)


def check(write: Write) -> None:
    """Raise `Unacceptable` for a row that the real tables refuse."""
    for message in write.messages:
        check_message(message)
    for row in write.conversations:
        check_uuid(row.id)
        for text in (row.language, row.department, row.agent, row.number):
            check_text(text)
    for id_ in (*(row.id for row in write.effects), *(row.id for row in write.timers), *write.stopped_timers):
        check_uuid(id_)
    for told in write.announcements:
        check_uuid(told.id)
    for audit in write.audit:
        check_text(audit.by)
        check_text(audit.detail)
