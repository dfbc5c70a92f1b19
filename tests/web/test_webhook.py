"""The webhook's own decisions: whose word counts, and when to refuse so that the provider sends again."""

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from bot import metrics
from bot.ports.failures import Unavailable
from bot.web.attempts import FAILURES_ALLOWED
from bot.web.door import Doors
from bot.web.guest import Guest
from bot.web.webhook import BODY_LIMIT, Webhook
from tests.acceptance.world import until
from tests.runtime.replica import NUMBER, PHONE, Replica, Settings, World

SECRET = "geheim-ü"
Serving = Callable[[web.Application, Webhook], Awaitable[aiohttp.ClientSession]]


@pytest.fixture(params=["the door", "aiohttp"])
async def serving(request: pytest.FixtureRequest) -> AsyncIterator[Serving]:
    """Serves an application and its webhook, which comes by either way, and makes a client of it."""
    async with AsyncExitStack() as stack:

        async def serve(app: web.Application, webhook: Webhook) -> aiohttp.ClientSession:
            runner = web.AppRunner(app)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            assert runner.server is not None
            server_side = runner.server
            doors = Doors(webhook, lambda: Guest(server_side))
            stack.push_async_callback(doors.close, 1.0)
            way = doors if request.param == "the door" else runner.server
            server = await asyncio.get_running_loop().create_server(way, "127.0.0.1", 0)
            stack.callback(server.close)
            address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            return await stack.enter_async_context(aiohttp.ClientSession(address))

        yield serve


class Door:
    """A webhook in front of a replica whose stores are in memory."""

    def __init__(self, client: aiohttp.ClientSession, webhook: Webhook, replica: Replica) -> None:
        self.client, self.webhook, self.replica = client, webhook, replica
        self._numbers = iter(range(10**6))

    def body(self, **changes: Any) -> bytes:
        usual = {"from": PHONE, "text": "hello", "timestamp": 1795411618, "messageId": f"d-{next(self._numbers)}"}
        return orjson.dumps({**usual, **changes})

    async def post(self, body: bytes | None = None, *, token: str = SECRET, **headers: str) -> aiohttp.ClientResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.client.post(
            "/webhook/msg91", params={"token": token} if token else {}, data=body or self.body(), headers=named
        )
        await answer.read()
        return answer


async def _door(serving: Serving, *, secret: str = SECRET, limit: int = 100) -> Door:
    replica = await Replica(World(), "r1", Settings(intake=limit)).begin(sweeping=False)
    webhook = Webhook(intake=replica.intake, secret=secret, numbers=(NUMBER,))
    app = web.Application(client_max_size=BODY_LIMIT)
    app.router.add_post("/webhook/msg91", webhook.receive)
    app.router.add_get("/webhook/msg91", webhook.ping)
    return Door(await serving(app, webhook), webhook, replica)


def refused(reason: str) -> float:
    return float(metrics.refused_total.labels(reason)._value.get())


@pytest.mark.parametrize("reason", ["stopping", "overloaded", "unavailable", "failed"])
async def test_what_cannot_be_made_durable_is_refused_with_a_time_to_come_back(
    serving: Serving, caplog: pytest.LogCaptureFixture, reason: str
) -> None:
    door = await _door(serving, limit=1)
    link, before = door.replica.database, refused(reason)
    hold = link.hold("journal.append") if reason == "overloaded" else None
    first = asyncio.ensure_future(door.post()) if hold else None
    if hold:
        await until(lambda: hold.reached, "the first webhook is being made durable")
    door.webhook.accepting = reason != "stopping"
    if reason == "unavailable":
        link.fail("journal.append", error=Unavailable("gone"))
        door.replica.redis.fail("spool.push", error=Unavailable("gone, too"))
    if reason == "failed":
        link.fail("directory.resolve", error=RuntimeError("nobody thought of this"))
    with caplog.at_level(logging.CRITICAL if reason != "failed" else logging.ERROR):
        answer = await door.post()
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert orjson.loads(await answer.read())["error"]["code"] == reason
    assert refused(reason) == before + 1
    if hold and first:
        hold.release()
        assert (await first).status == 200


async def test_a_secret_may_have_any_letters_and_is_compared_whole(serving: Serving) -> None:
    door = await _door(serving)
    assert (await door.post()).status == 200
    assert (await door.post(token="", X_Webhook_Secret=SECRET)).status == 200
    for wrong in ("geheim-u", "geheim", SECRET + " ", "%ff", "\udcff"):
        assert (await door.post(token=wrong.encode("utf-8", "replace").decode())).status == 401, wrong


async def test_a_signature_is_over_the_bytes_as_they_came(serving: Serving) -> None:
    door = await _door(serving)
    body = b'{ "from": "' + PHONE.encode() + b'", "text": "a",\n "timestamp": 1795411618, "messageId": "s" }'
    right = hmac.digest(SECRET.encode(), body, "sha256").hex()
    assert (await door.post(body, token="", X_Hub_Signature_256=f"sha256={right}")).status == 200
    assert (await door.post(body + b" ", token="", X_Hub_Signature_256=f"sha256={right}")).status == 401
    assert (await door.post(body, X_Hub_Signature_256="sha256=" + "0" * 64)).status == 401
    assert (await door.post(body, X_MSG91_Signature="")).status == 401


async def test_a_guesser_is_told_to_wait_and_the_right_secret_is_not_held_up(serving: Serving) -> None:
    door = await _door(serving)
    answers = [(await door.post(token="guess")).status for _ in range(FAILURES_ALLOWED + 1)]
    assert answers == [401] * FAILURES_ALLOWED + [429]
    assert (await door.post()).status == 200
    assert not door.replica.world.tables.quarantine
    assert len(door.replica.world.tables.journal) == 1


async def test_without_a_secret_everything_is_taken(serving: Serving) -> None:
    door = await _door(serving, secret="")
    assert (await door.post(token="")).status == 200
    assert (await door.client.get("/webhook/msg91")).status == 200
