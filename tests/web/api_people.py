"""What is held about the people of a small support desk, in memory, to be given out and erased."""

from collections.abc import AsyncIterator
from typing import Final, Literal

from bot.core.ids import CustomerId
from bot.ports.erasures import ErasureReport
from bot.ports.exports import Export, ExportedCustomer, ExportedTimer, Page, Section
from bot.ports.failures import Unavailable
from tests.web.api_world import START

PRIYA = "919876543210"
CUSTOMER = ExportedCustomer(
    id=7,
    merged_ids=[],
    name="Priya",
    language="en",
    opted_out=False,
    state=None,
    created_at=START,
    updated_at=START,
)
TIMER = ExportedTimer(kind="session", due_at=START)
SECTIONS: Final[tuple[Section, ...]] = (
    "identities",
    "conversations",
    "messages",
    "model_calls",
    "questions",
    "timers",
    "timers",
    "audit",
    "events",
    "parked",
    "delivery_reports",
    "webhook_deliveries",
)


class MemoryExports:
    """`Exports` of one customer; with `breaks` the store goes away after the timers."""

    def __init__(self) -> None:
        self.breaks = False

    async def export(self, phone: str) -> Export | None:
        return Export(customer=CustomerId(7), pages=self._pages()) if phone == PRIYA else None

    async def _pages(self) -> AsyncIterator[Page]:
        yield Page(section="customer", items=[CUSTOMER])
        for section in SECTIONS:
            if self.breaks and section == "audit":
                raise Unavailable("away")
            yield Page(section=section, items=[TIMER] if section == "timers" else ())


class MemoryErasing:
    """`Erasing` that knows one customer. `status` is what it answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.status: Literal["done", "pending"] = "done"

    async def erase(self, phone: str, *, by: str, key: str) -> ErasureReport | None:
        self.asked.append((phone, by, key))
        if phone != PRIYA:
            return None
        return ErasureReport(status=self.status, conversations=1, messages=2, events=3, cancelled=4, quarantined=5)
