"""A small support desk in memory: what it holds, and `Records` over it, for tests of the web layer.

The same scenes can be stored in PostgreSQL (`tests/adapters/test_postgres_records.py`), where the real adapter has to
read the same records out of them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from bot.core.ids import ConversationId, MessageId, new_id
from bot.core.messages import Inbound, Outbound, Text, spoken
from bot.core.modes import Mode
from bot.core.search import search_words
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
from tests.web.api_office import audit_page

START = datetime(2026, 3, 1, 9, 30, 15, 250000, UTC)
OURS = "919000000001"


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def id_at(minutes: float, seed: int = 1) -> str:
    return new_id(at(minutes).timestamp(), seed, 0)


def conversation(minutes: float, phone: str | None, name: str | None = None, **fields: Any) -> ConversationRecord:
    """A conversation that began so many minutes after `START`."""
    return msgspec.structs.replace(
        ConversationRecord(
            id=ConversationId(id_at(minutes)),
            session_id=f"session-{minutes}",
            phone_number=phone,
            user_id=None,
            name=name,
            erased=False,
            status="bot",
            current_flow="support",
            current_step="menu",
            language="en",
            department="",
            escalation_reason="",
            agent="",
            number=OURS,
            created_at=at(minutes),
            updated_at=at(minutes + 1),
            heard_at=at(minutes),
            completed_at=None,
            resolution_time=None,
            satisfaction_score=None,
            last_message=None,
        ),
        **fields,
    )


def message(
    talk: ConversationRecord, minutes: float, content: Inbound | Outbound, *, seq: int, **fields: Any
) -> MessageRecord:
    """A message of `talk`; the customer's unless `direction` says otherwise."""
    inbound = fields.get("direction", "inbound") == "inbound"
    theirs = talk.phone_number or talk.user_id
    shown = None if talk.erased else content
    return msgspec.structs.replace(
        MessageRecord(
            id=MessageId(id_at(minutes, seq + 1000)),
            seq=seq,
            conversation_id=talk.id,
            direction="inbound" if inbound else "outbound",
            message_type="text",
            kind="customer" if inbound else "flow",
            content=shown,
            text=spoken(shown) if shown else None,
            erased=talk.erased,
            sender_number=theirs if inbound else OURS,
            recipient_number=OURS if inbound else theirs,
            delivery_status="received" if inbound else "sent",
            msg91_message_id=f"wamid.{seq}",
            failure_reason="",
            failure_code=0,
            is_from_llm=False,
            llm_model_used="",
            llm_cost=None,
            processing_time=None,
            agent="",
            unanswered="",
            created_at=at(minutes),
            sent_at=None,
            delivered_at=None,
            read_at=None,
        ),
        **fields,
    )


class ModelCallMade(msgspec.Struct, frozen=True, kw_only=True):
    conversation: ConversationId
    tokens: int
    cost_usd: float
    estimated: bool
    created_at: datetime


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What a desk holds. A customer is who has the same phone number, or business-scoped id, or is erased."""

    conversations: tuple[ConversationRecord, ...] = ()
    messages: tuple[MessageRecord, ...] = ()
    users: tuple[UserRecord, ...] = ()
    calls: tuple[ModelCallMade, ...] = ()
    parked: tuple[ParkedRecord, ...] = ()
    quarantine: tuple[QuarantineRecord, ...] = ()
    audit: tuple[AuditRecord, ...] = ()


def a_scene() -> Scene:
    """Three customers, one of them without a number; five conversations; something of everything else."""
    old = conversation(
        0, "919876543210", "Priya Sharma", status="closed", completed_at=at(9), resolution_time=540.0, agent="Anil"
    )
    now = conversation(10, "919876543210", "Priya Sharma", last_message="Your order number?")
    waiting = conversation(
        20, None, "Zoë", user_id="IN.26001", status="queue", department="sales", escalation_reason="asked"
    )
    done = conversation(
        30, "4915112345678", "Jonas", status="closed", completed_at=at(31), satisfaction_score=4, last_message="Danke"
    )
    held = conversation(40, "4915112345678", "Jonas", status="agent", agent="Meera")
    messages = (
        message(now, 10, Text(text="help me"), seq=1),
        message(
            now,
            10.1,
            Text(text="Hello Priya!"),
            seq=2,
            direction="outbound",
            is_from_llm=True,
            llm_model_used="m/1",
            llm_cost=0.0025,
            delivery_status="read",
            processing_time=1.5,
            sent_at=at(10.1),
            delivered_at=at(10.2),
            read_at=at(10.3),
        ),
        message(
            now,
            10.2,
            Text(text="Your order number?"),
            seq=3,
            direction="outbound",
            delivery_status="failed",
            failure_reason="window closed",
            failure_code=131047,
        ),
        message(done, 30, Text(text="Danke"), seq=4, unanswered="opted_out"),
    )
    return Scene(
        conversations=(old, now, waiting, done, held),
        messages=messages,
        users=(
            _user("919876543210", "Priya Sharma", now, 2),
            _user(None, "Zoë", waiting, 1, user_id="IN.26001"),
            _user("4915112345678", "Jonas", held, 2, opted_out=True, language="de"),
        ),
        calls=(
            ModelCallMade(conversation=now.id, tokens=120, cost_usd=0.0025, estimated=False, created_at=at(10)),
            ModelCallMade(conversation=now.id, tokens=80, cost_usd=0.001, estimated=True, created_at=at(11)),
        ),
        parked=(_parked(7, now), _parked(9, waiting)),
        quarantine=tuple(
            QuarantineRecord(id=number, reason="no sender", body=f'{{"n":{number}}}', received_at=at(number))
            for number in (1, 2, 3)
        ),
    )


def _user(phone: str | None, name: str, newest: ConversationRecord, conversations: int, **fields: Any) -> UserRecord:
    return msgspec.structs.replace(
        UserRecord(
            phone_number=phone,
            user_id=None,
            name=name,
            erased=False,
            language="en",
            opted_out=False,
            conversation_id=newest.id,
            conversations=conversations,
            created_at=at(0),
            updated_at=at(50),
        ),
        **fields,
    )


def _parked(number: int, talk: ConversationRecord) -> ParkedRecord:
    return ParkedRecord(
        id=number,
        phone_number=talk.phone_number,
        user_id=talk.user_id,
        name=talk.name,
        erased=False,
        conversation_id=talk.id,
        event="MessageReceived",
        error="ValueError: no such operation",
        attempts=3,
        parked_at=at(number),
    )


class MemoryRecords:
    """`Records` over a scene."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    async def conversations(
        self, *, status: Mode | None, words: Sequence[str] | None, after: ConversationId | None, limit: int
    ) -> Sequence[ConversationRecord]:
        found = [
            talk
            for talk in sorted(self.scene.conversations, key=lambda talk: talk.id, reverse=True)
            if status in {None, talk.status}
            and (after is None or talk.id < after)
            and (words is None or set(words) <= set(search_words(talk.phone_number or "", talk.name or "")))
        ]
        return found[:limit]

    async def conversation(self, conversation: ConversationId) -> ConversationRecord | None:
        return next((talk for talk in self.scene.conversations if talk.id == conversation), None)

    async def transcript(
        self, conversation: ConversationId, *, before: int | None, limit: int
    ) -> Sequence[MessageRecord]:
        said = [one for one in self.scene.messages if one.conversation_id == conversation]
        return [one for one in said if before is None or one.seq < before][-limit:]

    async def model_use(self, conversation: ConversationId) -> ModelTotals:
        return _totals([call for call in self.scene.calls if call.conversation == conversation])

    async def message(self, message: MessageId) -> MessageRecord | None:
        return next((one for one in self.scene.messages if one.id == message), None)

    async def user(self, phone: str) -> UserRecord | None:
        return next((user for user in self.scene.users if user.phone_number == phone), None)

    async def parked(self, *, after: int | None, limit: int) -> Sequence[ParkedRecord]:
        return [one for one in reversed(self.scene.parked) if after is None or one.id < after][:limit]

    async def quarantine(self, *, after: int | None, limit: int) -> Sequence[QuarantineRecord]:
        return [one for one in reversed(self.scene.quarantine) if after is None or one.id < after][:limit]

    async def audit(
        self, wanted: AuditWanted, *, after: tuple[datetime, int] | None, limit: int
    ) -> Sequence[AuditRecord]:
        return audit_page(self.scene.audit, wanted, after=after, limit=limit)

    async def stats(self, since: datetime, until: datetime) -> Stats:
        talks = [talk for talk in self.scene.conversations if since <= talk.created_at < until]
        said = [one for one in self.scene.messages if since <= one.created_at < until]
        return Stats(
            since=since,
            until=until,
            conversations=_conversation_stats(talks),
            messages=_message_stats(said),
            model=_totals([call for call in self.scene.calls if since <= call.created_at < until]),
        )


def _totals(calls: Sequence[ModelCallMade]) -> ModelTotals:
    return ModelTotals(
        calls=len(calls),
        tokens=sum(call.tokens for call in calls),
        cost_usd=sum(call.cost_usd for call in calls),
        estimated=any(call.estimated for call in calls),
    )


def _average(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _conversation_stats(talks: Sequence[ConversationRecord]) -> ConversationStats:
    closed = [talk for talk in talks if talk.status == "closed"]
    handed = [talk for talk in talks if talk.agent or talk.department or talk.status in {"queue", "agent"}]
    return ConversationStats(
        started=len(talks),
        open=len(talks) - len(closed),
        closed=len(closed),
        handed_to_person=len(handed),
        contained=len([talk for talk in closed if talk not in handed]),
        average_resolution_seconds=_average([talk.resolution_time for talk in talks]),
        average_satisfaction=_average([talk.satisfaction_score for talk in talks]),
    )


def _message_stats(said: Sequence[MessageRecord]) -> MessageStats:
    statuses = [one.delivery_status for one in said]
    return MessageStats(
        inbound=len([one for one in said if one.direction == "inbound"]),
        outbound=len([one for one in said if one.direction == "outbound"]),
        from_model=len([one for one in said if one.is_from_llm]),
        by_status={status: statuses.count(status) for status in statuses},
        average_reply_seconds=_average([one.processing_time for one in said]),
    )
