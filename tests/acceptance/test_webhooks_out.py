"""The company's own systems are told of what happened, whatever dies in between, and can tell who told them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from tests.acceptance.sharing import new_phone
from tests.acceptance.stage import COMMIT, Stage, staged
from tests.acceptance.world import free_port, until

CLAIM = "-- Claim deliveries that are due"
NOTED = "-- Record what became of attempts by the replica"


class Told(msgspec.Struct, kw_only=True):
    """One request to the receiver."""

    id: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> Any:
        return msgspec.json.decode(self.body)


class Receiver:
    """A system of the company's, on loopback. It answers `status` to whatever comes."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.status = 200
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/hooks"

    async def take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.told.append(Told(id=headers["webhook-id"], headers=headers, body=await request.read()))
        return web.Response(status=self.status)

    def types(self) -> list[str]:
        return [told.event["type"] for told in self.told]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hooks", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", receiver.port).start()
    try:
        yield receiver
    finally:
        await runner.cleanup()


async def subscribe(stage: Stage, receiver: Receiver, *events: str) -> Any:
    status, made = await stage.service.api("POST", "/webhooks", {"url": receiver.url, "events": list(events)})
    assert status == 201, made
    return made


@pytest.fixture
async def stage(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(database_url, redis_url, tmp_path, WEBHOOK_ALLOW_PRIVATE="true") as stage:
        yield stage


async def test_what_happens_is_told_in_order_signed_and_told_again_on_request(stage: Stage) -> None:
    phone = new_phone()
    async with receiving() as receiver:
        events = "conversation.started", "message.received", "conversation.escalated", "conversation.resolved"
        made = await subscribe(stage, receiver, *events)
        await stage.hear("hello", phone)
        await stage.hear("agent", phone)
        await until(lambda: len(receiver.told) == 4, "what happened is told")
        receiver.status = 503
        talk = receiver.told[-1].event["data"]["conversation_id"]
        await stage.service.api("POST", f"/conversations/{talk}/resolve", {"by": "zoe"})
        page = f"/webhooks/{made['id']}/deliveries?status=pending"

        async def failed_once() -> Any:
            _, found = await stage.service.api("GET", page)
            return [one for one in found["items"] if one["attempts"] == 1]

        (waiting,) = await until(failed_once, "a delivery that was not taken")
        assert (waiting["last_status_code"], waiting["error"]) == (503, "HTTP 503")
        receiver.status = 200
        status, _ = await stage.service.api("POST", f"/webhooks/deliveries/{waiting['id']}/redeliver")
        assert status == 200
        await until(lambda: len(receiver.told) == 6, "everything is told")

        told = ["conversation.started", "message.received", "message.received", "conversation.escalated"]
        assert receiver.types() == [*told, "conversation.resolved", "conversation.resolved"]
        assert receiver.told[-1].id == receiver.told[-2].id
        for one in receiver.told:
            assert Webhook(made["secret"]).verify(one.body, one.headers)["data"]["phone_number"] == phone
        assert [one.event["data"].get("text") for one in receiver.told[1:3]] == ["hello", "agent"]


@pytest.mark.parametrize(("statement", "repeats"), [(CLAIM, 1), (NOTED, 2)])
async def test_dying_between_the_commit_and_the_note_loses_nothing(stage: Stage, statement: str, repeats: int) -> None:
    """After the delivery and before its note it may come twice, under one id."""
    phone = new_phone()
    async with receiving() as receiver:
        made = await subscribe(stage, receiver, "message.received")
        trap = stage.proxy.trap(statement, "before")
        await stage.hear("hello", phone)
        if statement == CLAIM:
            waits = "select count(*) from webhook_deliveries"
            await until(lambda: stage.database.fetchval(waits), "the event is written down")
        await stage.die_at(trap)
        assert len(receiver.told) == repeats - 1
        await stage.service.start()
        await until(lambda: len(receiver.told) == repeats, "the event is told")
        assert {told.id for told in receiver.told} == {receiver.told[0].id}
        assert Webhook(made["secret"]).verify(receiver.told[-1].body, receiver.told[-1].headers)


async def test_dying_before_the_commit_tells_nothing_and_then_everything_once(stage: Stage) -> None:
    phone = new_phone()
    async with receiving() as receiver:
        await subscribe(stage, receiver, "message.received")
        trap = stage.proxy.trap(COMMIT, "before")
        await stage.hear("hello", phone)
        await stage.die_at(trap)
        assert await stage.count("select count(*) from webhook_deliveries") == 0
        await stage.service.start()
        await stage.told("Heard hello", phone=phone)
        done = "select count(*) from webhook_deliveries where status = 'delivered'"
        await until(lambda: stage.database.fetchval(done), "it is told")
        assert receiver.types() == ["message.received"]
