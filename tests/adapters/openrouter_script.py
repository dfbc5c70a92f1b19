"""A server that answers chat completions from a script, one entry for each call, and keeps what it was asked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.adapters.openrouter.chain import OpenRouter
from bot.core.effects import AskModel, Turn
from bot.core.events import ModelAnswered, ModelFailed
from bot.core.ids import ConversationId, EffectId

Entry = Callable[[web.Request], Awaitable[web.StreamResponse]]


def completion(text: object = "Hello.", *, finish: str = "stop", **more: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": 0.001}
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "finish_reason": finish, "message": message}]
    return {"id": "gen-1", "provider": "P", "model": "a/one", "choices": choices, "usage": usage, **more}


def said(text: object = "Hello.", *, finish: str = "stop", **more: Any) -> Entry:
    return body(200, orjson.dumps(completion(text, finish=finish, **more)))


def error(status: int, message: str, headers: Mapping[str, str] | None = None, **metadata: Any) -> Entry:
    """An error envelope; `metadata` goes where OpenRouter puts it."""
    document = {"error": {"code": status, "message": message, "metadata": metadata}, "user_id": "user_2secret"}
    return body(status, orjson.dumps(document), headers)


def body(status: int, content: bytes, headers: Mapping[str, str] | None = None) -> Entry:
    async def serve(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=content, headers=headers, content_type="application/json")

    return serve


async def hang(request: web.Request) -> web.StreamResponse:
    """No byte at all."""
    await asyncio.sleep(30)
    return web.Response()


async def trickle(request: web.Request) -> web.StreamResponse:
    """Keep-alive blank lines without end."""
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(10_000):
        await response.write(b"\n")
        await asyncio.sleep(0.005)
    return response


async def cut_off(request: web.Request) -> web.StreamResponse:
    """The head of an answer and half its body, then the connection is gone."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(orjson.dumps(completion())[:60])
    assert request.transport is not None
    request.transport.abort()
    return response


async def reset(request: web.Request) -> web.StreamResponse:
    """The connection is gone before the first byte."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def flood(request: web.Request) -> web.StreamResponse:
    """A body that does not end."""
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(64):
        await response.write(b" " * 65_536)
    return response


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 5000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Script:
    """`calls` are the bodies that came; a model with its own list answers from that one."""

    def __init__(self, *entries: Entry) -> None:
        self.entries = list(entries)
        self.by_model: dict[str, list[Entry]] = {}
        self.otherwise: Entry = said("the script is over")
        self.calls: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.gets: dict[str, Entry] = {}
        self.fetched: list[str] = []
        self._called = asyncio.Condition()

    @property
    def models(self) -> list[str]:
        return [call["model"] for call in self.calls]

    async def called(self, times: int = 1) -> None:
        """Wait until `times` calls have come."""
        async with self._called:
            await self._called.wait_for(lambda: len(self.calls) >= times)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        call = orjson.loads(await request.read())
        self.calls.append(call)
        self.headers.append(request.headers.copy())
        async with self._called:
            self._called.notify_all()
        entries = self.by_model.get(call["model"], self.entries)
        return await (entries.pop(0) if entries else self.otherwise)(request)

    async def get(self, request: web.Request) -> web.StreamResponse:
        self.fetched.append(request.path)
        return await self.gets.get(request.path, body(404, b"{}"))(request)


QUESTION = AskModel(
    id=EffectId("ask-1"),
    conversation=ConversationId("c-1"),
    system="Be kind.",
    turns=(
        Turn(role="user", text="One"),
        Turn(role="assistant", text="Two"),
        Turn(role="user", text="my secret words"),
    ),
    caused_at=0.0,
)


class Desk:
    """A chain, the script behind it, and the clock of both."""

    def __init__(self, script: Script, chain: OpenRouter, time: Time) -> None:
        self.script = script
        self.chain = chain
        self.time = time

    async def ask(self) -> ModelAnswered | ModelFailed:
        return await self.chain.answer(QUESTION, customer_hash="h-1")

    async def answered(self) -> ModelAnswered:
        outcome = await self.ask()
        assert isinstance(outcome, ModelAnswered), outcome
        return outcome

    async def failed(self) -> ModelFailed:
        outcome = await self.ask()
        assert isinstance(outcome, ModelFailed), outcome
        return outcome

    async def background(self) -> None:
        """Wait until the chain does nothing in the background."""
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "model prices"))

    def state(self, name: str) -> str:
        return self.chain.breakers()[name].state


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/api/v1/chat/completions", script.complete)
    app.router.add_get("/{rest:.*}", script.get)
    server = TestServer(app)
    await server.start_server(shutdown_timeout=0)
    try:
        yield str(server.make_url("/api/v1"))
    finally:
        await server.close()


@asynccontextmanager
async def desk(*entries: Entry, models: tuple[str, ...] = ("a/one", "b/two"), **settings: Any) -> AsyncIterator[Desk]:
    """A chain over `models` whose calls are answered by `entries`, on a clock that only its sleeps move."""
    script, time = Script(*entries), Time()
    defaults: dict[str, Any] = {"clock": time, "sleep": time.sleep, "wall": lambda: 1_779_300_000.0}
    async with serving(script) as url, aiohttp.ClientSession() as session:
        options = {**defaults, "chance": lambda: 0.5, "base_url": url, "api_key": "sk-or-v1-key\n", **settings}
        chain = OpenRouter(session, models=models, **options)
        try:
            yield Desk(script, chain, time)
        finally:
            await chain.close()
