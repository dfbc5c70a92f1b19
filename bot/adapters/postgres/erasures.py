"""Erasures in PostgreSQL: one transaction that ends all that lives, then small batches over what is left.

The transaction holds the customers' rows, and everything that writes for a customer passes there: a commit by its
version, a merge and a further identity by a lock that finds the key gone. So what commits before is erased and what
comes after has no effect; only an event may still be journalled under the old id, and that is what `strays` are.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec

from bot.adapters.postgres.directory import IDENTITY_CONTEXT
from bot.adapters.postgres.pool import Database, Session
from bot.core.ids import CustomerId, JournalSeq
from bot.ports.erasures import Erasure, ErasureId, ErasureReport
from bot.ports.failures import Unavailable
from bot.ports.journal import Unread
from bot.ports.keys import Vault
from bot.runtime.intake import QUARANTINE_CONTEXT
from bot.wire.msg91.mentions import mentions

SOUGHT_CONTEXT: Final = b"erasure"
CONVERSATIONS_AT_ONCE: Final = 500
MESSAGES_AT_ONCE: Final = 500
"""Messages emptied in one statement: their locks are held for some milliseconds."""
ROWS_AT_ONCE: Final = 5_000
"""Rows of the journal or of reports looked through in one statement."""
BODIES_AT_ONCE: Final = 100
"""Quarantined bodies, of up to 3 MB each, opened at a time."""
NEWS_AT_ONCE: Final = 500
_FIRST_KEY: Final = b""

P = TypeVar("P", int, bytes)


class _Sought(msgspec.Struct, frozen=True):
    """The identities of an erased customer, by kind and value, and their fingerprints."""

    identities: tuple[tuple[str, str], ...]
    hashes: tuple[bytes, ...]

    def named_in(self, body: str | bytes) -> bool:
        return mentions(body.encode() if isinstance(body, str) else body, self._of("phone"), self._of("user_id"))

    def _of(self, kind: str) -> Sequence[str]:
        return [value for known, value in self.identities if known == kind]


_decoder: Final = msgspec.msgpack.Decoder(_Sought)


class PostgresErasures:
    """Fulfils `bot.ports.erasures.Erasures`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def begin(self, phone: str, *, key: bytes, by: str, at: float) -> Erasure | None:
        async with self._database.transaction() as session:
            known = await session.fetch("erasure_found", key)
            if known:
                return _erasure(known[0])
            people = await self._held(session, self._vault.fingerprint("phone", phone))
            if not people:
                return None
            customers = list(people)
            identities = await session.fetch("erasure_identities", customers)
            sought = self._sought(people, identities)
            sealed = self._vault.seal(msgspec.msgpack.encode(sought), SOUGHT_CONTEXT)
            stay_out = sought.hashes if any(row["opted_out"] for row in people.values()) else ()
            arguments = (customers, key, sealed, by, at, stay_out, sought.hashes)
            (row,) = await session.fetch("erasure_begin", *arguments)
            return Erasure(id=row["id"], customers=tuple(customers), sought=sealed)

    async def work_off(self, erasure: Erasure) -> None:
        await self._conversations(erasure)
        await self._database.fetch("erasure_audit", erasure.customers)
        sought = self._opened(erasure)
        await _through(0, lambda after: self._events(erasure, after))
        await _through(_FIRST_KEY, lambda after: self._reports(erasure, sought, after))
        await _through(0, lambda after: self._bodies(erasure, sought, after))
        await self._database.fetch("erasure_worked_off", erasure.id)

    async def report(self, key: bytes) -> ErasureReport | None:
        rows = await self._database.fetch("erasure_found", key)
        return _report(rows[0]) if rows else None

    async def take_up(self, silent_for: float) -> Erasure | None:
        rows = await self._database.fetch("erasure_left", silent_for)
        return _erasure(rows[0]) if rows else None

    async def unheard(self, me: str) -> Sequence[Erasure]:
        rows = await self._database.fetch("erasure_unheard", me, NEWS_AT_ONCE)
        return [Erasure(id=row["id"], customers=tuple(row["user_ids"])) for row in rows]

    async def hear(self, me: str, erasures: Sequence[Erasure]) -> None:
        await self._database.fetch("erasure_heard", me, [erasure.id for erasure in erasures])

    async def finish(self) -> None:
        await self._database.fetch("erasure_finish")

    async def strays(self, customer: CustomerId, limit: int) -> Sequence[Unread]:
        rows = await self._database.fetch("erasure_strays", customer, limit)
        return [Unread(seq=seq, dedup=dedup, sealed=sealed) for seq, dedup, sealed in rows]

    async def settle(
        self, customer: CustomerId, moved: Mapping[JournalSeq, CustomerId], dropped: Sequence[JournalSeq], at: float
    ) -> None:
        await self._database.fetch("erasure_settle", customer, list(moved), list(moved.values()), dropped, at)

    # --- beginning ---------------------------------------------------------------------------------------------------

    async def _held(self, session: Session, identity: bytes) -> dict[CustomerId, Any]:
        """The rows of the person, locked. Whoever waited for a lock asks again: a merge may have ended meanwhile."""
        rows = await session.fetch("erasure_lock", identity)
        again = await session.fetch("erasure_lock", identity)
        if [row["id"] for row in rows] != [row["id"] for row in again]:
            raise Unavailable("this customer is being merged at this moment")
        return {row["id"]: row for row in again}

    def _sought(self, people: Mapping[CustomerId, Any], identities: Sequence[Any]) -> _Sought:
        return _Sought(
            identities=tuple((row["kind"], self._identity(people[row["user_id"]], row)) for row in identities),
            hashes=tuple(row["hash"] for row in identities),
        )

    def _identity(self, person: Any, row: Any) -> str:
        """Empty when it cannot be opened: then it is not looked for, and everything else is erased all the same."""
        try:
            return self._vault.customer(person["data_key"] or b"").open(row["sealed"], IDENTITY_CONTEXT).decode()
        except ValueError:
            return ""

    def _opened(self, erasure: Erasure) -> _Sought:
        sought = _decoder.decode(self._vault.open(erasure.sought, SOUGHT_CONTEXT))
        return msgspec.structs.replace(sought, identities=tuple(pair for pair in sought.identities if pair[1]))

    # --- working off -------------------------------------------------------------------------------------------------

    async def _conversations(self, erasure: Erasure) -> None:
        after = None
        while rows := await self._database.fetch(
            "erasure_conversations", erasure.customers, after, CONVERSATIONS_AT_ONCE
        ):
            for row in rows:
                await self._database.fetch("erasure_conversation", row["id"])
                await self._messages(erasure, row["id"])
            after = rows[-1]["id"]

    async def _messages(self, erasure: Erasure, conversation: UUID) -> None:
        await _through(0, lambda after: self._some_messages(erasure, conversation, after))

    async def _some_messages(self, erasure: Erasure, conversation: UUID, after: int) -> int | None:
        last: int | None = await self._page("erasure_messages", conversation, after, MESSAGES_AT_ONCE, erasure.id)
        return last

    async def _events(self, erasure: Erasure, after: int) -> int | None:
        last: int | None = await self._page("erasure_journal", erasure.customers, after, ROWS_AT_ONCE, erasure.id)
        return last

    async def _reports(self, erasure: Erasure, sought: _Sought, after: bytes) -> bytes | None:
        """Those for the customer's number, and those whose message id contains it."""
        rows = await self._database.fetch("erasure_reports", after, ROWS_AT_ONCE)
        theirs = [row["dedup"] for row in rows if row["recipient"] in sought.hashes or sought.named_in(row["told"])]
        await self._database.fetch("erasure_unreported", theirs, erasure.id)
        return rows[-1]["dedup"] if rows else None

    async def _bodies(self, erasure: Erasure, sought: _Sought, after: int) -> int | None:
        rows = await self._database.fetch("erasure_quarantine", after, BODIES_AT_ONCE)
        naming = [row["id"] for row in rows if self._names(row["sealed"], sought)]
        await self._database.fetch("erasure_unquarantine", naming, erasure.id)
        return rows[-1]["id"] if rows else None

    async def _page(self, name: str, *arguments: Any) -> Any:
        """Do a page; where it ended, None when there was nothing left."""
        rows = await self._database.fetch(name, *arguments)
        return rows[0][0] if rows else None

    def _names(self, sealed: bytes, sought: _Sought) -> bool:
        """A body that no key opens names nobody."""
        try:
            body = self._vault.open(sealed, QUARANTINE_CONTEXT)
        except ValueError:
            return False
        return sought.named_in(body)


async def _through(first: P, page: Callable[[P], Awaitable[P | None]]) -> None:
    """Page after page, each from where the one before ended."""
    after: P | None = first
    while after is not None:
        after = await page(after)


def _erasure(row: Any) -> Erasure:
    return Erasure(
        id=ErasureId(row["id"]),
        customers=tuple(row["user_ids"]),
        sought=row["sought"],
        worked_off=row["worked_off"],
    )


def _report(row: Any) -> ErasureReport:
    return ErasureReport(
        status="done" if row["finished"] else "pending",
        conversations=row["conversations"],
        messages=row["messages"],
        events=row["events"],
        cancelled=row["cancelled"],
        quarantined=row["quarantined"],
    )
