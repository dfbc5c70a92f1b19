"""Customers' states in PostgreSQL, and the one statement that commits a batch of steps (P4)."""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

from bot.adapters.postgres.columns import as_json, columns, numbered
from bot.adapters.postgres.pool import Database
from bot.core.ids import CustomerId
from bot.ports.store import Loaded, Write

_WRITE: Final = columns("customer", "version", "commit_id", "state", "at")
_Rows = Callable[[Write], Sequence[Any]]
_CONSUMED: Final[_Rows] = attrgetter("consumed")
_CONVERSATIONS: Final[_Rows] = attrgetter("conversations")
_MESSAGES: Final[_Rows] = attrgetter("messages")
_EFFECTS: Final[_Rows] = attrgetter("effects")
_DONE: Final[_Rows] = attrgetter("done_effects")
_TIMERS: Final[_Rows] = attrgetter("timers")
_STOPPED: Final[_Rows] = attrgetter("stopped_timers")
_AUDIT: Final[_Rows] = attrgetter("audit")
_SIGNED: Final = 1 << 63


class PostgresStore:
    """Fulfils `bot.ports.store.Store`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, customers: Sequence[CustomerId]) -> Mapping[CustomerId, Loaded]:
        """A customer whose key was destroyed has an empty `data_key`, which no vault opens."""
        rows = await self._database.fetch("store_load", customers)
        return {
            row["id"]: Loaded(
                version=row["version"],
                state=row["state"],
                data_key=row["data_key"] or b"",
                merged_into=row["merged_into"],
                language=row["language"],
                opted_out=row["opted_out"],
                parked=row["parked"],
                erased=row["erased"],
            )
            for row in rows
        }

    async def commit(self, writes: Sequence[Write]) -> Sequence[bool]:
        """At most one write of a customer can take effect in a batch, since all guards look at the state before it."""
        # In order of customers, so that two replicas lock the same rows in the same order.
        places = sorted(range(len(writes)), key=lambda place: writes[place].customer)
        ordered = [writes[place] for place in places]
        usual = not any(map(_is_rare, ordered))
        name, arguments = ("store_commit", _usual(ordered)) if usual else ("store_commit_all", _all(ordered))
        announcing = any(write.announcements for write in ordered)
        rows = await (
            self._announced(name, arguments, ordered) if announcing else self._database.fetch(name, *arguments)
        )
        took_effect = {places[row["n"] - 1] for row in rows}
        if len(took_effect) < len(writes):
            took_effect |= await self._mine(writes, [n for n in range(len(writes)) if n not in took_effect])
        return [n in took_effect for n in range(len(writes))]

    async def _announced(self, name: str, arguments: Sequence[Any], writes: Sequence[Write]) -> Sequence[Any]:
        """As the one statement, and in the same transaction the deliveries of what those that took effect announce.

        A statement of its own, so that commits pay nothing while nobody wants to be told.
        """
        async with self._database.transaction() as session:
            rows = await session.fetch(name, *arguments)
            told = [writes[row["n"] - 1] for row in rows]
            customers, announcements = numbered((write.customer, write.announcements) for write in told)
            if announcements:
                await session.fetch("webhooks_announce", customers, as_json(announcements))
            return rows

    async def _mine(self, writes: Sequence[Write], refused: Sequence[int]) -> set[int]:
        """Those of `refused` that were ours after all.

        Asked in a statement of its own, whose snapshot is newer than the lock for which the refused write may have
        waited: its own first try may have held it.
        """
        asked = [writes[n] for n in refused]
        first_consumed = [write.consumed[0] if write.consumed else None for write in asked]
        customer, version, commit_id, _, _ = _columns_of(asked)
        rows = await self._database.fetch("store_mine", customer, version, commit_id, first_consumed)
        return {refused[row["n"] - 1] for row in rows}


def _is_rare(write: Write) -> bool:
    return bool(
        write.effects
        or write.done_effects
        or write.timers
        or write.stopped_timers
        or write.audit
        or write.facts is not None
    )


def _usual(writes: Sequence[Write]) -> Sequence[Any]:
    customer, version, commit_id, state, at = _columns_of(writes)
    consumes = [len(write.consumed) for write in writes]
    guards = [customer, version, commit_id, state, at, consumes, *_ids(writes, _CONSUMED)]
    return [*guards, *_rows(writes, _CONVERSATIONS), *_rows(writes, _MESSAGES)]


def _all(writes: Sequence[Write]) -> Sequence[Any]:
    effects = [*_rows(writes, _EFFECTS), *_ids(writes, _DONE)]
    timers = [*_rows(writes, _TIMERS), *_ids(writes, _STOPPED)]
    return [*_usual(writes), *effects, *timers, *_rows(writes, _AUDIT), *_rows(writes, _facts)]


def _columns_of(writes: Sequence[Write]) -> Sequence[Sequence[Any]]:
    """The 64 bits of `commit_id` become a signed number, as the column has it."""
    customer, version, commit_id, state, at = _WRITE(writes)
    return customer, version, [bits - _SIGNED for bits in commit_id], state, at


def _ids(writes: Sequence[Write], of: _Rows) -> Sequence[Any]:
    """Number of the write and id, for rows that are nothing but an id."""
    return numbered((n, of(write)) for n, write in enumerate(writes, 1))


def _rows(writes: Sequence[Write], of: _Rows) -> Sequence[Any]:
    """Number of the write and row, the rows as JSON."""
    numbers, rows = _ids(writes, of)
    return numbers, as_json(rows)


def _facts(write: Write) -> Sequence[Any]:
    return () if write.facts is None else (write.facts,)
