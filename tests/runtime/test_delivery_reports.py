"""Delivery reports: many webhooks share one call of the store, and each hears of its own reports only."""

import asyncio

from bot.wire.msg91.reports import DeliveryReport
from tests.runtime.conftest import Starting
from tests.runtime.replica import World
from tests.runtime.simulated_clock import SimulatedClock


def report(name: str) -> DeliveryReport:
    return DeliveryReport(status="delivered", provider_id=f"wamid.{name}")


async def test_each_webhook_hears_how_many_of_its_own_reports_had_been_seen_before(
    world: World, starting: Starting, clock: SimulatedClock
) -> None:
    replica = await starting(sweeping=False)
    await replica.say("hello")
    ours, other, another = report("1"), report("unknown"), report("unknown too")
    webhooks = [[ours], [ours, other], [another], [], [other, another, ours]]
    assert await asyncio.gather(*map(replica.reports.accept, webhooks)) == [0, 1, 0, 0, 3]
    assert replica.database.count("outbox.report") == 1
    assert [message.status for message in world.tables.outbound()] == ["delivered"]
