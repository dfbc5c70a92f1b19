"""Performing a bad behaviour: latency, errors, silence, cut and trickling answers, answers that are no answers.

A failing call takes no effect unless its rule says so (`accepted`) or its answer is the real one, badly delivered.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

import orjson
from aiohttp import web

from bot.sandbox.behaviour import Active, CallRule, ModelRule, SendRule
from bot.sandbox.box import BOX

HANG: Final = 120.0
"""Seconds a call hangs if its rule does not say how long."""
TRICKLE: Final = 5.0
TRICKLE_PARTS: Final = 20
DEFAULT_STATUS: Final = 500
PAGE: Final = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>Bad gateway</body></html>"

Answer = tuple[int, dict[str, Any]]


class Provider(Protocol):
    """What a provider's error looks like."""

    def error(self, status: int) -> dict[str, Any]:
        """The usual body for an HTTP status; 200 is a failure inside a success."""
        ...


async def perform(
    request: web.Request, active: Active[SendRule] | Active[ModelRule], provider: Provider, work: Callable[[], Answer]
) -> web.StreamResponse:
    """Answer a call under a rule. `work` takes effect and gives the real answer; it is called at most once."""
    rule: CallRule = active.rule
    failing = active.chance.random() < rule.share_failing
    if rule.latency:
        await asyncio.sleep(rule.latency.draw(active.chance))
    if not failing:
        return answer(*work())
    real = work() if rule.takes_effect else None
    if rule.fault is None:
        return _error(rule, provider)
    return await _faulty(request, rule, provider, real)


def answer(status: int, body: object, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json", headers=headers)


def _error(rule: CallRule, provider: Provider) -> web.Response:
    status = DEFAULT_STATUS if rule.status is None else rule.status
    body = provider.error(status) if rule.body is None else rule.body
    if isinstance(body, str):
        return web.Response(status=status, text=body, headers=rule.headers)
    return answer(status, body, rule.headers)


async def _faulty(request: web.Request, rule: CallRule, provider: Provider, real: Answer | None) -> web.StreamResponse:
    match rule.fault:
        case "hang":
            return await _hang(request, rule)
        case "cut":
            return await _cut(request, _bytes(real, provider))
        case "trickle":
            return await _trickle(request, _bytes(real, provider), TRICKLE if rule.seconds is None else rule.seconds)
        case "html":
            return web.Response(status=rule.status or 502, body=PAGE, content_type="text/html", headers=rule.headers)
        case "empty":
            return web.Response(status=rule.status or 200, content_type="application/json", headers=rule.headers)
        case _:
            return answer(200, provider.error(200) if rule.body is None else rule.body, rule.headers)


async def _hang(request: web.Request, rule: CallRule) -> web.Response:
    """Say nothing until time is up, the sandbox is reset, or it ends; then close without an answer."""
    try:
        async with asyncio.timeout(HANG if rule.seconds is None else rule.seconds):
            await request.app[BOX].released.wait()
    except TimeoutError:
        pass
    _close(request)
    return web.Response(status=504)


async def _cut(request: web.Request, body: bytes) -> web.StreamResponse:
    """Promise the whole body, send half of it, close the connection."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    _close(request)
    return response


async def _trickle(request: web.Request, body: bytes, seconds: float) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    step = -(-len(body) // TRICKLE_PARTS)
    starts = range(0, len(body), step)
    for start in starts:
        await asyncio.sleep(seconds / len(starts))
        await response.write(body[start : start + step])
    return response


def _bytes(real: Answer | None, provider: Provider) -> bytes:
    return orjson.dumps(real[1] if real else provider.error(DEFAULT_STATUS))


def _close(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()
