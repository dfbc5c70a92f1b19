"""A service with everything around it that a test may break: PostgreSQL through the proxy, Redis, provider and model.

It counts in two places that know nothing of each other: what reached the customers (the sandbox's messages) and what
the database says, over a connection of its own that no test cuts.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from tests.acceptance.postgres_proxy import PostgresProxy, Trap, proxied
from tests.acceptance.world import PATIENCE, Sandbox, Service, environment, free_port, until

APPEND = "-- Append a batch of envelopes"
"""The statement that makes webhooks durable."""
COMMIT = "-- Commit a batch of writes"
"""Both statements that commit steps."""
NOTE = "-- Record what became of attempts to send"
REPORT = "-- Apply delivery reports to their messages"
UNREAD = "-- The first unconsumed rows of each customer"

_LEFT = """
select (select count(*) from journal where consumed_at is null)
  + (select count(*) from messages where claimed_by <> '')
  + (select count(*) from effects where done_at is null)
"""
PHONE = "919800000001"


class Stage:
    """The running parts, and what a test says and asks of them."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        proxy: PostgresProxy,
        sandbox: Sandbox,
        service: Service,
        database: asyncpg.Connection,
    ) -> None:
        self.session = session
        self.proxy = proxy
        self.sandbox = sandbox
        self.service = service
        self.database = database
        self._numbers = itertools.count(1)

    def message(self, phone: str, text: str, identity: str = "") -> dict[str, str]:
        """A webhook body in the simple shape; without an identity the message is a new one."""
        at = str(int(time.time()))
        return {"from": phone, "text": text, "timestamp": at, "messageId": identity or f"in-{next(self._numbers)}"}

    async def hear(self, text: str, phone: str = PHONE) -> None:
        """A customer's message, delivered once and acknowledged."""
        status, answer = await self.service.post(self.message(phone, text))
        assert (status, answer and answer["accepted"]) == (200, 1), answer

    async def insist(self, body: Any, *, seconds: float = PATIENCE) -> dict[str, int]:
        """Deliver as a provider does: again until it is acknowledged. Returns the acknowledgement."""
        end = time.monotonic() + seconds
        while True:
            status, answer = await self.service.post(body)
            if status == 200:
                return dict(answer)
            assert status in {0, 503}, answer
            assert time.monotonic() < end, "the webhook was never acknowledged"
            await asyncio.sleep(0.05)

    async def replies(self, phone: str = PHONE) -> list[str]:
        return await self.sandbox.replies(phone)

    async def told(self, *expected: str, phone: str = PHONE, seconds: float = PATIENCE) -> None:
        """These texts reach the customer, in this order, and once everything has come to rest nothing else did."""
        await self.reached(len(expected), phone, seconds)
        await self.rest(seconds)
        assert await self.replies(phone) == list(expected)

    async def reached(self, count: int, phone: str = PHONE, seconds: float = PATIENCE) -> list[str]:
        """Wait until `count` messages reached the customer."""

        async def enough() -> bool:
            return len(await self.replies(phone)) >= count

        try:
            await until(enough, f"{count} messages reach {phone}", seconds)
        except AssertionError as problem:
            raise AssertionError(f"{problem}; there came {await self.replies(phone)}{self._log()}") from None
        return await self.replies(phone)

    async def rest(self, seconds: float = PATIENCE) -> None:
        """Wait until nothing is left to do: every event consumed, every message sent, every question answered."""

        async def nothing_left() -> bool:
            return bool(await self.database.fetchval(_LEFT) == 0)

        await until(nothing_left, f"everything is worked off{self._log()}", seconds)

    async def count(self, sql: str, *arguments: Any) -> int:
        return int(await self.database.fetchval(sql, *arguments))

    async def conversation(self, phone: str = PHONE) -> dict[str, Any]:
        """The customer's newest conversation as the API shows it, with its messages."""
        status, found = await self.service.api("GET", f"/conversations?q={phone}")
        assert status == 200, found
        status, shown = await self.service.api("GET", f"/conversations/{found['items'][0]['id']}")
        assert status == 200, shown
        return dict(shown)

    async def lapse(self) -> None:
        """Wait until nobody believes any more that a process that was killed lives."""
        over = "select bool_and(gone_at < now()) from replicas"
        await until(lambda: self.database.fetchval(over), "the lease is over")

    async def has_status(self, status: str, phone: str = PHONE) -> bool:
        return bool((await self.conversation(phone))["status"] == status)

    async def die_at(self, trap: Trap) -> None:
        """SIGKILL at the moment at which the trap holds the service."""
        await asyncio.wait_for(trap.sprung.wait(), PATIENCE)
        await self.service.kill()

    def _log(self) -> str:
        lines = self.service.log.read_text().splitlines() if self.service.log.exists() else []
        troubles = [line for line in lines if '"info"' not in line]
        return "\n" + "\n".join(troubles[-12:])


@asynccontextmanager
async def staged(
    database_url: str,
    redis_url: str,
    folder: Path,
    sandbox_settings: dict[str, Any] | None = None,
    /,
    **settings: str,
) -> AsyncIterator[Stage]:
    """A stage whose service has `settings` over those of `environment`; everything is gone at the end."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session, proxied(database_url) as proxy:
        port = free_port()
        sandbox = Sandbox(session, port, **{"report_gap": 0.01, **(sandbox_settings or {})})
        await sandbox.start()
        database = await asyncpg.connect(database_url)
        known = environment(proxy.url, redis_url, sandbox, **settings)
        service = Service(session, port, folder / "service.log", **known)
        try:
            await service.start()
            yield Stage(session, proxy, sandbox, service, database)
        finally:
            await service.kill()
            await database.close()
            await sandbox.stop()


def echoes(texts: Sequence[str]) -> list[str]:
    """What the flow `count` answers to `texts`, of which the first is `hello`."""
    return [f"Heard {texts[0]}", *(f"Echo {text}" for text in texts[1:])]
