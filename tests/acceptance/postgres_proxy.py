"""A proxy in front of a real PostgreSQL that holds a statement at a chosen moment, so that a test can strike
just there.

It understands as much of the protocol as tells which statement a client is about to run: `Parse` names a statement's
SQL, `Bind` runs it. Nothing of the service knows that it is there.
"""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal
from urllib.parse import parse_qs, urlsplit

Moment = Literal["before", "after"]
"""`before` PostgreSQL hears of the statement; `after` it took effect and before the client hears so."""

PROTOCOL_3 = 196608
READY = b"Z\x00\x00\x00\x05I"


class Trap:
    """Springs once: `sprung` is set when the statement is held, and stays held until `release`."""

    def __init__(self, text: str, moment: Moment, *, cut: bool) -> None:
        self.text = text.encode()
        self.moment = moment
        self.cut = cut
        self.sprung = asyncio.Event()
        self.released = asyncio.Event()
        self.taken = False

    def release(self) -> None:
        self.released.set()


class PostgresProxy:
    """Listens on loopback; `url` leads through it to `upstream`."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._socket = parse_qs(parts.query).get("host", [""])[0]
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 5432
        self._user = f"{parts.username or 'postgres'}:{parts.password or ''}"
        self._database = parts.path
        self._traps: list[Trap] = []
        self._connections: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.refusing = False
        self.frozen = asyncio.Event()
        self.frozen.set()

    @property
    def url(self) -> str:
        return f"postgresql://{self._user}@127.0.0.1:{self.port}{self._database}"

    def trap(self, text: str, moment: Moment, *, cut: bool = False) -> Trap:
        """Hold the next statement whose SQL contains `text`; with `cut` its connection is closed instead."""
        trap = Trap(text, moment, cut=cut)
        self._traps.append(trap)
        return trap

    def cut(self) -> None:
        """Close every connection and refuse new ones, until `mend`."""
        self.refusing = True
        for writer in list(self._connections):
            writer.close()

    def mend(self) -> None:
        self.refusing = False
        self.frozen.set()

    def freeze(self) -> None:
        """Keep connections open and let nothing through, until `mend`."""
        self.frozen.clear()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.close()
            return
        if self._socket:
            from_server, to_server = await asyncio.open_unix_connection(f"{self._socket}/.s.PGSQL.{self._port}")
        else:
            from_server, to_server = await asyncio.open_connection(self._host, self._port)
        connection = _Connection(self, reader, writer, from_server, to_server)
        self._connections |= {writer, to_server}
        for work in (connection.forward(), connection.backward()):
            task = asyncio.get_running_loop().create_task(self._guarded(work, writer, to_server))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work, *writers: asyncio.StreamWriter) -> None:  # type: ignore[no-untyped-def]
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, OSError):
            await work
        for writer in writers:
            writer.close()
            self._connections.discard(writer)

    def spring(self, sql: bytes) -> Trap | None:
        for trap in self._traps:
            if not trap.taken and trap.text in sql:
                trap.taken = True
                return trap
        return None


class _Connection:
    def __init__(
        self,
        proxy: PostgresProxy,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        from_server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._reader, self._writer = reader, writer
        self._from_server, self._to_server = from_server, to_server
        self._statements: dict[bytes, bytes] = {}
        self._held_by: Trap | None = None

    async def forward(self) -> None:
        await self._startup()
        while True:
            kind = await self._reader.readexactly(1)
            head = await self._reader.readexactly(4)
            body = await self._reader.readexactly(struct.unpack("!I", head)[0] - 4)
            await self._proxy.frozen.wait()
            if kind == b"P":
                name, _, rest = body.partition(b"\x00")
                self._statements[name] = rest.partition(b"\x00")[0]
            elif kind == b"B":
                await self._strike(body)
            self._to_server.write(kind + head + body)
            await self._to_server.drain()

    async def _startup(self) -> None:
        while True:
            head = await self._reader.readexactly(8)
            length, code = struct.unpack("!II", head)
            self._to_server.write(head + await self._reader.readexactly(length - 8))
            if code == PROTOCOL_3:
                return

    async def _strike(self, bind: bytes) -> None:
        statement = bind.split(b"\x00", 2)[1]
        trap = self._proxy.spring(self._statements.get(statement, b""))
        if trap is None:
            return
        if trap.moment == "after":
            self._held_by = trap
            return
        trap.sprung.set()
        if trap.cut:
            raise ConnectionError
        await trap.released.wait()

    async def backward(self) -> None:
        held = b""
        while data := await self._from_server.read(65536):
            await self._proxy.frozen.wait()
            held += data
            trap = self._held_by
            if trap is not None:
                if not held.endswith(READY):
                    continue
                trap.sprung.set()
                if trap.cut:
                    return
                await trap.released.wait()
                self._held_by = None
            self._writer.write(held)
            await self._writer.drain()
            held = b""


@asynccontextmanager
async def proxied(upstream: str) -> AsyncIterator[PostgresProxy]:
    proxy = PostgresProxy(upstream)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
