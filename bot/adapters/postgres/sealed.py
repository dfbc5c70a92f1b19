"""What lies under the service's keys, by key; and sealing it anew under the first one, while customers write.

Rotation touches small things only: customers' data keys, the keyring, secrets of webhooks, events that wait and what is
in quarantine. History is under the customers' keys, which stay. Everything goes in pages along a primary key.

Every write is a compare-and-set on the very bytes that were read. So a key that an erasure destroyed meanwhile stays
destroyed, any number of processes may do this at once, and one that was killed is simply started again. A commit does
not notice: it writes other columns of the customer, and the version stays.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from bot.adapters.cipher import KEY_CONTEXT, ServiceKeys, key_id
from bot.adapters.postgres.pool import Database
from bot.runtime.announcing import secret_context
from bot.runtime.intake import QUARANTINE_CONTEXT

PAGE: Final = 1000
"""Rows read, and sealed anew, in one statement."""


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """One place where values are sealed under the service's keys.

    `sealed_{name}` reads a page behind a place, ordered by `place`: place, sealed (or its beginning) and what `context`
    needs. `reseal_{name}` writes: places, old values, new values. Without a `context` the rows leave by age.
    """

    name: str
    first: Any
    context: Callable[[Any], bytes | None] | None = None


HOLDINGS: Final = (
    Holding(name="keyring", first="", context=lambda _: KEY_CONTEXT),
    Holding(name="users", first=0, context=lambda _: KEY_CONTEXT),
    Holding(name="webhook_secrets", first="", context=lambda row: secret_context(row["place"].partition(" ")[2])),
    Holding(name="journal_unread", first=0, context=lambda row: row["dedup"]),
    Holding(name="quarantine", first=0, context=lambda _: QUARANTINE_CONTEXT),
    Holding(name="journal_applied", first=0),
    Holding(name="idempotency", first=b""),
    Holding(name="webhook_pings", first=0),
    Holding(name="erasures", first=0),
)
"""In the order in which they are sealed anew: first what no replica starts without."""


class Resealed(msgspec.Struct, frozen=True, kw_only=True):
    """`changed`: rows by place. `unreadable`: values that none of the keys opens, by place."""

    changed: Mapping[str, int]
    unreadable: Mapping[str, int]


class PostgresSealed:
    def __init__(self, database: Database, keys: ServiceKeys) -> None:
        self._database = database
        self._keys = keys

    async def counts(self) -> Mapping[str, Counter[str]]:
        """How many values each key has sealed, by place and key id. Reads every page of them."""
        found: dict[str, Counter[str]] = {}
        for holding in HOLDINGS:
            counter = found[holding.name] = Counter()
            async for rows in self._pages(holding):
                counter.update(key_id(row["sealed"]) for row in rows)
        return found

    async def reseal(self) -> Resealed:
        """Seal under the first key whatever another one sealed, but for what leaves by itself. Safe to repeat."""
        changed: Counter[str] = Counter()
        unreadable: Counter[str] = Counter()
        for holding in HOLDINGS:
            if holding.context is None:
                continue
            async for rows in self._pages(holding):
                old = [row for row in rows if key_id(row["sealed"]) != self._keys.first_id]
                fresh = [(row, new) for row in old if (new := self._fresh(row, holding.context(row))) is not None]
                unreadable[holding.name] += len(old) - len(fresh)
                changed[holding.name] += await self._put(holding, fresh)
        return Resealed(changed=+changed, unreadable=+unreadable)

    def _fresh(self, row: Any, context: bytes | None) -> bytes | None:
        """The same value under the first key; None when no key opens it."""
        try:
            return self._keys.seal(self._keys.open(row["sealed"], context or b""), context or b"")
        except ValueError:
            return None

    async def _put(self, holding: Holding, fresh: Sequence[tuple[Any, bytes]]) -> int:
        if not fresh:
            return 0
        places = [row["place"] for row, _ in fresh]
        old = [row["sealed"] for row, _ in fresh]
        rows = await self._database.fetch(f"reseal_{holding.name}", places, old, [new for _, new in fresh])
        return len(rows)

    async def _pages(self, holding: Holding) -> Any:
        place, full = holding.first, True
        while full:
            rows = await self._database.fetch(f"sealed_{holding.name}", place, PAGE)
            full = len(rows) == PAGE
            place = rows[-1]["place"] if rows else place
            yield [row for row in rows if row["sealed"]]
