"""Outgoing messages in PostgreSQL: what became of each attempt to send, what reports say, and what a lost replica left.

The order of statuses is that of `bot.core.delivery`. Reports that come before the provider's answer was noted wait in a
table of their own and are applied when the note brings the id by which they are matched.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from bot.adapters.postgres.claims import claimed
from bot.adapters.postgres.columns import as_json
from bot.adapters.postgres.pool import Database
from bot.core.delivery import DeliveryStatus, advance
from bot.core.ids import CustomerId, MessageId
from bot.ports.keys import Vault
from bot.ports.outbox import FailedReport, Orphan, ReportResult, SendNote
from bot.wire.msg91.identity import report_key
from bot.wire.msg91.reports import DeliveryReport, ReportStatus

_BIT: Final[Mapping[ReportStatus, int]] = {"sent": 1, "failed": 2, "delivered": 4, "read": 8}
"""What `messages.reported` adds up."""


class _Told(msgspec.Struct, frozen=True):
    """A report as `outbox_report` takes it."""

    id: UUID | None
    provider_id: str | None
    request_id: str | None
    recipient64: bytes | None
    status: ReportStatus
    bit: int
    reason: str
    code: int
    at: float
    dedup64: bytes


class _Applied(msgspec.Struct, frozen=True):
    """A report that was matched, with what was before its batch."""

    message: MessageId
    customer: CustomerId
    before: DeliveryStatus
    reported: int
    status: ReportStatus
    reason: str
    code: int


class PostgresOutbox:
    """Fulfils `bot.ports.outbox.Outbox`. The vault is for the fingerprints of recipients."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def note(self, notes: Sequence[SendNote]) -> Sequence[FailedReport]:
        """Of several notes of one message the last counts. Returns what reports that waited for a note turned into
        `failed`.
        """
        last = {note.id: note for note in notes}
        waiting = await self._database.fetch("outbox_note", as_json(list(last.values())))
        return await self._settle(waiting)

    async def report(self, reports: Sequence[DeliveryReport], at: float) -> ReportResult:
        """A message is found by our own reference, else the provider's id, else the call's id and the recipient."""
        told = [self._told(report, at) for report in reports]
        rows = await self._database.fetch("outbox_report", as_json(told), at)
        matched = [
            _Applied(MessageId(str(id_)), customer, before, reported, report.status, report.reason, report.code)
            for report, (_, id_, customer, before, reported, _) in zip(told, rows, strict=True)
            if id_ is not None
        ]
        unknown = [row for row in rows if row["id"] is None]
        result = _result(matched)
        of_matched = iter(result.repeated)
        repeated = tuple(row["dedup"] is None if row["id"] is None else next(of_matched) for row in rows)
        late = await self._settle(unknown)  # the note may have been written at the same moment
        return ReportResult(
            repeated=repeated,
            failed=result.failed + late,
            accepted_messages=result.accepted_messages,
        )

    async def settle(self) -> Sequence[FailedReport]:
        """Apply reports that still wait although their message is known: those whose note was written at the same
        moment. To be called now and then; returns what turned into `failed`.
        """
        return await self._settle(await self._database.fetch("outbox_overlooked"))

    async def orphans(self, me: str, limit: int, *, turn: int, since: int | None = None) -> Sequence[Orphan]:
        """All that a gone replica left of at most `limit` customers, each customer's in order."""
        rows = await claimed(self._database, "outbox_orphans", me, limit, turn, since)
        return [_orphan(row) for row in rows]

    async def behind(
        self, me: str, customers: Sequence[CustomerId], *, claiming: int | None = None
    ) -> Sequence[CustomerId]:
        """Others' first and then those of the call: what moves from the one to the other meanwhile is seen once."""
        rows = list(await self._database.fetch("outbox_behind", me, customers))
        if claiming is not None:
            rows += await self._database.fetch("outbox_claiming", me, customers, claiming)
        return list({row["user_id"]: None for row in rows})

    async def let_go(self, me: str, ids: Sequence[MessageId]) -> None:
        await self._database.fetch("outbox_let_go", me, ids)

    async def still_mine(self, me: str, ids: Sequence[MessageId]) -> Sequence[MessageId]:
        """Confirmed for as long as the last beat of `me` said it may be silent."""
        mine = {str(row["id"]) for row in await self._database.fetch("outbox_still_mine", me, ids)}
        return [id_ for id_ in ids if id_ in mine]

    async def _settle(self, waiting: Iterable[Any]) -> tuple[FailedReport, ...]:
        dedups = [row["dedup"] for row in waiting if row["dedup"] is not None]
        if not dedups:
            return ()
        rows = await self._database.fetch("outbox_settle", dedups)
        return _result(_Applied(MessageId(str(row["id"])), *row[2:]) for row in rows).failed

    def _told(self, report: DeliveryReport, at: float) -> _Told:
        return _Told(
            id=_uuid(report.message_id),
            provider_id=report.provider_id or None,
            request_id=report.request_id or None,
            recipient64=self._vault.fingerprint("phone", report.recipient) if report.recipient else None,
            status=report.status,
            bit=_BIT[report.status],
            reason=report.reason,
            code=report.code,
            at=at if report.at is None else report.at,
            dedup64=report_key(report),
        )


def _result(applied: Iterable[_Applied]) -> ReportResult:
    """What a batch of matched reports changed, told in their order."""
    status: dict[MessageId, DeliveryStatus] = {}
    reported: dict[MessageId, int] = {}
    first: dict[MessageId, _Applied] = {}
    failures: dict[MessageId, FailedReport] = {}
    repeated: list[bool] = []
    for report in applied:
        id_ = report.message
        first.setdefault(id_, report)
        seen = reported.setdefault(id_, report.reported)
        repeated.append(bool(seen & _BIT[report.status]))
        reported[id_] = seen | _BIT[report.status]
        status[id_] = advance(status.get(id_, report.before), report.status)
        if report.status == "failed":
            failures.setdefault(
                id_, FailedReport(message=id_, customer=report.customer, reason=report.reason, code=report.code)
            )
    return ReportResult(
        repeated=tuple(repeated),
        # Told again when it is reported again: the answer to the first report may have been lost, with what it said.
        failed=tuple(failures[id_] for id_ in failures if status[id_] == "failed"),
        accepted_messages=tuple(
            id_ for id_ in status if first[id_].before in {"pending", "sending"} and status[id_] != "failed"
        ),
    )


def _orphan(row: Any) -> Orphan:
    fields = dict(row) | {"id": str(row["id"]), "conversation": str(row["conversation"])}
    return Orphan(**fields | {"data_key": row["data_key"] or b""})


def _uuid(text: str) -> UUID | None:
    """None for a reference that is none of ours: another system may send from the same account."""
    try:
        return UUID(text)
    except ValueError:
        return None
