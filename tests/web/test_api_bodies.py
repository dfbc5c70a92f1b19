"""Bodies of API calls that come too slowly or never whole: refused in the usual form, with nothing in the log."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from bot.web.api import reading
from tests.web.api_caller import Caller
from tests.web.api_desk import MemoryDesk
from tests.web.api_world import MemoryRecords, a_scene, id_at
from tests.web.test_api import application

REPLY = f"/conversations/{id_at(40)}/reply"
StartClient = Callable[[web.Application], Awaitable[TestClient[web.Request, web.Application]]]


@pytest.fixture
async def call(aiohttp_client: StartClient) -> Caller:
    records = MemoryRecords(a_scene())
    return Caller(await aiohttp_client(application(records, MemoryDesk(records))))


async def test_a_body_that_does_not_come_is_refused_in_time(
    call: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reading, "BODY_SECONDS", 0.05)
    over = asyncio.Event()

    async def never_whole() -> AsyncIterator[bytes]:
        yield b'{"message'
        await over.wait()

    answer = await call("POST", REPLY, data=never_whole())
    over.set()
    assert (answer.status, answer.body["error"]["code"]) == (408, "timeout")
    assert not caplog.records


async def test_a_body_that_is_not_what_its_head_says_is_refused(call: Caller, caplog: pytest.LogCaptureFixture) -> None:
    broken = gzip.compress(b"{}" * 100)[:-9] + b"123456789"
    answer = await call("POST", REPLY, data=broken, headers={"Content-Encoding": "gzip"})
    assert (answer.status, answer.body["error"]["code"]) == (400, "invalid_request")
    assert not [record for record in caplog.records if record.name.startswith("bot.")]
