"""The webhook's own decisions: whose word counts, and when to refuse so that the provider sends again."""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from bot import metrics
from bot.ports.failures import Unavailable
from bot.web.attempts import FAILURES_ALLOWED
from bot.web.webhook import BODY_LIMIT, Webhook
from tests.acceptance.world import until
from tests.runtime.replica import NUMBER, PHONE, Replica, Settings, World

SECRET = "geheim-ü"
Client = TestClient[web.Request, web.Application]
Making = Callable[[web.Application], Awaitable[Client]]


class Door:
    """A webhook in front of a replica whose stores are in memory."""

    def __init__(self, client: Client, webhook: Webhook, replica: Replica) -> None:
        self.client, self.webhook, self.replica = client, webhook, replica
        self._numbers = iter(range(10**6))

    def body(self, **changes: Any) -> bytes:
        usual = {"from": PHONE, "text": "hello", "timestamp": 1795411618, "messageId": f"d-{next(self._numbers)}"}
        return orjson.dumps({**usual, **changes})

    async def post(self, body: bytes | None = None, *, token: str = SECRET, **headers: str) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.client.post(
            "/webhook/msg91", params={"token": token} if token else {}, data=body or self.body(), headers=named
        )
        await answer.read()
        return answer  # type: ignore[return-value]


async def _door(aiohttp_client: Making, *, secret: str = SECRET, limit: int = 100) -> Door:
    replica = await Replica(World(), "r1", Settings(intake=limit)).begin(sweeping=False)
    webhook = Webhook(intake=replica.intake, secret=secret, numbers=(NUMBER,))
    app = web.Application(client_max_size=BODY_LIMIT)
    app.router.add_post("/webhook/msg91", webhook.receive)
    app.router.add_get("/webhook/msg91", webhook.ping)
    return Door(await aiohttp_client(app), webhook, replica)


def refused(reason: str) -> float:
    return float(metrics.refused_total.labels(reason)._value.get())


@pytest.mark.parametrize("reason", ["stopping", "overloaded", "unavailable", "failed"])
async def test_what_cannot_be_made_durable_is_refused_with_a_time_to_come_back(
    aiohttp_client: Making, caplog: pytest.LogCaptureFixture, reason: str
) -> None:
    door = await _door(aiohttp_client, limit=1)
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
    assert orjson.loads(await answer.read())["error"]["code"] == reason  # type: ignore[attr-defined]
    assert refused(reason) == before + 1
    if hold and first:
        hold.release()
        assert (await first).status == 200


async def test_a_secret_may_have_any_letters_and_is_compared_whole(aiohttp_client: Making) -> None:
    door = await _door(aiohttp_client)
    assert (await door.post()).status == 200
    assert (await door.post(token="", X_Webhook_Secret=SECRET)).status == 200
    for wrong in ("geheim-u", "geheim", SECRET + " ", "%ff", "\udcff"):
        assert (await door.post(token=wrong.encode("utf-8", "replace").decode())).status == 401, wrong


async def test_a_signature_is_over_the_bytes_as_they_came(aiohttp_client: Making) -> None:
    door = await _door(aiohttp_client)
    body = b'{ "from": "' + PHONE.encode() + b'", "text": "a",\n "timestamp": 1795411618, "messageId": "s" }'
    right = hmac.digest(SECRET.encode(), body, "sha256").hex()
    assert (await door.post(body, token="", X_Hub_Signature_256=f"sha256={right}")).status == 200
    assert (await door.post(body + b" ", token="", X_Hub_Signature_256=f"sha256={right}")).status == 401
    assert (await door.post(body, X_Hub_Signature_256="sha256=" + "0" * 64)).status == 401
    assert (await door.post(body, X_MSG91_Signature="")).status == 401


async def test_a_guesser_is_told_to_wait_and_the_right_secret_is_not_held_up(aiohttp_client: Making) -> None:
    door = await _door(aiohttp_client)
    answers = [(await door.post(token="guess")).status for _ in range(FAILURES_ALLOWED + 1)]
    assert answers == [401] * FAILURES_ALLOWED + [429]
    assert (await door.post()).status == 200
    assert not door.replica.world.tables.quarantine
    assert len(door.replica.world.tables.journal) == 1


async def test_without_a_secret_everything_is_taken(aiohttp_client: Making) -> None:
    door = await _door(aiohttp_client, secret="")
    assert (await door.post(token="")).status == 200
    assert (await door.client.get("/webhook/msg91")).status == 200
