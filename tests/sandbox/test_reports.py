"""Delivery reports: which, in what order, in what shape, and how they misbehave when told to."""

import asyncio
from typing import Any

import pytest

from bot.sandbox import reports
from tests.sandbox.conftest import CUSTOMER, OURS, Client, Service, Start, behave, send, sent_to, text_to


async def events(service: Service, count: int) -> list[str]:
    return [(await service.next())["eventName"] for _ in range(count)]


async def counters(box: Client) -> dict[str, int]:
    async with box.get("/sandbox/counters") as response:
        return dict(await response.json())


async def settled(box: Client, count: int) -> dict[str, int]:
    """The counters once `count` reports were posted."""
    while (now := await counters(box)).get("reports_taken", 0) + now.get("reports_refused", 0) < count:
        pass
    return now


async def test_an_accepted_message_is_reported_as_sent_and_delivered(box: Client, service: Service) -> None:
    await send(box, text_to(crqid="m-1"))
    (kept,) = await sent_to(box)
    body = await service.report("sent")
    assert body == {
        "requestId": kept["request_id"],
        "customerNumber": CUSTOMER,
        "integratedNumber": OURS,
        "eventName": "sent",
        "direction": "1",
        "crqid": "m-1",
        "uuid": kept["id"],
        "statusUpdatedAt": body["statusUpdatedAt"],
        "templateName": "",
        "reason": "",
        "price": "0.00",
    }
    await service.report("delivered")
    (kept,) = await sent_to(box)
    assert [mark["status"] for mark in kept["statuses"]] == ["sent", "delivered"]


async def test_reports_may_be_off_altogether(start: Start, service: Service) -> None:
    box = await start(reports=False)
    await send(box, text_to())
    async with box.post("/sandbox/read", json={"number": CUSTOMER}) as response:
        assert await response.json() == {"read": 1}
    assert service.bodies.empty()


async def test_reading_is_reported_once(box: Client, service: Service) -> None:
    await send(box, text_to())
    for expected in (1, 0):
        async with box.post("/sandbox/read", json={"number": CUSTOMER}) as response:
            assert await response.json() == {"read": expected}
    assert await events(service, 3) == ["sent", "delivered", "read"]
    async with box.post("/sandbox/read", json={"to": CUSTOMER}) as response:
        assert response.status == 400


async def test_everything_may_be_read_at_once(start: Start, service: Service) -> None:
    await send(await start(auto_read=True), text_to())
    assert await events(service, 3) == ["sent", "delivered", "read"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"off": True}, []),
        ({"duplicate": True}, ["sent", "sent", "delivered", "delivered"]),
        ({"out_of_order": True, "read": True}, ["read", "delivered", "sent"]),
        ({"late": 0.05}, ["sent", "delivered"]),
        ({"failed": 131047}, ["sent", "failed"]),
    ],
)
async def test_reports_misbehave_for_the_messages_a_rule_meets(
    box: Client, service: Service, rule: dict[str, Any], expected: list[str]
) -> None:
    await behave(box, {"reports": {**rule, "to": CUSTOMER, "count": 1}})
    await send(box, text_to())
    assert await events(service, len(expected)) == expected
    await send(box, text_to())
    assert await events(service, 2) == ["sent", "delivered"]


async def test_a_failure_says_why(box: Client, service: Service) -> None:
    await behave(box, {"reports": [{"failed": 131047, "count": 1}, {"failed": 99}]})
    await send(box, text_to())
    assert (await service.report("failed"))["reason"] == "131047 Re-engagement message"
    await send(box, text_to())
    assert (await service.report("failed"))["reason"] == "99 Message failed to send"


async def test_the_simple_shape(start: Start, service: Service) -> None:
    box = await start(webhook_shape="simple")
    await behave(box, {"reports": {"failed": 131026}})
    await send(box, text_to())
    (kept,) = await sent_to(box)
    body = await service.report("failed")
    assert body == {
        "messageId": kept["id"],
        "status": "failed",
        "timestamp": body["timestamp"],
        "reason": "131026 Message undeliverable",
    }


async def test_reports_of_many_messages_go_out_in_arrays(start: Start, service: Service) -> None:
    box = await start(report_batch=50, report_workers=1)
    await asyncio.gather(*(send(box, text_to()) for _ in range(20)))
    now = await settled(box, 40)
    assert now["reports_taken"] == 40
    assert service.bodies.qsize() <= 40
    assert isinstance(await service.next(), list)


async def test_reports_the_service_refuses_are_counted(box: Client, service: Service) -> None:
    service.statuses = [401, 401]
    await send(box, text_to())
    assert (await settled(box, 2))["reports_refused"] == 2


async def test_reports_that_wait_are_bounded_and_a_reset_forgets_them(
    start: Start, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "PENDING", 3)
    box = await start(report_gap=60.0)
    await send(box, text_to())
    await send(box, text_to())
    assert (await counters(box))["reports_dropped"] == 1
    await box.post("/sandbox/reset")
    await send(box, text_to())
    assert "reports_dropped" not in await counters(box)
    assert service.bodies.empty()
