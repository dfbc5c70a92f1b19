"""Real servers for every test that asks: one PostgreSQL and one Redis for each process, a fresh database each time."""

import asyncio
import itertools
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest

from bot.adapters.embedded import Embedded, EmbeddedUrls
from bot.adapters.postgres.migrations import load_migrations, migrate
from bot.adapters.postgres.pool import Database, connect
from bot.adapters.postgres.queries import load_queries

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it runs in the background deaf to Ctrl-C, and processes that tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

SQL_DIR = Path(__file__).parent.parent / "sql"
_T = TypeVar("_T")


class Servers:
    """The servers of this process, administered from a thread so that fixtures need no event loop of their own."""

    def __init__(self, folder: Path) -> None:
        self._embedded = Embedded(folder)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._numbers = itertools.count(1)
        self.urls: EmbeddedUrls = self._run(self._embedded.start())
        self._admin = self._run(self._prepare())

    def new_database(self, template: str = "bot_template") -> str:
        """The URL of a fresh database, with the current schema or, from `template1`, empty."""
        name = f"test_{next(self._numbers)}"
        self._run(self._admin.execute(f"create database {name} template {template}"))
        return self._url(name)

    def drop(self, url: str) -> None:
        name = url.partition("?")[0].rpartition("/")[2]
        self._run(self._admin.execute(f"drop database if exists {name} with (force)"))

    def flush_redis(self) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.urls.redis.removeprefix("unix://").split("?")[0])
            connection.sendall(b"FLUSHALL\r\n")
            connection.recv(64)

    def close(self) -> None:
        self._run(self._admin.close())
        self._run(self._embedded.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _prepare(self) -> Any:
        admin = await asyncpg.connect(self.urls.database)
        for setting in (
            "fsync",
            "synchronous_commit",
            "full_page_writes",
            "autovacuum",
        ):  # for speed: tests lose nothing
            await admin.execute(f"alter system set {setting} = off")
        await admin.execute("select pg_reload_conf()")
        await admin.execute("create database bot_template")
        async with await connect(self._url("bot_template"), size=1) as pool:
            await migrate(pool, load_queries(SQL_DIR), load_migrations(SQL_DIR))
        return admin

    def _url(self, name: str) -> str:
        return self.urls.database.replace("/postgres?", f"/{name}?")

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    folder = Path(tempfile.mkdtemp(prefix="bot-tests-"))
    servers = Servers(folder)
    yield servers
    servers.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database_url(servers: Servers) -> Iterator[str]:
    """A fresh database with the current schema."""
    url = servers.new_database()
    yield url
    servers.drop(url)


@pytest.fixture
def redis_url(servers: Servers) -> str:
    """An empty Redis."""
    servers.flush_redis()
    return servers.urls.redis


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections to a fresh database."""
    async with await connect(database_url, size=5) as pool:
        yield pool


@pytest.fixture
def database(pool: asyncpg.Pool) -> Database:
    """The statements of `sql/queries` over a fresh database."""
    return Database(pool, load_queries(SQL_DIR))
