"""All that is held about one customer: given out, and erased."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from bot.ports.exports import (
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
)
from bot.records import Answer, Moment
from bot.web.api.asked import ByPhone, Nothing
from bot.web.api.reading import phone_in
from bot.web.api.route import Call, Later, Streamed
from bot.web.errors import Refused

UNKNOWN: Final = "There is no customer with this phone number."

_encode: Final = msgspec.json.Encoder().encode


class CustomerExport(Answer, frozen=True, kw_only=True):
    """Everything that is held about one customer, in clear. `complete` stands at the end of a whole document."""

    exported_at: Moment
    customer: ExportedCustomer
    identities: list[ExportedIdentity]
    conversations: list[ExportedConversation]
    messages: list[ExportedMessage]
    model_calls: list[ExportedModelCall]
    questions: list[ExportedQuestion]
    timers: list[ExportedTimer]
    audit: list[ExportedDeed]
    events: list[ExportedEvent]
    parked: list[ExportedParking]
    delivery_reports: list[ExportedReport]
    webhook_deliveries: list[ExportedDelivery]
    complete: bool


class Erased(Answer, frozen=True, kw_only=True):
    """A customer was erased, or is being: `pending` (202) until nothing is left anywhere; ask again with the same key.

    `messages` and `events` (of the journal) were emptied, `cancelled` messages were never sent, `quarantined` bodies
    named the customer. `conversations` stay as numbers.
    """

    status: Literal["done", "pending"]
    conversations: int
    messages: int
    events: int
    cancelled: int
    quarantined: int


async def export(call: Call[ByPhone, Nothing]) -> Streamed[CustomerExport]:
    """Nothing is given out before the audit log says so."""
    found = await call.exports.export(phone_in(call.asked.phone, "phone"))
    if found is None:
        raise Refused(404, UNKNOWN)
    await call.audit.record("customer_exported", by=call.caller, customer=found.customer)
    return Streamed(document(found.pages, datetime.now(UTC)))


async def erase(call: Call[ByPhone, Nothing]) -> Erased | Later[Erased]:
    report = await call.erasing.erase(phone_in(call.asked.phone, "phone"), by=call.caller, key=call.key)
    if report is None:
        raise Refused(404, UNKNOWN)
    answer = Erased(**msgspec.structs.asdict(report))
    return answer if answer.status == "done" else Later(answer)


async def document(pages: AsyncIterator[Page], at: datetime) -> AsyncIterator[bytes]:
    """The JSON of a `CustomerExport`, a page at a time."""
    yield b'{"exported_at":' + _encode(at)
    section, first = "", True
    async for page in pages:
        if page.section != section:
            yield (b"]" if section not in {"", "customer"} else b"") + b"," + _encode(page.section) + b":"
            yield b"" if page.section == "customer" else b"["
            section, first = page.section, True
        for item in page.items:
            yield (b"" if first else b",\n") + _encode(item)
            first = False
    yield b'],"complete":true}\n'
