"""One call of every operation, with its answer: in the OpenAPI document, on its page and in docs/api.md.

They are one story: Priya asks for a person, is answered, and goes. Tests hold each to its route and its schemas.
"""

from typing import Any, Final

import msgspec

Json = dict[str, Any]


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """`path` is filled, with its query, below the API's prefix. `body` is None where the route has none."""

    path: str
    answer: Json
    body: Json | None = None


TALK: Final = "01937b5e-7d11-7001-8a3f-5d2e61b0c7aa"
_SESSION = "01937b5e-7d11-700c-8a3f-5d2e61b0c7aa"
_ASKED, _REPLIED = "01937b61-1a20-7001-9a3f-5d2e61b0c7aa", "01937b62-8c00-7001-9a3f-5d2e61b0c7aa"
_SENT, _EVENT = "01937b70-0e10-7001-b4c1-9e07a2d3f510", "01937b5e-8c00-7c00-9a3f-5d2e61b0c7aa"
_ENDPOINT = "bf7c2ed6-7277-418b-964f-efbb178321f7"
_PHONE, _OURS = "919876543210", "919000000001"
_SECRET = "whsec_Tf2crPrMtYNItxohWmPpKfP1oIws0B647RvRB/btCac="  # noqa: S105 - an example
_TOKEN = "wsd_1_a2HCTOAygHgP0mOqxaLzPgQ007B7op5LjwEXD715atH0jkfcf"  # noqa: S105 - an example


def _at(clock: str) -> str:
    return f"2026-01-31T{clock}Z"


_CONVERSATION: Final[Json] = {
    "id": TALK,
    "session_id": _SESSION,
    "phone_number": _PHONE,
    "user_id": None,
    "name": "Priya Sharma",
    "erased": False,
    "status": "queue",
    "current_flow": "",
    "current_step": "",
    "language": "en",
    "department": "sales",
    "escalation_reason": "The customer asked for a person.",
    "agent": "",
    "number": _OURS,
    "created_at": _at("08:29:10"),
    "updated_at": _at("08:30:01"),
    "heard_at": _at("08:30:00"),
    "completed_at": None,
    "resolution_time": None,
    "satisfaction_score": None,
    "last_message": "A colleague will be with you shortly.",
}
_MESSAGE: Final[Json] = {
    "id": _ASKED,
    "seq": 3,
    "conversation_id": TALK,
    "direction": "inbound",
    "message_type": "text",
    "kind": "customer",
    "content": {"type": "text", "text": "agent please"},
    "text": "agent please",
    "erased": False,
    "sender_number": _PHONE,
    "recipient_number": _OURS,
    "delivery_status": "received",
    "msg91_message_id": "wamid.HBgMOTE5ODc2NTQzMjEwFQIAEhg",
    "failure_reason": "",
    "failure_code": 0,
    "is_from_llm": False,
    "llm_model_used": "",
    "llm_cost": None,
    "processing_time": None,
    "agent": "",
    "unanswered": "",
    "created_at": _at("08:30:00"),
    "sent_at": None,
    "delivered_at": None,
    "read_at": None,
}
_REPLY: Final[Json] = _MESSAGE | {
    "id": _REPLIED,
    "seq": 5,
    "direction": "outbound",
    "kind": "agent",
    "content": {"type": "text", "text": "Meera here. How can I help?"},
    "text": "Meera here. How can I help?",
    "sender_number": _OURS,
    "recipient_number": _PHONE,
    "delivery_status": "read",
    "msg91_message_id": "wamid.HBgMOTE5ODc2NTQzMjEwFQIAERg",
    "agent": "Meera",
    "processing_time": 0.21,
    "created_at": _at("08:31:02"),
    "sent_at": _at("08:31:02.210000"),
    "delivered_at": _at("08:31:03"),
    "read_at": _at("08:31:20"),
}
_USER: Final[Json] = {
    "phone_number": _PHONE,
    "user_id": None,
    "name": "Priya Sharma",
    "erased": False,
    "language": "en",
    "opted_out": False,
    "conversation_id": TALK,
    "conversations": 1,
    "created_at": _at("08:29:10"),
    "updated_at": _at("08:31:02"),
}
_FLOWS: Final[Json] = {
    "items": [
        {"flow_id": "support", "version": 1, "priority": 10, "steps": 22, "digest": "549ed0b431ecf58dd91b544a7e65576e"}
    ],
    "next": None,
}
_WEBHOOK: Final[Json] = {
    "id": _ENDPOINT,
    "url": "https://crm.example.com/desk",
    "events": ["conversation.escalated", "conversation.resolved"],
    "description": "our CRM",
    "active": True,
    "created_at": _at("07:00:00"),
    "disabled_at": None,
    "disabled_reason": "",
    "failing_since": None,
}
_DELIVERY: Final[Json] = {
    "id": 41,
    "webhook_id": _ENDPOINT,
    "event_id": _EVENT,
    "type": "conversation.escalated",
    "conversation_id": TALK,
    "status": "failed",
    "attempts": 11,
    "last_status_code": 500,
    "error": "HTTP 500",
    "created_at": _at("08:30:00"),
    "next_try_at": None,
    "finished_at": "2026-02-01T08:30:00Z",
}
_AGAIN: Final = _DELIVERY | {"status": "pending", "attempts": 0, "next_try_at": _at("08:30:00"), "finished_at": None}
_API_TOKEN: Final[Json] = {
    "id": 1,
    "name": "crm",
    "scopes": ["users:read", "messages:send"],
    "created_at": _at("07:00:00"),
    "created_by": "admin",
    "last_used_at": None,
    "expires_at": "2027-01-31T07:00:00Z",
    "revoked_at": None,
}


def _done(*messages: str) -> Json:
    return {"status": "done", "conversation_id": TALK, "messages": list(messages)}


def _page(*items: Json, following: str | None = None) -> Json:
    return {"items": list(items), "next": following}


EXAMPLES: Final[dict[str, Example]] = {
    "GET /conversations": Example(
        path="/conversations?status=queue&q=priya&limit=1",
        answer=_page(_CONVERSATION, following="2SQwMTkzN2I1ZS03ZDExLTcwMDEtOGEzZi01ZDJlNjFiMGM3YWE"),
    ),
    "GET /conversations/{id}": Example(
        path=f"/conversations/{TALK}?limit=1",
        answer=_CONVERSATION
        | {
            "messages": [_MESSAGE],
            "messages_next": "Aw",
            "model": {"calls": 1, "tokens": 412, "cost_usd": 0.00031, "estimated": False},
        },
    ),
    "POST /conversations/{id}/reply": Example(
        path=f"/conversations/{TALK}/reply",
        body={"message": "Meera here. How can I help?", "agent": "Meera"},
        answer=_done(_REPLIED),
    ),
    "POST /conversations/{id}/escalate": Example(
        path=f"/conversations/{TALK}/escalate",
        body={"department": "billing", "reason": "a question about an invoice", "by": "Meera"},
        answer=_done(),
    ),
    "POST /conversations/{id}/assign": Example(
        path=f"/conversations/{TALK}/assign", body={"agent": "Anil", "by": "Meera"}, answer=_done()
    ),
    "POST /conversations/{id}/resolve": Example(
        path=f"/conversations/{TALK}/resolve", body={"note": "sent the invoice again", "by": "Anil"}, answer=_done()
    ),
    "POST /conversations/{id}/return_to_bot": Example(
        path=f"/conversations/{TALK}/return_to_bot", body={"by": "Anil"}, answer=_done()
    ),
    "GET /users/{phone}": Example(path=f"/users/{_PHONE}", answer=_USER),
    "PATCH /users/{phone}": Example(
        path=f"/users/{_PHONE}",
        body={"language": "hi", "opted_out": True, "by": "Meera"},
        answer=_USER | {"language": "hi", "opted_out": True},
    ),
    "DELETE /users/{phone}": Example(
        path=f"/users/{_PHONE}",
        answer={"status": "done", "conversations": 1, "messages": 5, "events": 4, "cancelled": 0, "quarantined": 0},
    ),
    "GET /users/{phone}/export": Example(
        path=f"/users/{_PHONE}/export",
        answer={
            "exported_at": "2026-01-31T09:00:00Z",
            "customer": {
                "id": 401,
                "merged_ids": [],
                "name": "Priya Sharma",
                "language": "en",
                "opted_out": False,
                "state": {"customer": {"phone": _PHONE}},
                "created_at": _at("08:29:10"),
                "updated_at": _at("08:31:02"),
            },
            "identities": [{"kind": "phone", "value": _PHONE, "since": _at("08:29:10")}],
            "conversations": [],
            "messages": [],
            "model_calls": [],
            "questions": [],
            "timers": [],
            "audit": [],
            "events": [],
            "parked": [],
            "delivery_reports": [],
            "webhook_deliveries": [],
            "complete": True,
        },
    ),
    "POST /messages": Example(
        path="/messages",
        body={
            "phone_number": "+91 98765 43210",
            "template": {"name": "parcel", "language": "en", "variables": ["Priya", "Tuesday"]},
            "by": "shop",
        },
        answer={"status": "done", "message_id": _SENT, "messages": [_SENT]},
    ),
    "POST /messages/bulk": Example(
        path="/messages/bulk",
        body={
            "template": {"name": "parcel", "language": "en", "variables": ["customer", "Monday"]},
            "recipients": [
                {"phone_number": "+91 98765 43210", "variables": ["Priya", "Tuesday"]},
                {"phone_number": "919812345678"},
            ],
        },
        answer={
            "results": [
                {"phone_number": "+91 98765 43210", "success": True, "status": "done", "message_id": _SENT},
                {
                    "phone_number": "919812345678",
                    "success": False,
                    "status": "refused",
                    "error": "the customer opted out of messages",
                },
            ]
        },
    ),
    "GET /messages/{id}": Example(path=f"/messages/{_REPLIED}", answer=_REPLY),
    "GET /flows": Example(path="/flows", answer=_FLOWS),
    "POST /flows/reload": Example(path="/flows/reload", answer=_FLOWS),
    "GET /parked": Example(
        path="/parked",
        answer=_page(
            {
                "id": 7,
                "phone_number": _PHONE,
                "user_id": None,
                "name": "Priya Sharma",
                "erased": False,
                "conversation_id": TALK,
                "event": "message_received",
                "error": "ValueError: no such operation",
                "attempts": 3,
                "parked_at": _at("08:40:00"),
            }
        ),
    ),
    "POST /parked/{id}/retry": Example(path="/parked/7/retry", answer={"status": "done", "id": 7}),
    "POST /parked/{id}/discard": Example(path="/parked/7/discard", answer={"status": "done", "id": 7}),
    "GET /quarantine": Example(
        path="/quarantine?limit=1",
        answer=_page(
            {
                "id": 3,
                "reason": "a message without a sender",
                "body": '{"integratedNumber":"919000000001","contentType":"text","text":"hello"}',
                "received_at": _at("08:20:00"),
            }
        ),
    ),
    "GET /stats": Example(
        path="/stats?from=2026-01-01&to=2026-02-01",
        answer={
            "from": "2026-01-01T00:00:00Z",
            "to": "2026-02-01T00:00:00Z",
            "conversations": {
                "started": 412,
                "open": 9,
                "closed": 403,
                "handed_to_person": 61,
                "contained": 342,
                "average_resolution_seconds": 1260.5,
                "average_satisfaction": 4.4,
            },
            "messages": {
                "inbound": 1480,
                "outbound": 1712,
                "from_model": 230,
                "by_status": {"received": 1480, "sent": 30, "delivered": 290, "read": 1388, "failed": 4},
                "average_reply_seconds": 0.85,
            },
            "model": {"calls": 236, "tokens": 97234, "cost_usd": 0.0716, "estimated": False},
        },
    ),
    "GET /audit": Example(
        path=f"/audit?by=Anil&conversation={TALK}",
        answer=_page(
            {
                "id": 233,
                "action": "resolved",
                "by": "Anil",
                "phone_number": _PHONE,
                "conversation_id": TALK,
                "detail": "",
                "note": "sent the invoice again",
                "erased": False,
                "created_at": _at("08:50:00"),
            }
        ),
    ),
    "GET /tokens": Example(path="/tokens", answer=_page(_API_TOKEN)),
    "POST /tokens": Example(
        path="/tokens",
        body={"name": "crm", "scopes": ["users:read", "messages:send"], "expires_in_days": 365},
        answer=_API_TOKEN | {"token": _TOKEN},
    ),
    "DELETE /tokens/{id}": Example(path="/tokens/1", answer=_API_TOKEN | {"revoked_at": _at("12:00:00")}),
    "GET /webhooks": Example(path="/webhooks", answer=_page(_WEBHOOK)),
    "POST /webhooks": Example(
        path="/webhooks",
        body={key: _WEBHOOK[key] for key in ("url", "events", "description")},
        answer=_WEBHOOK | {"secret": _SECRET},
    ),
    "GET /webhooks/{id}": Example(path=f"/webhooks/{_ENDPOINT}", answer=_WEBHOOK),
    "PATCH /webhooks/{id}": Example(
        path=f"/webhooks/{_ENDPOINT}",
        body={"active": False},
        answer=_WEBHOOK | {"active": False, "disabled_at": _at("12:00:00"), "disabled_reason": "by request"},
    ),
    "DELETE /webhooks/{id}": Example(path=f"/webhooks/{_ENDPOINT}", answer={"status": "done", "id": _ENDPOINT}),
    "POST /webhooks/{id}/rotate_secret": Example(
        path=f"/webhooks/{_ENDPOINT}/rotate_secret",
        answer={"id": _ENDPOINT, "secret": _SECRET, "old_secret_until": "2026-02-01T12:00:00Z"},
    ),
    "POST /webhooks/{id}/ping": Example(
        path=f"/webhooks/{_ENDPOINT}/ping", answer=_AGAIN | {"id": 42, "type": "ping", "conversation_id": None}
    ),
    "GET /webhooks/{id}/deliveries": Example(
        path=f"/webhooks/{_ENDPOINT}/deliveries?status=failed", answer=_page(_DELIVERY)
    ),
    "POST /webhooks/deliveries/{id}/redeliver": Example(path="/webhooks/deliveries/41/redeliver", answer=_AGAIN),
    "POST /webhooks/{id}/redeliver": Example(
        path=f"/webhooks/{_ENDPOINT}/redeliver?since=2026-01-31T08:00:00Z", answer={"count": 1}
    ),
}
"""By method and path of the route."""
