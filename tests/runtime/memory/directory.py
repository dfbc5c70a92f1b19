"""Fulfils `bot.ports.directory.Directory` in memory."""

from collections.abc import Callable, Sequence

import msgspec

from bot.core.events import Sender
from bot.core.ids import ConversationId, CustomerId
from bot.ports.directory import Merge
from bot.ports.journal import Entry
from bot.ports.keys import Vault
from bot.ports.store import AuditRow
from tests.runtime.memory.journal import append
from tests.runtime.memory.link import Link
from tests.runtime.memory.tables import Tables, User, keys_of

HELD = {"queue", "agent"}


class MemoryDirectory:
    def __init__(self, tables: Tables, link: Link, vault: Vault) -> None:
        self._tables = tables
        self._link = link
        self._vault = vault

    async def resolve(self, senders: Sequence[Sender], announce: Callable[[Merge], Entry]) -> Sequence[CustomerId]:
        def work() -> list[CustomerId]:
            for sender in senders:
                self._resolve(sender, announce)
            return [self._tables.identities[keys_of(sender)[0]] for sender in senders]

        return await self._link.call("directory.resolve", work)

    async def known(self, sender: Sender) -> CustomerId | None:
        def work() -> CustomerId | None:
            found = (self._tables.identities.get(key) for key in keys_of(sender))
            return next(filter(None, found), None)

        return await self._link.call("directory.known", work)

    async def holder(self, conversation: ConversationId) -> CustomerId | None:
        def work() -> CustomerId | None:
            owner = self._tables.owners.get(conversation)
            return owner and (self._tables.users[owner].merged_into or owner)

        return await self._link.call("directory.holder", work)

    async def redirect(self, absorbed: CustomerId, kept: CustomerId) -> None:
        def work() -> None:
            for row in self._tables.unread(absorbed):
                row.customer = kept

        await self._link.call("directory.redirect", work)

    def _resolve(self, sender: Sender, announce: Callable[[Merge], Entry]) -> None:
        keys = keys_of(sender)
        if not keys:
            raise ValueError("a sender needs a phone number or a user id")
        identities = self._tables.identities
        found = list(dict.fromkeys(identities[key] for key in keys if key in identities))
        if len(found) > 1:
            self._merge(found, announce)
            return
        customer = found[0] if found else self._new(keys[0])
        for key in keys:
            identities[key] = customer
        self._tables.suppressed.difference_update(keys)

    def _new(self, key: tuple[str, str]) -> CustomerId:
        customer = CustomerId(self._tables.number())
        opted_out = key in self._tables.suppressed
        self._tables.users[customer] = User(data_key=self._vault.new_customer_key(), opted_out=opted_out)
        return customer

    def _merge(self, pair: Sequence[CustomerId], announce: Callable[[Merge], Entry]) -> None:
        """The customer with a phone number is kept, of two such the older."""
        tables = self._tables
        phoned = {owner for (kind, _), owner in tables.identities.items() if kind == "phone"}
        kept, absorbed = sorted(pair, key=lambda customer: (customer not in phoned, customer))
        open_rows = [
            row for id_, row in tables.conversations.items() if tables.owners[id_] == absorbed and not row.completed_at
        ]
        held = [row for row in open_rows if row.status in HELD]
        department = held[0].department if held else "general"
        entry = announce(Merge(kept=kept, absorbed=absorbed, held_by_person=bool(held), department=department))
        user = tables.users[absorbed]
        user.version, user.merged_into, user.state = user.version + 1, kept, None
        for other in tables.users.values():
            if other.merged_into == absorbed:
                other.merged_into = kept
        tables.identities.update({key: kept for key, owner in tables.identities.items() if owner == absorbed})
        for row in tables.unread(absorbed):
            row.customer = kept
        for row_ in open_rows:
            tables.conversations[row_.id] = msgspec.structs.replace(row_, status="closed", completed_at=entry.at)
        tables.timers = {id_: timer for id_, timer in tables.timers.items() if timer.customer != absorbed}
        for effect in tables.effects.values():
            effect.done = effect.done or effect.customer == absorbed
        tables.parked.pop(absorbed, None)
        tables.audit.append((kept, AuditRow(action="customers_merged", by="system", at=entry.at, detail=f"{absorbed}")))
        append(tables, [entry])
