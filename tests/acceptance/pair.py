"""Two replicas over one database and one Redis, with flows of the test's own.

Either may be killed and started again. What is counted is what reached the customers, and what the database says over a
connection of its own.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from tests.acceptance.world import PATIENCE, Sandbox, Service, environment, free_port, until

_LEFT = """
select (select count(*) from journal where consumed_at is null)
  + (select count(*) from messages where claimed_by <> '')
"""


class Pair:
    def __init__(
        self,
        session: aiohttp.ClientSession,
        sandbox: Sandbox,
        first: Service,
        second: Service,
        database: asyncpg.Connection,
    ) -> None:
        self.session = session
        self.sandbox = sandbox
        self.first = first
        self.second = second
        self.database = database
        self._said = 0

    async def start(self) -> None:
        """Start both at the same time."""
        await asyncio.gather(self.first.start(), self.second.start())

    async def kill(self) -> None:
        await asyncio.gather(self.first.kill(), self.second.kill())

    async def hear(self, replica: Service, phone: str, text: str) -> None:
        """A customer's message that `replica` acknowledges."""
        self._said += 1
        status, answer = await replica.say(phone, text, f"in-{self._said}")
        assert (status, answer and answer["accepted"]) == (200, 1), answer

    async def told(self, phone: str, *expected: str) -> None:
        """These texts reach the customer, in this order, and nothing else."""

        async def enough() -> bool:
            return len(await self.sandbox.replies(phone)) >= len(expected)

        await until(enough, f"{expected} reach {phone}")
        assert await self.sandbox.replies(phone) == list(expected)

    async def value(self, sql: str, *arguments: Any) -> Any:
        return await self.database.fetchval(sql, *arguments)

    async def holds(self, sql: str, *arguments: Any, what: str = "", seconds: float = PATIENCE) -> Any:
        """The first true value of a query, asked until it comes."""
        return await until(lambda: self.value(sql, *arguments), what or sql, seconds)

    async def rest(self) -> None:
        """Wait until every event is applied and every message sent."""
        await self.holds(f"select ({_LEFT}) = 0", what="everything is worked off")

    async def customer(self, phone: str) -> int:
        """The customer who wrote last, told by their conversation; everybody here writes one after the other."""
        newest = await self.value("select user_id from conversations order by id desc limit 1")
        assert newest is not None, phone
        return int(newest)


@asynccontextmanager
async def paired(
    database_url: str, redis_url: str, folder: Path, flows: Mapping[str, str], **settings: str
) -> AsyncIterator[Pair]:
    """Two replicas that run, with these flow files by name; everything is gone at the end."""
    flows_dir = folder / "flows"
    flows_dir.mkdir()
    for name, text in flows.items():
        (flows_dir / f"{name}.yaml").write_text(text, encoding="utf-8")
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        ports = free_port(), free_port()
        sandbox = Sandbox(session, ports[0], reports=False)
        await sandbox.start()
        database = await asyncpg.connect(database_url)
        known = environment(database_url, redis_url, sandbox, FLOWS_DIR=str(flows_dir), **settings)
        first, second = (Service(session, port, folder / f"replica-{port}.log", **known) for port in ports)
        pair = Pair(session, sandbox, first, second, database)
        try:
            await pair.start()
            yield pair
        finally:
            await pair.kill()
            await database.close()
            await sandbox.stop()
