"""Outgoing webhooks behind the API, in memory."""

from bot.runtime.announcing import Announcing
from bot.runtime.endpoints import Endpoints
from bot.runtime.tasks import Tasks
from tests.runtime.memory.link import Link
from tests.runtime.memory.tables import Tables
from tests.runtime.memory.vault import MemoryVault
from tests.runtime.memory.webhooks import MemoryCourier, MemoryWebhooks
from tests.runtime.simulated_clock import SimulatedClock


def memory_endpoints(tables: Tables | None = None, *, private: bool = False) -> Endpoints:
    """What an application needs under `WEBHOOKS`; nothing is delivered."""
    clock, vault = SimulatedClock(), MemoryVault()
    webhooks = MemoryWebhooks(tables or Tables(), Link(), clock)
    announcing = Announcing(
        me="r1", webhooks=webhooks, courier=MemoryCourier(), vault=vault, clock=clock, tasks=Tasks()
    )
    return Endpoints(webhooks=webhooks, vault=vault, clock=clock, announcing=announcing, private=private)
