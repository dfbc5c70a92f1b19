"""Delivery reports: `sent`, `delivered`, `read` or `failed` for each accepted message, posted to the webhook.

Reports wait in one heap by due time; one task moves what is due to a few senders, each with its own queue, chosen by
the customer's number, so that one customer's reports stay in order. No task and no timer per message.
"""

import asyncio
import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from bot.core.messages import Value
from bot.sandbox.behaviour import Behaviours, ReportRule, pick
from bot.sandbox.bodies import report
from bot.sandbox.callbacks import Webhook
from bot.sandbox.records import Mark, Records, Sent
from bot.sandbox.settings import SandboxSettings

PENDING: Final = 200_000
"""Reports that may wait; more are dropped and counted as `reports_dropped`."""
FAILURES: Final = {
    131026: "Message undeliverable",
    131047: "Re-engagement message",
    131049: "Not delivered to maintain healthy ecosystem engagement",
    131050: "User has stopped receiving marketing messages",
    131056: "Pair rate limit hit",
}


class Due(Value, frozen=True, kw_only=True):
    """A report that waits for its moment."""

    message: Sent
    status: str
    reason: str = ""


class Reports:
    """Sends the reports of accepted messages; `tell` is called for each report as it becomes due."""

    def __init__(
        self,
        settings: SandboxSettings,
        records: Records,
        behaviours: Behaviours,
        webhook: Webhook,
        tell: Callable[[Due], None],
    ) -> None:
        self._settings = settings
        self._records = records
        self._behaviours = behaviours
        self._webhook = webhook
        self._tell = tell
        self._heap: list[tuple[float, int, Due]] = []
        self._order = itertools.count()
        self._changed = asyncio.Event()
        self._lanes: list[deque[Due]] = [deque() for _ in range(settings.report_workers)]
        self._wakes = [asyncio.Event() for _ in self._lanes]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._pump(), name="sandbox reports")]
        self._tasks += [
            asyncio.create_task(self._lane(n), name=f"sandbox reports {n}") for n in range(len(self._lanes))
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def clear(self) -> None:
        """Forget the reports that have not gone out."""
        self._heap.clear()
        for lane in self._lanes:
            lane.clear()

    def accepted(self, message: Sent) -> None:
        """Plan the reports of a message that was just accepted."""
        if not self._settings.reports:
            return
        active = pick(self._behaviours.reports, (message.to,)) if self._behaviours.reports else None
        rule = active.rule if active else _PLAIN
        if not rule.off:
            self._plan(message, rule)

    def read(self, message: Sent) -> None:
        """Plan the report that the customer has read the message, after whatever is still planned for it."""
        if self._settings.reports:
            self._add(time.time() + 3 * self._settings.report_gap, Due(message=message, status="read"))

    def _plan(self, message: Sent, rule: ReportRule) -> None:
        marks = _marks(message, rule, read=rule.read or self._settings.auto_read)
        due = message.at + rule.late
        for mark in reversed(marks) if rule.out_of_order else marks:
            due += self._settings.report_gap
            for _ in range(2 if rule.duplicate else 1):
                self._add(due, mark)

    def _add(self, due: float, mark: Due) -> None:
        if len(self._heap) >= PENDING:
            self._records.counters["reports_dropped"] += 1
            return
        heapq.heappush(self._heap, (due, next(self._order), mark))
        if self._heap[0][2] is mark:
            self._changed.set()

    async def _pump(self) -> None:
        while True:
            self._release(time.time())
            self._changed.clear()
            pause = self._heap[0][0] - time.time() if self._heap else None
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _release(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            due = heapq.heappop(self._heap)[2]
            lane = hash(due.message.to) % len(self._lanes)
            self._lanes[lane].append(due)
            self._wakes[lane].set()

    async def _lane(self, number: int) -> None:
        lane, wake = self._lanes[number], self._wakes[number]
        while True:
            await wake.wait()
            wake.clear()
            while lane:
                await self._send([lane.popleft() for _ in range(min(len(lane), self._settings.report_batch))])

    async def _send(self, batch: list[Due]) -> None:
        bodies = [report(due.message, self._note(due), self._settings.webhook_shape) for due in batch]
        answer = await self._webhook.post(bodies if self._settings.report_batch > 1 else bodies[0])
        self._records.counters["reports_taken" if answer.taken else "reports_refused"] += len(batch)

    def _note(self, due: Due) -> Mark:
        mark = Mark(status=due.status, at=time.time(), reason=due.reason)
        due.message.statuses.append(mark)
        self._tell(due)
        return mark


_PLAIN: Final = ReportRule()


def _marks(message: Sent, rule: ReportRule, *, read: bool) -> list[Due]:
    sent = Due(message=message, status="sent")
    if rule.failed is not None:
        reason = f"{rule.failed} {FAILURES.get(rule.failed, 'Message failed to send')}"
        return [sent, Due(message=message, status="failed", reason=reason)]
    later = ["delivered", "read"] if read else ["delivered"]
    return [sent, *(Due(message=message, status=status) for status in later)]
