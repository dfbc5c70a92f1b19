"""Everything about one customer out of PostgreSQL, page by page, opened under the customers' keys and the service's.

Rows are read as they are asked for: an export of fifty thousand messages holds one page in memory. What no index leads
to (applied events of the journal, unmatched reports) is read through by primary key in pages.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec

from bot.adapters.postgres.directory import IDENTITY_CONTEXT
from bot.adapters.postgres.pool import Database
from bot.core.events import decode_envelope
from bot.core.messages import decode_content, spoken
from bot.core.state import decode_conversation
from bot.ports.exports import (
    Export,
    ExportedConversation,
    ExportedCustomer,
    ExportedDeed,
    ExportedDelivery,
    ExportedEvent,
    ExportedIdentity,
    ExportedMessage,
    ExportedModelCall,
    ExportedParking,
    ExportedQuestion,
    ExportedReport,
    ExportedTimer,
    Page,
    Section,
)
from bot.ports.keys import Sealer, Vault
from bot.ports.record import Record
from bot.runtime.thinking import decode_question
from bot.runtime.writer import NAME_CONTEXT, NOTE_CONTEXT, REASON_CONTEXT, STATE_CONTEXT

ROWS_AT_ONCE: Final = 500
LOOKED_THROUGH_AT_ONCE: Final = 5_000
"""Rows of the journal or of reports looked through in one statement."""

Row = Mapping[str, Any]
R = TypeVar("R", bound=Record)


class PostgresExports:
    """Fulfils `bot.ports.exports.Exports`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def export(self, phone: str) -> Export | None:
        hash_ = self._vault.fingerprint("phone", phone)
        people = await self._database.fetch("export_customer", hash_)
        if not people:
            return None
        return Export(customer=people[0]["id"], pages=_Rows(self._database, self._vault, people).pages())


class _Rows:
    """One export: the customer's rows first, the one who is left at their head."""

    def __init__(self, database: Database, vault: Vault, people: Sequence[Row]) -> None:
        self._database = database
        self._vault = vault
        self._people = people
        self._ids = [person["id"] for person in people]
        self._keys = {person["id"]: self._key(person["data_key"]) for person in people}
        self._conversations: dict[UUID, int] = {}
        self._hashes: list[bytes] = []

    async def pages(self) -> AsyncIterator[Page]:
        yield Page(section="customer", items=[self._customer()])
        yield Page(section="identities", items=await self._identities())
        async for page in self._rows("conversations", "export_conversations", self._conversation, None):
            yield page
        async for page in self._of_conversations("messages", self._messages):
            yield page
        async for page in self._of_conversations("model_calls", self._model_calls):
            yield page
        yield Page(section="questions", items=await self._some("export_questions", self._question))
        yield Page(section="timers", items=await self._some("export_timers", lambda row: ExportedTimer(**row)))
        async for page in self._rows("audit", "export_audit", self._deed, 0):
            yield page
        async for page in self._looked_through("events", "export_journal", self._ids, 0, self._event):
            yield page
        yield Page(section="parked", items=await self._some("export_parked", lambda row: ExportedParking(**row)))
        async for page in self._looked_through("delivery_reports", "export_reports", self._hashes, b"", _report):
            yield page
        async for page in self._rows("webhook_deliveries", "export_webhooks", self._delivery, 0):
            yield page

    # --- pages -------------------------------------------------------------------------------------------------------

    async def _some(self, name: str, made: Callable[[Row], Record]) -> Sequence[Record]:
        return [made(row) for row in await self._database.fetch(name, self._ids)]

    async def _rows(
        self, section: Section, name: str, made: Callable[[Row], Record], after: Any
    ) -> AsyncIterator[Page]:
        """Rows by their ids, page after page; the last page is not full."""
        rows: Sequence[Row] = ()
        while True:
            rows = await self._database.fetch(name, self._ids, after, ROWS_AT_ONCE)
            yield Page(section=section, items=[made(row) for row in rows])
            if len(rows) < ROWS_AT_ONCE:
                return
            after = rows[-1]["id"]

    async def _of_conversations(
        self, section: Section, read: Callable[[UUID], AsyncIterator[Sequence[Record]]]
    ) -> AsyncIterator[Page]:
        yield Page(section=section, items=())
        for conversation in self._conversations:
            async for items in read(conversation):
                yield Page(section=section, items=items)

    async def _looked_through(
        self, section: Section, name: str, whose: Sequence[Any], after: Any, made: Callable[[Row], Record]
    ) -> AsyncIterator[Page]:
        yield Page(section=section, items=())
        while rows := await self._database.fetch(name, whose, after, LOOKED_THROUGH_AT_ONCE):
            yield Page(section=section, items=[made(row) for row in rows if row[1:] != (None,) * len(row[1:])])
            after = rows[0]["last"]

    # --- items -------------------------------------------------------------------------------------------------------

    def _customer(self) -> ExportedCustomer:
        person = self._people[0]
        key = self._keys[person["id"]]
        state = _plain(key, person["state"], STATE_CONTEXT)
        return ExportedCustomer(
            id=person["id"],
            merged_ids=self._ids[1:],
            name=_text(key, person["name"], NAME_CONTEXT),
            language=person["language"],
            opted_out=person["opted_out"],
            state=msgspec.to_builtins(decode_conversation(state)) if state is not None else None,
            created_at=person["created_at"],
            updated_at=person["updated_at"],
        )

    async def _identities(self) -> Sequence[Record]:
        found = []
        for row in await self._database.fetch("export_identities", self._ids):
            value = _text(self._keys[row["user_id"]], row["sealed"], IDENTITY_CONTEXT)
            if value is not None:
                self._hashes.append(self._vault.fingerprint(row["kind"], value))
            found.append(ExportedIdentity(kind=row["kind"], value=value, since=row["created_at"]))
        return found

    def _conversation(self, row: Row) -> ExportedConversation:
        self._conversations[row["id"]] = row["user_id"]
        reason = _text(self._keys[row["user_id"]], row["escalation_reason"] or None, REASON_CONTEXT)
        return _made(ExportedConversation, row, escalation_reason=reason)

    async def _messages(self, conversation: UUID) -> AsyncIterator[Sequence[Record]]:
        after = 0
        while rows := await self._database.fetch("export_messages", conversation, after, ROWS_AT_ONCE):
            yield [self._message(row) for row in rows]
            after = rows[-1]["seq"]

    def _message(self, row: Row) -> ExportedMessage:
        key = self._keys[row["user_id"]]
        plain = _plain(key, row["content"], row["id"].bytes)
        content = decode_content(plain) if plain is not None else None
        return _made(
            ExportedMessage,
            row,
            content=msgspec.to_builtins(content),
            text=spoken(content) if content is not None else None,
            sender_number=_text(key, row["sender_number"], IDENTITY_CONTEXT),
            recipient_number=_text(key, row["recipient_number"], IDENTITY_CONTEXT),
            llm_cost=float(row["llm_cost"]) if row["llm_cost"] is not None else None,
        )

    async def _model_calls(self, conversation: UUID) -> AsyncIterator[Sequence[Record]]:
        rows = await self._database.fetch("export_model_calls", conversation)
        yield [_made(ExportedModelCall, row, cost_usd=float(row["cost_usd"])) for row in rows]

    def _question(self, row: Row) -> ExportedQuestion:
        plain = _plain(self._keys[row["user_id"]], row["sealed"], row["id"].bytes)
        question = msgspec.to_builtins(decode_question(plain)) if plain is not None else None
        return _made(ExportedQuestion, row, question=question)

    def _deed(self, row: Row) -> ExportedDeed:
        note = _text(self._keys[row["user_id"]], row["note"] or None, NOTE_CONTEXT)
        return _made(ExportedDeed, row, by=row["by_whom"], note=note)

    def _event(self, row: Row) -> ExportedEvent:
        plain = _plain(self._vault, row["sealed"], row["dedup"])
        event = msgspec.to_builtins(decode_envelope(plain).event) if plain is not None else None
        return _made(ExportedEvent, row, event=event, applied_at=row["consumed_at"])

    def _delivery(self, row: Row) -> ExportedDelivery:
        plain = _plain(self._keys[row["user_id"]], row["sealed"], row["event_id"].bytes)
        return _made(ExportedDelivery, row, body=msgspec.json.decode(plain) if plain is not None else None)

    def _key(self, wrapped: bytes | None) -> Sealer | None:
        try:
            return self._vault.customer(wrapped or b"")
        except ValueError:
            return None


def _made(kind: type[R], row: Row, **given: Any) -> R:
    """The record, with `given` in place of what the row has."""
    return kind(**{name: given[name] if name in given else row[name] for name in kind.__struct_fields__})


def _plain(key: Sealer | None, sealed: bytes | None, context: bytes) -> bytes | None:
    """None where there is nothing, or nobody can read it."""
    if key is None or not sealed:
        return None
    try:
        return key.open(sealed, context)
    except ValueError:
        return None


def _text(key: Sealer | None, sealed: bytes | None, context: bytes) -> str | None:
    plain = _plain(key, sealed, context)
    return plain.decode() if plain is not None else None


def _report(row: Row) -> ExportedReport:
    return _made(ExportedReport, row)
