"""Customers and the identities under which they write.

An identity is found by its fingerprint and kept sealed under its customer's key. The usual batch, in which everybody is
known, is one select; each further kind of work (making, linking, merging) is done only for those who need it, and after
each the truth is read again, because another replica may be doing the same.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from bot.adapters.postgres.journal import append_arguments
from bot.adapters.postgres.pool import Database
from bot.core.events import Sender
from bot.core.ids import ConversationId, CustomerId
from bot.ports.directory import Merge
from bot.ports.failures import Unavailable
from bot.ports.journal import Entry
from bot.ports.keys import Vault

IDENTITY_CONTEXT: Final = b"identity"
"""The context under which identities are sealed."""
_ROUNDS: Final = 5
"""Each round gets further unless another replica merges the very same customers meanwhile."""


class _Identity(msgspec.Struct, frozen=True):
    kind: str
    value: str
    hash: bytes


class PostgresDirectory:
    """Fulfils `bot.ports.directory.Directory`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def resolve(self, senders: Sequence[Sender], announce: Callable[[Merge], Entry]) -> Sequence[CustomerId]:
        """Raises `ValueError` for a sender without an identity."""
        people = [self._identities(sender) for sender in senders]
        for _ in range(_ROUNDS):
            known = await self._find([identity.hash for person in people for identity in person])
            if all(_settled(person, known) for person in people):
                return [known[person[0].hash] for person in people]
            await self._advance(people, known, announce)
        raise Unavailable("customers are being merged by others at this moment")

    async def known(self, sender: Sender) -> CustomerId | None:
        found = await self._find([identity.hash for identity in self._identities(sender)])
        return next(iter(found.values()), None)

    async def holder(self, conversation: ConversationId) -> CustomerId | None:
        rows = await self._database.fetch("directory_holder", conversation)
        return rows[0]["user_id"] if rows else None

    async def redirect(self, absorbed: CustomerId, kept: CustomerId) -> None:
        await self._database.fetch("directory_redirect", absorbed, kept)

    def _identities(self, sender: Sender) -> Sequence[_Identity]:
        """The phone number first: it decides which of two customers is kept."""
        values = (("phone", sender.phone), ("user_id", sender.user_id))
        found = [_Identity(kind, value, self._vault.fingerprint(kind, value)) for kind, value in values if value]
        if not found:
            raise ValueError("a sender needs a phone number or a user id")
        return found

    async def _find(self, hashes: Sequence[bytes]) -> Mapping[bytes, CustomerId]:
        return dict(await self._database.fetch("directory_find", hashes))

    async def _advance(
        self,
        people: Sequence[Sequence[_Identity]],
        known: Mapping[bytes, CustomerId],
        announce: Callable[[Merge], Entry],
    ) -> None:
        """Make who is unknown; once nobody is, link what is new of the known; once nothing is, merge."""
        strangers = {person[0].hash: person[0] for person in people if not any(i.hash in known for i in person)}
        if strangers:
            await self._make(list(strangers.values()))
            return
        new = {i.hash: (i, _customer(person, known)) for person in people for i in person if i.hash not in known}
        if new:
            await self._link(list(new.values()))
            return
        for pair in {frozenset(known[i.hash] for i in person) for person in people}:
            if len(pair) > 1:
                await self._merge(sorted(pair), announce)

    async def _make(self, strangers: Sequence[_Identity]) -> None:
        keys = [self._vault.new_customer_key() for _ in strangers]
        sealed = [self._seal(key, stranger) for key, stranger in zip(keys, strangers, strict=True)]
        await self._database.fetch(
            "directory_make", [s.hash for s in strangers], [s.kind for s in strangers], sealed, keys
        )

    async def _link(self, new: Sequence[tuple[_Identity, CustomerId]]) -> None:
        keys = dict(await self._database.fetch("directory_keys", [customer for _, customer in new]))
        await self._database.fetch(
            "directory_link",
            [identity.hash for identity, _ in new],
            [customer for _, customer in new],
            [identity.kind for identity, _ in new],
            [self._seal(keys[customer], identity) for identity, customer in new],
        )

    def _seal(self, wrapped: bytes | None, identity: _Identity) -> bytes:
        return self._vault.customer(wrapped or b"").seal(identity.value.encode(), IDENTITY_CONTEXT)

    async def _merge(self, pair: Sequence[CustomerId], announce: Callable[[Merge], Entry]) -> None:
        """One transaction. The customer with a phone number is kept, of two such the older."""
        async with self._database.transaction() as session:
            rows = await session.fetch("directory_lock", pair)
            if len(rows) < len(pair):
                return
            kept, absorbed = sorted(rows, key=lambda row: (not row["has_phone"], row["id"]))
            merge = Merge(
                kept=kept["id"],
                absorbed=absorbed["id"],
                held_by_person=absorbed["held_by_person"],
                department=absorbed["department"],
            )
            entry = announce(merge)
            identities = await session.fetch("directory_identities", absorbed["id"])
            sealed = [self._reseal(absorbed["data_key"], kept["data_key"], row["sealed"]) for row in identities]
            hashes = [row["hash"] for row in identities]
            conversation = absorbed["conversation"]
            await session.fetch("directory_merge", merge.kept, merge.absorbed, hashes, sealed, entry.at, conversation)
            await session.fetch("journal_append", *append_arguments([entry]))

    def _reseal(self, old: bytes | None, new: bytes | None, sealed: bytes) -> bytes:
        plain = self._vault.customer(old or b"").open(sealed, IDENTITY_CONTEXT)
        return self._vault.customer(new or b"").seal(plain, IDENTITY_CONTEXT)


def _settled(person: Sequence[_Identity], known: Mapping[bytes, CustomerId]) -> bool:
    """Whether all identities are known and are the same customer's."""
    customers: set[Any] = {known.get(identity.hash) for identity in person}
    return len(customers) == 1 and None not in customers


def _customer(person: Sequence[_Identity], known: Mapping[bytes, CustomerId]) -> CustomerId:
    return next(known[identity.hash] for identity in person if identity.hash in known)
