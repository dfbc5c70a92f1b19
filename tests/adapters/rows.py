"""Rows for the tests of the stores: valid ones, of which each test changes what it is about."""

import itertools
import os
import uuid
from typing import Any

import asyncpg

from bot.adapters.cipher import AesVault, ServiceKeys
from bot.core.ids import ConversationId, CustomerId, EffectId, JournalSeq, MessageId, TimerId
from bot.ports.journal import Entry
from bot.ports.outbox import SendNote
from bot.ports.store import ConversationRow, EffectRow, MessageRow, TimerRow, Write

AT = 1_700_000_000.0
_counter = itertools.count(1)


def new_vault() -> AesVault:
    keys = ServiceKeys({"k1": b"\1" * 32})
    return AesVault(keys, keys.new_key())


def new_uuid() -> str:
    return str(uuid.UUID(int=(7 << 76) | (2 << 62) | next(_counter)))


async def new_customer(pool: asyncpg.Pool) -> CustomerId:
    return CustomerId(await pool.fetchval("insert into users (data_key) values ('key') returning id"))


def entry(customer: CustomerId, **changes: Any) -> Entry:
    fields = {"dedup": os.urandom(16), "kind": "message_received", "sealed": os.urandom(40), "at": AT}
    return Entry(**{**fields, "customer": customer, **changes})


def conversation_row(id_: str, **changes: Any) -> ConversationRow:
    texts = dict.fromkeys(("current_flow", "current_step", "department", "agent", "number"), "")
    times = dict.fromkeys(("created_at", "updated_at", "heard_at"), AT)
    fields = {"id": ConversationId(id_), "session_id": "s", "status": "bot", "language": "en", **texts, **times}
    fields["escalation_reason"] = b""
    return ConversationRow(**{**fields, **changes})


def inbound(conversation: str, **changes: Any) -> MessageRow:
    return outbound(
        conversation, **{"direction": "inbound", "delivery_status": "received", "claimed_by": "", **changes}
    )


def outbound(conversation: str, **changes: Any) -> MessageRow:
    fields = {
        "id": MessageId(new_uuid()),
        "conversation": ConversationId(conversation),
        "direction": "outbound",
        "message_type": "text",
        "content": b"content",
        "sender_number": b"from",
        "recipient_number": b"to",
        "delivery_status": "pending",
        "kind": "flow",
        "at": AT,
        "caused_at": AT,
        "claimed_by": "me",
    }
    return MessageRow(**{**fields, **changes})


def effect_row(**changes: Any) -> EffectRow:
    fields = {"id": EffectId(new_uuid()), "kind": "ask_model", "sealed": b"question", "claimed_by": "me"}
    return EffectRow(**{**fields, **changes})


def timer_row(**changes: Any) -> TimerRow:
    return TimerRow(**{"id": TimerId(new_uuid()), "kind": "session", "due": AT + 60, **changes})


def write(customer: CustomerId, *consumed: JournalSeq, **changes: Any) -> Write:
    fields = {"version": 0, "commit_id": int.from_bytes(os.urandom(8)), "state": b"state", "at": AT}
    return Write(**{**fields, "customer": customer, "consumed": consumed, **changes})


def note(id_: MessageId, status: Any, **changes: Any) -> SendNote:
    return SendNote(**{"id": id_, "status": status, "at": AT + 1, **changes})
