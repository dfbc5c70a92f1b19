"""Delivery reports: noted in groups, without an actor. A failure that is for good becomes an event of the
conversation.

While the store is away, or such an event cannot be journalled in time, reports go to the spool (P8). They need no
order: a status never goes backwards, and a report that comes again tells of its failure again.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from bot import metrics
from bot.core.ids import MessageId
from bot.ports.failures import Unavailable
from bot.ports.outbox import FailedReport, Outbox, ReportResult
from bot.runtime.clock import Clock
from bot.runtime.group import Group
from bot.runtime.spooled import SpooledReport
from bot.runtime.spooling import Spooling
from bot.wire.msg91.reports import DeliveryReport

TellFailed = Callable[[Sequence[FailedReport]], Awaitable[None]]


class _Batch(msgspec.Struct):
    """The reports of one webhook."""

    reports: Sequence[DeliveryReport]
    done: asyncio.Future[int]


class Reports:
    def __init__(self, *, outbox: Outbox, spooling: Spooling, clock: Clock, most: int) -> None:
        self._outbox = outbox
        self._spooling = spooling
        self._clock = clock
        self._tell_failed: TellFailed | None = None
        self._on_proof: Callable[[MessageId], None] = lambda _: None
        self._group: Group[_Batch, int] = Group(
            "reports", perform=self._note, settle=self._settle, clock=clock, most=most, patient=False
        )

    def connect(self, *, failed: TellFailed, proven: Callable[[MessageId], None]) -> None:
        """`failed` makes an event of each message that will never arrive, and returns when it is durable; `proven`
        hears of messages the provider certainly took.
        """
        self._tell_failed = failed
        self._on_proof = proven

    def __len__(self) -> int:
        return len(self._group)

    async def accept(self, reports: Sequence[DeliveryReport]) -> int:
        """Make reports durable and advance their messages; how many had been seen before. Raises `Unavailable`."""
        for report in reports:
            metrics.reports_total.labels(report.status).inc()
        batch = _Batch(reports=reports, done=asyncio.get_running_loop().create_future())
        self._group.add(batch)
        return await batch.done

    async def apply(self, reports: Sequence[DeliveryReport]) -> Sequence[bool]:
        """Note reports and publish what they changed, however long that takes; of each, whether it had been seen
        before. Safe to repeat. Raises as the outbox does.
        """
        try:
            result = await self._outbox.report(reports, self._clock.now())
        except Unavailable:
            metrics.store_errors_total.labels("reports").inc()
            raise
        await self._publish(result)
        metrics.duplicates_total.inc(sum(result.repeated))
        return result.repeated

    async def drained(self) -> None:
        await self._group.drained()

    async def _note(self, batches: Sequence[_Batch]) -> Sequence[int]:
        reports = [report for batch in batches for report in batch.reports]
        seen = await self._spooling.either(lambda: self.apply(reports), [self._spooled(report) for report in reports])
        repeated = iter(seen or ())
        return [sum(itertools.islice(repeated, len(batch.reports))) for batch in batches]

    def _spooled(self, report: DeliveryReport) -> SpooledReport:
        at = self._clock.now() if report.at is None else report.at
        return SpooledReport(report=msgspec.structs.replace(report, at=at))

    async def _publish(self, result: ReportResult) -> None:
        for message in result.accepted_messages:
            self._on_proof(message)
        if result.failed and self._tell_failed is not None:
            await self._tell_failed(result.failed)

    def _settle(self, batch: _Batch, result: int | Exception) -> None:
        if batch.done.done():
            return
        if isinstance(result, Exception):
            batch.done.set_exception(result)
        else:
            batch.done.set_result(result)
