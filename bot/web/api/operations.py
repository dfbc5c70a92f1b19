"""What keeps the service itself going: flows, parked customers, quarantined bodies, numbers."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from bot.records import FlowSummary, ParkedRecord, QuarantineRecord, Stats
from bot.web.api.answered import FlowList, ParkedList, QuarantineList, Settled
from bot.web.api.asked import ByNumber, Nothing, Paged, Period
from bot.web.api.cursor import cursor_of, number_in
from bot.web.api.reading import moment_in
from bot.web.api.route import Call
from bot.web.errors import Refused, invalid

USUAL_PERIOD = timedelta(days=7)
LONGEST_PERIOD = timedelta(days=366)

UNKNOWN = "Nothing is parked under this id; it may have been settled already."


async def flows(call: Call[Nothing, Nothing]) -> FlowList:
    return _flows(call.desk.flows())


async def reload_flows(call: Call[Nothing, Nothing]) -> FlowList:
    problems = await call.desk.reload_flows()
    if problems:
        raise Refused(422, "The flows have problems and stay as they were.", problems=problems)
    in_force = call.desk.flows()
    await call.audit.record("flows_reloaded", by=call.caller, detail=f"{len(in_force)} flows")
    return _flows(in_force)


async def parked(call: Call[Paged, Nothing]) -> ParkedList:
    asked = call.asked
    found = await call.records.parked(after=number_in(asked.cursor), limit=asked.limit + 1)
    return ParkedList(items=list(found[: asked.limit]), next=_next(found, asked.limit))


async def retry(call: Call[ByNumber, Nothing]) -> Settled:
    return _settled(call.asked.id, await call.desk.retry_parked(call.asked.id, by=call.caller))


async def discard(call: Call[ByNumber, Nothing]) -> Settled:
    return _settled(call.asked.id, await call.desk.discard_parked(call.asked.id, by=call.caller))


async def quarantine(call: Call[Paged, Nothing]) -> QuarantineList:
    asked = call.asked
    found = await call.records.quarantine(after=number_in(asked.cursor), limit=asked.limit + 1)
    shown = list(found[: asked.limit])
    if shown:  # they hold customers' words: who reads them is written down first
        await call.audit.record("quarantine_read", by=call.caller, detail=f"bodies {shown[-1].id} to {shown[0].id}")
    return QuarantineList(items=shown, next=_next(found, asked.limit))


async def stats(call: Call[Period, Nothing]) -> Stats:
    until = moment_in(call.asked.until, "to") or datetime.now(UTC)
    since = moment_in(call.asked.since, "from") or until - USUAL_PERIOD
    if since >= until:
        raise invalid(**{"from": "The period must begin before it ends: `from` before `to`."})
    if until - since > LONGEST_PERIOD:
        raise invalid(**{"from": f"The period may have {LONGEST_PERIOD.days} days at most."})
    return await call.records.stats(since, until)


def _flows(found: Sequence[FlowSummary]) -> FlowList:
    return FlowList(items=list(found), next=None)


def _settled(parked_id: int, known: bool) -> Settled:
    if not known:
        raise Refused(404, UNKNOWN)
    return Settled(status="done", id=parked_id)


def _next(found: Sequence[ParkedRecord] | Sequence[QuarantineRecord], limit: int) -> str | None:
    return cursor_of(found[limit - 1].id) if len(found) > limit else None
