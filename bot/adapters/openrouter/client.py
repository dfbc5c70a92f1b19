"""One HTTP call to OpenRouter. Whatever happens on the way becomes a verdict; only cancellation is raised.

aiohttp's own read timeout is no help: keep-alive blank lines reset it, so the limit is on the whole call. Redirects are
not followed, because the body holds customers' words and the header the key.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from bot.wire.openrouter.answers import Verdict, read_answer
from bot.wire.openrouter.failures import Failure, cut, hung, unreachable

CONNECT_SECONDS: Final = 5.0
ANSWER_BYTES: Final = 1 << 20
"""The longest answer that is read; a thousand tokens are about four thousand bytes."""
LIST_BYTES: Final = 32 << 20
"""The longest list of models that is read; it was above one million bytes in 2026."""

_BROKEN: Final = (aiohttp.ClientError, HttpProcessingError, OSError)


class NotFetched(Exception):
    """OpenRouter could not be asked; the message says why in a few words."""


class Client:
    """`session` is shared and stays its owner's to close. `wall` gives unix seconds, for dates in headers."""

    def __init__(
        self, session: aiohttp.ClientSession, *, base_url: str, api_key: str, wall: Callable[[], float]
    ) -> None:
        self._session = session
        self.base_url = base_url.rstrip("/")
        self._headers = {
            "Authorization": f"Bearer {api_key.strip()}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        self._wall = wall
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)

    async def complete(self, body: bytes, *, within: float) -> Verdict:
        """The verdict on one question, after `within` seconds at the latest."""
        try:
            async with asyncio.timeout(within):
                return await self._post(body)
        except aiohttp.ConnectionTimeoutError:
            return unreachable("no connection in time")
        except TimeoutError:
            return hung(within)
        except (*_BROKEN, ValueError) as error:
            return unreachable(type(error).__name__)

    async def fetch(self, path: str, *, within: float) -> tuple[int, bytes]:
        """Status and body of a GET. Raises `NotFetched`."""
        try:
            async with (
                asyncio.timeout(within),
                self._session.get(
                    self.base_url + path, headers=self._headers, timeout=self._timeout, allow_redirects=False
                ) as response,
            ):
                body = await _bounded(response, LIST_BYTES)
        except (*_BROKEN, ValueError, RuntimeError) as error:
            raise NotFetched(type(error).__name__) from error
        if body is None:
            raise NotFetched(f"more than {LIST_BYTES} bytes")
        return response.status, body

    async def _post(self, body: bytes) -> Verdict:
        async with self._session.post(
            f"{self.base_url}/chat/completions",
            data=body,
            headers=self._headers,
            timeout=self._timeout,
            allow_redirects=False,
        ) as response:
            try:
                received = await _bounded(response, ANSWER_BYTES)
            except _BROKEN as error:
                return cut(f"{response.status}, then {type(error).__name__}")
            if received is None:
                reason = f"{response.status} with more than {ANSWER_BYTES} bytes"
                return Failure(kind="malformed", reason=reason, status=response.status)
            return read_answer(response.status, response.headers, received, now=self._wall())


async def _bounded(response: aiohttp.ClientResponse, most: int) -> bytes | None:
    """The whole body, or None when it is longer than `most` bytes."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > most:
            response.close()
            return None
        parts.append(part)
    return b"".join(parts)
