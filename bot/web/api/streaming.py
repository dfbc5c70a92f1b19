"""Answers that are too large for memory: one JSON document, written part by part as the store gives it.

When the store fails in the middle the connection breaks off without an end, so that nobody takes a part for the whole.
"""

import logging
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from bot.ports.failures import Unavailable
from bot.web.api.route import Streamed

log = logging.getLogger(__name__)


async def streamed(request: web.Request, answer: Streamed[Any]) -> web.StreamResponse:
    """The response, written to its end. What fails before the first part is an error answer as everywhere."""
    first = await anext(answer.parts, b"")
    response = web.StreamResponse(headers={"Cache-Control": "no-store"})
    response.content_type = "application/json"
    await response.prepare(request)
    try:
        await response.write(first)
        await _write(response, answer.parts)
    except Unavailable as problem:
        log.warning("an answer broke off", extra={"error": str(problem)})
        if request.transport is not None:
            request.transport.abort()
    return response


async def _write(response: web.StreamResponse, parts: AsyncIterator[bytes]) -> None:
    async for part in parts:
        await response.write(part)
    await response.write_eof()
