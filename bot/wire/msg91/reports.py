"""Delivery reports: what became of a message of ours, in MSG91's words under both spellings, the plain ones or Meta's.

A report is matched by `message_id` (our own reference came back), by `request_id` and `recipient`, or by `provider_id`.
Whoever looks it up must take `message_id` for any text: another system may send from the same account.
"""

from collections.abc import Mapping
from typing import Final, Literal

from bot.core.messages import Value
from bot.wire.msg91.failures import code_in
from bot.wire.msg91.fields import (
    REASON_LIMIT,
    JsonObject,
    an_object,
    identifier,
    label,
    moment,
    number,
    objects,
    phone,
    text,
)
from bot.wire.msg91.wamids import bare_id

ReportStatus = Literal["sent", "delivered", "read", "failed"]

STATUSES: Final[Mapping[str, ReportStatus]] = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "seen": "read",
    "played": "read",
    "failed": "failed",
    "undelivered": "failed",
    "rejected": "failed",
}
NOTICES: Final = frozenset(
    {"clicked", "click", "url_click", "urlclick", "url click", "submitted", "accepted", "queued", "deleted", "warning"}
)
"""Words that tell of a message of ours and change nothing."""
_CODE_LONGEST: Final = 999_999


class DeliveryReport(Value, frozen=True, kw_only=True):
    """`message_id` is our reference where it came back, `provider_id` the wamid, `recipient` digits; each may be "".

    `code` is the provider's or Meta's number (0: none given), `at` unix seconds of the status.
    """

    status: ReportStatus
    message_id: str = ""
    provider_id: str = ""
    request_id: str = ""
    recipient: str = ""
    reason: str = ""
    code: int = 0
    at: float | None = None


def status_word(event: JsonObject) -> str:
    """What `eventName`, in the older spelling `status`, says, in lower case; "" when it says nothing."""
    return text(event.get("eventName") or event.get("status")).strip().lower()


def read_account_report(event: JsonObject) -> DeliveryReport | None:
    """The report in a body of MSG91's; None when its status is unknown or it names no message."""
    status = STATUSES.get(status_word(event))
    if status is None:
        return None
    reason = label(event.get("reason") or event.get("failureReason"), REASON_LIMIT)
    report = DeliveryReport(
        status=status,
        message_id=identifier(event.get("crqid") or event.get("CRQID")),
        provider_id=bare_id(event.get("uuid")),
        request_id=identifier(event.get("requestId")),
        recipient=phone(event.get("customerNumber") or event.get("mobile")),
        reason=reason,
        code=code_in(reason) or _code(event.get("statusCode")),
        at=moment(event.get("statusUpdatedAt")) or moment(event.get("ts")),
    )
    return report if names_a_message(report) else None


def names_a_message(report: DeliveryReport) -> bool:
    """Whether the report says of which message it speaks; a call's id needs the recipient beside it."""
    return bool(report.message_id or report.provider_id or (report.request_id and report.recipient))


def read_meta_status(status: JsonObject) -> DeliveryReport | None:
    """The report in an element of Meta's `statuses`; None when its status is unknown or it has no id."""
    word = STATUSES.get(text(status.get("status")).lower())
    if word is None:
        return None
    error = next(iter(objects(status.get("errors"))), {})
    details = an_object(error.get("error_data")).get("details")
    reason = label(details or error.get("message") or error.get("title"), REASON_LIMIT)
    report = DeliveryReport(
        status=word,
        message_id=identifier(status.get("biz_opaque_callback_data")),
        provider_id=bare_id(status.get("id")),
        recipient=phone(status.get("recipient_id")),
        reason=reason,
        code=_code(error.get("code")) or code_in(reason),
        at=moment(status.get("timestamp")),
    )
    return report if names_a_message(report) else None


def _code(value: object) -> int:
    found = number(value)
    return int(found) if found is not None and 0 < found <= _CODE_LONGEST else 0
