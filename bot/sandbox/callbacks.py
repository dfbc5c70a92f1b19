"""The way to the service: posts to its webhook, with the patience MSG91 has.

A refused connection, a timeout and a 5xx are tried again a bounded number of times with a doubling pause; any other
answer is final.
"""

import asyncio
from typing import Final

import aiohttp
import orjson

from bot.core.messages import Value
from bot.sandbox.settings import SandboxSettings

ANSWER_KEPT: Final = 2000
"""Characters of the service's answer that are shown."""


class Answer(Value, frozen=True, kw_only=True, omit_defaults=False):
    """How the service answered: `status` 0 means that it did not, and `error` says why."""

    status: int
    body: str = ""
    error: str = ""
    attempts: int = 0

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300


class Webhook:
    """Posts to the service, over a session that somebody else opens and closes."""

    def __init__(self, settings: SandboxSettings, session: aiohttp.ClientSession) -> None:
        self._settings = settings
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=settings.webhook_timeout)
        self._headers = {"Content-Type": "application/json"}
        if settings.webhook_secret:
            self._headers["X-Webhook-Secret"] = settings.webhook_secret

    async def post(self, body: object) -> Answer:
        """Post `body` as JSON until the service has decided, or patience ends."""
        if not self._settings.webhook_url:
            return Answer(status=0, error="no webhook_url is set")
        raw = orjson.dumps(body)
        answer = await self._once(raw, 1)
        pause = self._settings.webhook_backoff
        while _undecided(answer) and answer.attempts < self._settings.webhook_attempts:
            await asyncio.sleep(pause)
            answer = await self._once(raw, answer.attempts + 1)
            pause *= 2
        return answer

    async def up(self) -> bool:
        """Whether the service answers at all, without an error of its own."""
        if not self._settings.webhook_url:
            return False
        try:
            async with self._session.get(self._settings.webhook_url, timeout=self._timeout) as response:
                return response.status < 500
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _once(self, raw: bytes, attempt: int) -> Answer:
        try:
            async with self._session.post(
                self._settings.webhook_url, data=raw, headers=self._headers, timeout=self._timeout
            ) as response:
                text = await response.text(errors="replace")
                return Answer(status=response.status, body=text[:ANSWER_KEPT], attempts=attempt)
        except (aiohttp.ClientError, TimeoutError) as error:
            return Answer(status=0, error=str(error) or type(error).__name__, attempts=attempt)


def _undecided(answer: Answer) -> bool:
    return answer.status == 0 or answer.status >= 500
