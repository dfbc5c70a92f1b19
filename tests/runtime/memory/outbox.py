"""Fulfils `bot.ports.outbox.Outbox` in memory."""

from collections.abc import Sequence

from bot.core.delivery import advance
from bot.core.ids import CustomerId, MessageId
from bot.ports.outbox import FailedReport, Orphan, ReportResult, SendNote
from bot.runtime.clock import Clock
from bot.runtime.dispatch import NOBODY
from bot.wire.msg91.identity import report_key
from bot.wire.msg91.reports import DeliveryReport
from tests.runtime.memory.link import Link
from tests.runtime.memory.tables import Kept, Message, Tables, rank

BITS = {"sent": 1, "failed": 2, "delivered": 4, "read": 8}
UNSENT = {"pending", "sending"}


class MemoryOutbox:
    def __init__(self, tables: Tables, link: Link, clock: Clock) -> None:
        self._tables = tables
        self._link = link
        self._clock = clock

    async def note(self, notes: Sequence[SendNote]) -> Sequence[FailedReport]:
        return await self._link.call("outbox.note", lambda: self._note(notes))

    async def settle(self) -> Sequence[FailedReport]:
        return await self._link.call("outbox.settle", self._settle)

    async def report(self, reports: Sequence[DeliveryReport], at: float) -> ReportResult:
        return await self._link.call("outbox.report", lambda: self._report(reports))

    async def orphans(self, me: str, limit: int, *, turn: int, since: int | None = None) -> Sequence[Orphan]:
        return await self._link.call(
            "outbox.orphans", lambda: self._orphans(me, limit, turn, turn if since is None else since)
        )

    async def behind(
        self, me: str, customers: Sequence[CustomerId], *, claiming: int | None = None
    ) -> Sequence[CustomerId]:
        return await self._link.call("outbox.behind", lambda: self._behind(me, customers, claiming))

    async def let_go(self, me: str, ids: Sequence[MessageId]) -> None:
        def work() -> None:
            for id_ in ids:
                if self._tables.messages[id_].claimed_by == me:
                    self._tables.messages[id_].claimed_by = NOBODY

        await self._link.call("outbox.let_go", work)

    async def still_mine(self, me: str, ids: Sequence[MessageId]) -> Sequence[MessageId]:
        return await self._link.call("outbox.still_mine", lambda: self._still_mine(me, ids))

    # --- notes -------------------------------------------------------------------------------------------------------

    def _note(self, notes: Sequence[SendNote]) -> list[FailedReport]:
        for note in {note.id: note for note in notes}.values():
            message = self._tables.messages.get(note.id)
            if message is not None and (note.status not in UNSENT or message.status in UNSENT):
                _write_down(message, note)
        return self._settle()

    def _settle(self) -> list[FailedReport]:
        waiting = [kept.report for kept in self._tables.reports.values() if not kept.matched]
        known = [report for report in waiting if self._find(report) is not None]
        for report in known:
            self._tables.reports[report_key(report)].matched = True
        return list(self._applied(known).failed)

    # --- reports -----------------------------------------------------------------------------------------------------

    def _report(self, reports: Sequence[DeliveryReport]) -> ReportResult:
        known = [report for report in reports if self._find(report) is not None]
        result = self._applied(known)
        of_known = iter(result.repeated)
        repeated = []
        for report in reports:
            if report in known:
                repeated.append(next(of_known))
                continue
            repeated.append(report_key(report) in self._tables.reports)
            self._tables.reports.setdefault(report_key(report), Kept(report=report))
        return ReportResult(
            repeated=tuple(repeated),
            failed=result.failed,
            accepted_messages=result.accepted_messages,
        )

    def _find(self, report: DeliveryReport) -> Message | None:
        outbound = self._tables.outbound()
        ours = (message for message in outbound if message.row.id == report.message_id)
        theirs = (message for message in outbound if report.provider_id and message.provider_id == report.provider_id)
        calls = (message for message in outbound if report.request_id and message.request_id == report.request_id)
        return next((*ours, *theirs, *calls).__iter__(), None)

    def _applied(self, reports: Sequence[DeliveryReport]) -> ReportResult:
        before: dict[MessageId, str] = {}
        failures: dict[MessageId, FailedReport] = {}
        repeated = []
        for report in reports:
            message = self._find(report)
            assert message is not None
            before.setdefault(message.row.id, message.status)
            repeated.append(bool(message.reported & BITS[report.status]))
            self._apply(message, report)
            if report.status == "failed":
                failure = FailedReport(
                    message=message.row.id, customer=message.customer, reason=report.reason, code=report.code
                )
                failures.setdefault(message.row.id, failure)
        after = {id_: self._tables.messages[id_].status for id_ in before}
        return ReportResult(
            repeated=tuple(repeated),
            failed=tuple(failures[id_] for id_ in failures if after[id_] == "failed"),
            accepted_messages=tuple(id_ for id_ in before if before[id_] in UNSENT and after[id_] != "failed"),
        )

    def _apply(self, message: Message, report: DeliveryReport) -> None:
        if rank(message.status) < 0 or message.reported & BITS[report.status]:
            return
        message.reported |= BITS[report.status]
        if report.status == "failed" and rank(message.status) < rank("failed"):
            message.reason, message.code = report.reason, report.code
        message.status = advance(message.status, report.status)  # type: ignore[arg-type]
        message.claimed_by = ""
        message.retry_at = None
        message.provider_id = message.provider_id or report.provider_id

    # --- claims ------------------------------------------------------------------------------------------------------

    def _orphans(self, me: str, limit: int, turn: int, since: int) -> list[Orphan]:
        now = self._clock.now()
        if not self._tables.takes_turn(me, turn, now):
            return []
        live = {*self._tables.live(now), me}
        unsent = [message for message in self._tables.outbound() if message.claimed_by]
        again = [message for message in unsent if message.claimed_by == me and message.claim_token >= since]
        left = [
            message
            for message in unsent
            if message.claimed_by not in live
            and (message.claimed_until or 0.0) <= now
            and not self._is_held_back(message, me, now)
        ]
        customers = list(dict.fromkeys(message.customer for message in left))[:limit]
        for message in (left := [message for message in left if message.customer in customers]):
            message.claimed_by, message.claimed_until, message.claim_token = me, None, turn
        return [self._orphan(message) for message in sorted([*again, *left], key=lambda message: message.seq)]

    def _is_held_back(self, message: Message, me: str, now: float) -> bool:
        """A living replica has still to send what comes before it."""
        for earlier in self._tables.outbound():
            if earlier is message:
                return False
            theirs = earlier.customer == message.customer and earlier.claimed_by not in {"", me}
            held = earlier.claimed_by in self._tables.live(now) or (earlier.claimed_until or 0.0) > now
            if theirs and held:
                return True
        return False

    def _is_behind(self, message: Message, me: str) -> bool:
        """Somebody else has still to send what comes before it."""
        others = (one for one in self._tables.outbound(message.customer) if one.claimed_by not in {"", me})
        return any(one.seq < message.seq for one in others)

    def _behind(self, me: str, customers: Sequence[CustomerId], claiming: int | None) -> list[CustomerId]:
        unsent = [message for message in self._tables.outbound() if message.claimed_by]
        waiting = {
            message.customer
            for message in unsent
            if message.claimed_by != me or (claiming is not None and message.claim_token >= claiming)
        }
        return [customer for customer in customers if customer in waiting]

    def _orphan(self, message: Message) -> Orphan:
        row = message.row
        return Orphan(
            id=row.id,
            customer=message.customer,
            conversation=row.conversation,
            data_key=self._tables.users[message.customer].data_key,
            content=row.content,
            recipient_number=row.recipient_number,
            number=row.number,
            kind=row.kind,
            caused_at=row.caused_at,
            created_at=row.at,
            attempts=message.attempts,
            uncertain=message.status == "sending",
            retry_at=message.retry_at,
        )

    def _still_mine(self, me: str, ids: Sequence[MessageId]) -> list[MessageId]:
        replica = self._tables.replicas.get(me)
        if replica is None:
            return []
        claimed = [id_ for id_ in ids if self._tables.messages[id_].claimed_by == me]
        given_up = [id_ for id_ in claimed if self._is_behind(self._tables.messages[id_], me)]
        for id_ in given_up:
            self._tables.messages[id_].claimed_by = NOBODY
        mine = [id_ for id_ in claimed if id_ not in given_up]
        for id_ in mine:
            until = max(self._clock.now(), replica.seen_at) + replica.gone_at - replica.seen_at
            self._tables.messages[id_].claimed_until = until
        return mine


def _write_down(message: Message, note: SendNote) -> None:
    ahead = rank(message.status) > rank(note.status) and not message.claimed_by
    if note.status in UNSENT or rank(note.status) > rank(message.status):
        message.status = note.status
    if note.status not in UNSENT:
        message.claimed_by = ""
    erased = not message.row.content
    if not erased:
        message.provider_id = message.provider_id or note.provider_id
        message.request_id = message.request_id or note.request_id
    if not ahead and not erased:
        message.reason, message.code = note.reason, note.code
    message.attempts = max(message.attempts, note.attempts)
    message.retry_at = note.retry_at
