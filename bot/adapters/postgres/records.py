"""What administrators read, from PostgreSQL: rows joined with their customers and opened under the customers' keys.

A key that was destroyed is nothing unusual: what it sealed is null and the record says `erased`. A value that does not
open under a living key is null as well, and counted, because something is wrong with it.
Lists are read in two steps, ids by index and then what belongs to them, so that each kind of list has its own plan.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from bot import metrics
from bot.adapters.postgres.directory import IDENTITY_CONTEXT
from bot.adapters.postgres.pool import Database
from bot.core.ids import ConversationId, MessageId
from bot.core.messages import Inbound, Outbound, decode_content, spoken
from bot.core.modes import Mode, held_by_person
from bot.ports.keys import Sealer, Vault
from bot.records import (
    AuditRecord,
    AuditWanted,
    ConversationRecord,
    ConversationStats,
    MessageRecord,
    MessageStats,
    ModelTotals,
    ParkedRecord,
    QuarantineRecord,
    Stats,
    UserRecord,
)
from bot.runtime.intake import QUARANTINE_CONTEXT
from bot.runtime.writer import NAME_CONTEXT, NOTE_CONTEXT, REASON_CONTEXT

PREVIEW: Final = 120
"""Characters of the newest message that a conversation shows."""
_SLACK: Final = timedelta(milliseconds=2)
"""An id carries whole milliseconds of its row's time, so bounds of ids reach a little further than those of times."""
_ID_TIME_SHIFT: Final = 80
_COPIED: Final = tuple(
    name
    for name in ConversationRecord.__struct_fields__
    if name not in {"id", "phone_number", "user_id", "name", "erased", "last_message", "escalation_reason"}
)
_COPIED_OF_MESSAGE: Final = tuple(
    name
    for name in MessageRecord.__struct_fields__
    if name
    not in {"id", "conversation_id", "content", "text", "erased", "sender_number", "recipient_number", "llm_cost"}
)

Row = Mapping[str, Any]


class PostgresRecords:
    """`Records` over the statements `sql/queries/records_*.sql`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def conversations(
        self, *, status: Mode | None, words: Sequence[str] | None, after: ConversationId | None, limit: int
    ) -> Sequence[ConversationRecord]:
        place = UUID(after) if after else None
        if words is None:
            ids = await self._database.fetch(_list_of(status), status, place, limit)
        else:
            prints = [self._vault.fingerprint("search", word) for word in words]
            ids = await self._database.fetch("records_conversations_found", status, place, limit, prints)
        return await self._conversations([row["id"] for row in ids])

    async def conversation(self, conversation: ConversationId) -> ConversationRecord | None:
        found = await self._conversations([UUID(conversation)])
        return found[0] if found else None

    async def transcript(
        self, conversation: ConversationId, *, before: int | None, limit: int
    ) -> Sequence[MessageRecord]:
        rows = await self._database.fetch("records_transcript", UUID(conversation), before, limit)
        return [self._message(row) for row in reversed(rows)]

    async def model_use(self, conversation: ConversationId) -> ModelTotals:
        return ModelTotals(**(await self._database.fetch("records_model_use", UUID(conversation)))[0])

    async def message(self, message: MessageId) -> MessageRecord | None:
        rows = await self._database.fetch("records_message", UUID(message))
        return self._message(rows[0]) if rows else None

    async def user(self, phone: str) -> UserRecord | None:
        rows = await self._database.fetch("records_user", self._vault.fingerprint("phone", phone))
        return self._user(rows[0]) if rows else None

    async def parked(self, *, after: int | None, limit: int) -> Sequence[ParkedRecord]:
        return [self._parked(row) for row in await self._database.fetch("records_parked", after, limit)]

    async def quarantine(self, *, after: int | None, limit: int) -> Sequence[QuarantineRecord]:
        return [self._quarantined(row) for row in await self._database.fetch("records_quarantine", after, limit)]

    async def audit(
        self, wanted: AuditWanted, *, after: tuple[datetime, int] | None, limit: int
    ) -> Sequence[AuditRecord]:
        name, few = self._audit_list(wanted)
        ids = await self._database.fetch(name, wanted.since, wanted.until, *(after or (None, None)), limit, *few)
        rows = await self._database.fetch("records_audit", [row["id"] for row in ids]) if ids else ()
        return [self._audited(row) for row in rows]

    async def stats(self, since: datetime, until: datetime) -> Stats:
        bounds = (since, until, _first_id(since - _SLACK), _first_id(until + _SLACK))
        conversations = await self._database.fetch("records_stats_conversations", *bounds)
        messages = await self._database.fetch("records_stats_messages", since, until)
        model = await self._database.fetch("records_stats_model", since, until)
        return Stats(
            since=since,
            until=until,
            conversations=ConversationStats(**conversations[0]),
            messages=_message_stats(messages),
            model=ModelTotals(**model[0]),
        )

    def _audit_list(self, wanted: AuditWanted) -> tuple[str, Sequence[Any]]:
        """The statement whose index suits what is asked, and its arguments beyond time and place."""
        about = self._vault.fingerprint("phone", wanted.phone) if wanted.phone else None
        if wanted.conversation is not None:
            about_it = UUID(wanted.conversation)
            return "records_audit_conversation", (wanted.by, wanted.action, about_it, about)
        if about is not None:
            return "records_audit_customer", (wanted.by, wanted.action, about)
        if wanted.by is None:
            return ("records_audit_recent", ()) if wanted.action is None else ("records_audit_action", (wanted.action,))
        if wanted.action is None:
            return "records_audit_by", (wanted.by,)
        return "records_audit_by_action", (wanted.by, wanted.action)

    async def _conversations(self, ids: Sequence[UUID]) -> Sequence[ConversationRecord]:
        rows = await self._database.fetch("records_conversations", ids) if ids else ()
        return [self._conversation(row) for row in rows]

    def _conversation(self, row: Row) -> ConversationRecord:
        key, newest = self._key(row["content_key"]), None
        if row["last_id"] is not None:
            newest = _content(key, row["last_content"], row["last_id"])
        return ConversationRecord(
            id=ConversationId(str(row["id"])),
            last_message=spoken(newest)[:PREVIEW] if newest is not None else None,
            escalation_reason=_opened(key, row["escalation_reason"] or None, REASON_CONTEXT) or "",
            **self._person(row),
            **{name: row[name] for name in _COPIED},
        )

    def _message(self, row: Row) -> MessageRecord:
        key = self._key(row["data_key"])
        content = _content(key, row["content"], row["id"])
        return MessageRecord(
            id=MessageId(str(row["id"])),
            conversation_id=ConversationId(str(row["conversation_id"])),
            content=content,
            text=spoken(content) if content is not None else None,
            erased=key is None,
            sender_number=_opened(key, row["sender_number"], IDENTITY_CONTEXT),
            recipient_number=_opened(key, row["recipient_number"], IDENTITY_CONTEXT),
            llm_cost=float(row["llm_cost"]) if row["llm_cost"] is not None else None,
            **{name: row[name] for name in _COPIED_OF_MESSAGE},
        )

    def _user(self, row: Row) -> UserRecord:
        return UserRecord(
            **self._person(row),
            language=row["language"],
            opted_out=row["opted_out"],
            conversation_id=_conversation_id(row["newest"]),
            conversations=row["conversations"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
        )

    def _parked(self, row: Row) -> ParkedRecord:
        return ParkedRecord(
            id=row["id"],
            **self._person(row),
            conversation_id=_conversation_id(row["conversation_id"]),
            event=row["event"] or "",
            error=row["error"],
            attempts=row["attempts"],
            parked_at=row["parked_at"],
        )

    def _audited(self, row: Row) -> AuditRecord:
        key = self._key(row["data_key"])
        return AuditRecord(
            id=row["id"],
            action=row["action"],
            by=row["by_whom"],
            phone_number=_opened(key, row["phone"], IDENTITY_CONTEXT),
            conversation_id=_conversation_id(row["conversation_id"]),
            detail=row["detail"],
            note=_opened(self._key(row["note_key"]), row["note"] or None, NOTE_CONTEXT),
            erased=row["user_id"] is not None and key is None,
            created_at=row["created_at"],
        )

    def _quarantined(self, row: Row) -> QuarantineRecord:
        body = _plain(self._vault, row["sealed"], QUARANTINE_CONTEXT)
        return QuarantineRecord(
            id=row["id"],
            reason=row["reason"],
            body=body.decode("utf-8", "replace") if body is not None else None,
            received_at=row["received_at"],
        )

    def _person(self, row: Row) -> dict[str, Any]:
        """Who the customer is, as the fields of every record that shows one."""
        key = self._key(row["data_key"])
        return {
            "phone_number": _opened(key, row["phone"], IDENTITY_CONTEXT),
            "user_id": _opened(key, row["wa_id"], IDENTITY_CONTEXT),
            "name": _opened(key, row["name"], NAME_CONTEXT),
            "erased": key is None,
        }

    def _key(self, wrapped: bytes | None) -> Sealer | None:
        """None when the key was destroyed."""
        try:
            return self._vault.customer(wrapped) if wrapped else None
        except ValueError:
            metrics.sealed_bad_total.labels("data_key").inc()
            return None


def _list_of(status: Mode | None) -> str:
    """The statement whose plan suits the status: most conversations are closed, few are open, fewer wait."""
    if status is None or status == "closed":
        return "records_conversations_recent"
    return "records_conversations_held" if held_by_person(status) else "records_conversations_open"


def _plain(key: Sealer, sealed: bytes, context: bytes) -> bytes | None:
    try:
        return key.open(sealed, context)
    except ValueError:
        metrics.sealed_bad_total.labels("record").inc()
        return None


def _opened(key: Sealer | None, sealed: bytes | None, context: bytes) -> str | None:
    """The text, None when there is none: absent, empty, erased or unreadable."""
    if key is None or sealed is None:
        return None
    plain = _plain(key, sealed, context)
    return plain.decode() or None if plain is not None else None


def _content(key: Sealer | None, sealed: bytes, message: UUID) -> Inbound | Outbound | None:
    plain = _plain(key, sealed, message.bytes) if key is not None else None
    try:
        return decode_content(plain) if plain is not None else None
    except msgspec.DecodeError:
        metrics.sealed_bad_total.labels("record").inc()
        return None


def _conversation_id(found: UUID | None) -> ConversationId | None:
    return ConversationId(str(found)) if found else None


def _first_id(moment: datetime) -> UUID:
    """The smallest UUID of version 7 of that millisecond (RFC 9562, section 5.7)."""
    return UUID(int=int(moment.timestamp() * 1000) << _ID_TIME_SHIFT)


def _message_stats(rows: Sequence[Row]) -> MessageStats:
    """`withheld` answers were never sent: they are among the statuses, not among the outbound."""
    said = [row for row in rows if row["delivery_status"] != "withheld"]
    outbound = [row for row in said if row["direction"] == "outbound"]
    timed = sum(row["timed"] for row in outbound)
    return MessageStats(
        inbound=sum(row["messages"] for row in said if row["direction"] == "inbound"),
        outbound=sum(row["messages"] for row in outbound),
        from_model=sum(row["from_model"] for row in outbound),
        by_status={row["delivery_status"]: row["messages"] for row in rows},
        average_reply_seconds=sum(row["seconds"] for row in outbound) / timed if timed else None,
    )
