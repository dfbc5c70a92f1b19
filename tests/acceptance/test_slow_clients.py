"""Everybody misbehaves at once: thousands of idle connections, bytes that come one by one, floods, garbage, guesses.

Meanwhile every proper webhook is answered in time and kept, and the process neither grows nor says a word about it.
"""

import asyncio
import os
import resource
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson
import pytest

from tests.acceptance.sharing import new_phone
from tests.acceptance.stage import Stage, staged
from tests.acceptance.world import SECRET, until

READ_SECONDS = 1.5
"""Seconds in place of the half a minute that callers have."""
LIMIT = 1200
"""Connections that the service holds at once; there are more who want one."""
IDLE, DRIPPING, HALF_CLOSED, GUESSES, WRONG_TOKENS = 2000, 40, 40, 8000, 2000
PATIENCE_SECONDS = 5.0
"""In which a proper webhook is answered, on a machine that does much else."""
GROWTH: Final = 80 << 20
"""Bytes that the service may grow by: connections, and bodies that are being refused."""
OWN_FILES = 200
"""Descriptors of the service besides those of its callers."""
HEAD = b"POST /webhook/msg91 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
PROOF = f"X-Webhook-Secret: {SECRET}\r\n".encode()
GARBAGE = (
    (400, b"\x16\x03\x01\x02\x00" * 2000),
    (400, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + b"\0\xff garbage\r\n\r\n" * 50),
    (431, HEAD + b"X-Long: " + b"a" * 400_000),
    (431, b"POST /webhook/msg91?" + b"a" * 400_000),
    (400, HEAD + b"X-Many: a\r\n" * 30_000),
    (413, HEAD + PROOF + b"Content-Length: 4000000\r\n\r\n" + b" " * 4_000_000),
    (408, HEAD + PROOF + b"Content-Length: 99999999999999\r\n\r\n{}"),
    (400, HEAD + PROOF + b"Content-Length: 5\r\n\r\n" + b"{}" * 500),
    (413, HEAD + PROOF + b"Transfer-Encoding: chunked\r\n\r\n" + (b"10000\r\n" + b" " * 65536 + b"\r\n") * 80),
    (400, HEAD + PROOF + b"Transfer-Encoding: chunked\r\n\r\n" + b"fffffffffffffffff\r\n" + b"x" * 100_000),
)
"""What is first answered to what is no proper request."""


@pytest.fixture
def many_files() -> Iterator[None]:
    """This process holds the other ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """Whoever means no good; all of it ends with `leave`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(writer)
        return reader, writer

    async def idle(self) -> None:
        for _ in range(IDLE // 50):
            await asyncio.gather(*(self.open() for _ in range(50)), return_exceptions=True)

    async def drip(self, start: bytes) -> None:
        """A byte now and then until nobody listens any more."""
        with suppress(ConnectionError):
            reader, writer = await self.open()
            writer.write(start)
            while not reader.at_eof() and not writer.is_closing():
                writer.write(b"a")
                await asyncio.sleep(0.1)
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1000), 0.001)

    async def half_close(self) -> None:
        with suppress(ConnectionError):
            reader, writer = await self.open()
            writer.write(HEAD + b"Content-Length: 50\r\n\r\n{}")
            writer.write_eof()
            await reader.read()

    async def tell(self, data: bytes) -> int:
        """Say it all, whether anybody listens or not; the first status, 0 when the line was torn before it came."""
        with suppress(ConnectionError):
            reader, writer = await self.open()
            writer.write(data)
            answer = await asyncio.wait_for(reader.read(12), PATIENCE_SECONDS)
            return int(answer[9:])
        return 0

    async def guess(self, request: bytes, count: int) -> set[int]:
        """So many wrong ones, sent ahead on one connection; the statuses."""
        reader, writer = await self.open()
        found = set[int]()
        for _ in range(count // 50):
            writer.write(request * 50)
            for _ in range(50):
                head = await reader.readuntil(b"\r\n\r\n")
                found.add(int(head[9:12]))
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        return found

    def leave(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


class Watched:
    """How large the service is, at most, and how long proper webhooks took."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._folder = Path(f"/proc/{stage.service.pid}")
        self._before = self._memory()
        self.growth, self.files, self.taken = 0, 0, list[float]()

    def _memory(self) -> int:
        return int((self._folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    async def go_on(self) -> None:
        """A proper customer writes, each time over a connection of its own."""
        while True:
            began = time.monotonic()
            status, answer = await self._stage.service.post(self._stage.message(new_phone(), "hello"))
            self.taken.append(time.monotonic() - began)
            assert (status, answer["accepted"]) == (200, 1)
            self.growth = max(self.growth, self._memory() - self._before)
            self.files = max(self.files, len(list((self._folder / "fd").iterdir())))
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("many_files")
async def test_proper_webhooks_are_answered_in_time_whoever_else_is_there(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    settings = {"READ_TIMEOUT": str(READ_SECONDS), "CONNECTION_LIMIT": str(LIMIT), "ACCEPT_TIMEOUT": "10"}
    async with staged(database_url, redis_url, tmp_path, **settings) as stage:
        crowd, watched = Crowd(stage.service.port), Watched(stage)
        proper = asyncio.ensure_future(watched.go_on())
        wrong = HEAD + b"X-Webhook-Secret: wrong\r\nContent-Length: 2\r\n\r\n{}"
        token = b"GET /api/v1/stats HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\n\r\n"
        slow = (
            HEAD + b"X-Slow: ",
            HEAD + PROOF + b"Content-Length: 500\r\n\r\n",
            HEAD + PROOF + b"Content-Length: 90000\r\n\r\n",
        )
        garbage = asyncio.gather(*(crowd.tell(data) for _, data in GARBAGE))
        assert await crowd.guess(wrong, GUESSES) == {401, 429}
        assert await crowd.guess(token, WRONG_TOKENS) == {401, 429}
        for (wanted, data), status in zip(GARBAGE, await garbage, strict=True):
            assert status in {wanted, 0}, data[:200]
        await asyncio.gather(
            asyncio.gather(*(crowd.drip(slow[number % 3]) for number in range(DRIPPING))),
            asyncio.gather(*(crowd.half_close() for _ in range(HALF_CLOSED))),
            crowd.idle(),
        )
        assert await stage.service.metric("bot_connections") <= LIMIT
        await until(lambda: few(stage), "the idle ones are let go")
        assert not proper.done(), proper.exception()
        proper.cancel()
        crowd.leave()
        assert max(watched.taken) < PATIENCE_SECONDS
        assert watched.growth < GROWTH
        assert watched.files < LIMIT + OWN_FILES
        assert await stage.count("select count(*) from journal where kind = 'message_received'") >= len(watched.taken)
        assert await stage.service.metric("bot_connections_closed_total") > LIMIT
        lines = [orjson.loads(line) for line in stage.service.log.read_text().splitlines() if line.startswith("{")]
        assert not [line for line in lines if line["level"] in {"error", "critical"}]


async def few(stage: Stage) -> bool:
    return await stage.service.metric("bot_connections") < 50
