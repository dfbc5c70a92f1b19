"""The rows of a history, table by table, as `COPY` takes them: tuples in the order of the named columns."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

COLUMNS: Final = {
    "users": "id data_key version state name language opted_out search created_at updated_at",
    "identities": "hash user_id kind sealed created_at",
    "conversations": "id session_id user_id status language escalation_reason department agent number resolution_time"
    " satisfaction_score created_at updated_at heard_at completed_at",
    "messages": "id conversation_id user_id direction message_type kind content sender_number recipient_number number"
    " msg91_message_id request_id delivery_status failure_reason failure_code attempts reported agent unanswered"
    " is_from_llm llm_model_used llm_cost processing_time caused_at created_at sent_at delivered_at read_at",
    "model_calls": "id user_id conversation_id outcome model prompt_tokens completion_tokens cost_usd estimated"
    " attempts seconds generation_id created_at",
    "audit": "action by_whom user_id conversation_id detail created_at",
    "timers": "id user_id kind due_at",
}
"""In the order in which they are written: customers first, as the others refer to them."""

Record = tuple[Any, ...]


class Tables(msgspec.Struct, kw_only=True):
    """What is to be written, in order of time within each conversation: that gives messages their sequence."""

    users: list[Record] = []
    identities: list[Record] = []
    conversations: list[Record] = []
    messages: list[Record] = []
    model_calls: list[Record] = []
    audit: list[Record] = []
    timers: list[Record] = []

    def filled(self) -> Iterator[tuple[str, tuple[str, ...], list[Record]]]:
        """Name, columns and rows of each table that has any."""
        for name, columns in COLUMNS.items():
            rows: list[Record] = getattr(self, name)
            if rows:
                yield name, tuple(columns.split()), rows
