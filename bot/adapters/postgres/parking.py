"""Customers whose next event cannot be stepped: their rows stay unread until a person decides."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bot.adapters.postgres.pool import Database
from bot.core.events import ModelAnswered, ModelFailed, TimerFired
from bot.core.ids import CustomerId, JournalSeq
from bot.ports.parking import KEY, OPERATOR, STATE
from bot.runtime.letters import event_key

_TIMER_KIND: Final = TimerFired.__struct_config__.tag
_ANSWER_KINDS: Final = {ModelAnswered.__struct_config__.tag, ModelFailed.__struct_config__.tag}


class PostgresParking:
    """Fulfils `bot.ports.parking.Parking`. A customer is parked once, however often that is said."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def park(self, customer: CustomerId, seq: JournalSeq, error: str, attempts: int, at: float) -> None:
        await self._database.fetch("parking_park", customer, seq, error, attempts, at)

    async def release(self, parked: int, *, discard: bool, at: float, by: str = OPERATOR) -> CustomerId | None:
        """With `discard` the version rises, so no replica goes on with an older state."""
        if not discard:
            return await self._released("parking_release", parked, by, at)
        found = await self._database.fetch("parking_read", parked)
        if not found:
            return None
        (row,) = found
        match row["journal_seq"]:
            case seq if seq == KEY:
                return await self._released("parking_release", parked, by, at)
            case seq if seq == STATE:
                return await self._released("parking_begin_anew", parked, at, by)
            case seq:
                return await self._released("parking_discard", parked, seq, at, _timers(row), _questions(row), by)

    async def _released(self, name: str, *arguments: Any) -> CustomerId | None:
        rows = await self._database.fetch(name, *arguments)
        return rows[0]["user_id"] if rows else None


def _timers(row: Mapping[str, Any]) -> Sequence[Any]:
    """The timer that the event came from: events of the service are named after what they came from."""
    if row["kind"] != _TIMER_KIND:
        return ()
    return [timer for timer in row["timers"] if event_key("timer", str(timer)) == row["dedup"]]


def _questions(row: Mapping[str, Any]) -> Sequence[Any]:
    if row["kind"] not in _ANSWER_KINDS:
        return ()
    return [question for question in row["questions"] if event_key("ask", str(question)) == row["dedup"]]
