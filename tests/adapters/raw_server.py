"""A server that says exactly the bytes it is told to, for tests of a client."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class Peer:
    """One connection of a client, as the server sees it; `number` counts from 0."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self._reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """The next request, head and body."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return head + await self._reader.readexactly(length)

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def bytewise(self, data: bytes) -> None:
        """Every byte in a write of its own, and a turn of the event loop after each."""
        for place in range(len(data)):
            await self.say(data[place : place + 1])
            await asyncio.sleep(0)

    async def until_closed(self) -> bytes:
        """What the client says until it closes."""
        return await self._reader.read()


Manner = Callable[[Peer], Awaitable[None]]


class RawServer:
    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._under_way: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.port = 0
        self.connections = 0
        self.standing = 0
        self.most = 0
        """Connections that stood at once, at the most."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._under_way[task] = writer
        self.connections += 1
        self.standing += 1
        self.most = max(self.most, self.standing)
        try:
            await self._manner(Peer(self.connections - 1, reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.standing -= 1
            del self._under_way[task]
            writer.transport.abort()

    async def end(self) -> None:
        """Cut every connection, whatever its manner waits for from the client ends with that."""
        for writer in self._under_way.values():
            writer.transport.abort()
        await asyncio.gather(*self._under_way, return_exceptions=True)


@asynccontextmanager
async def raw_server(
    manner: Manner, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """A server that treats every connection in the given manner, and closes it at the end of that."""
    server = RawServer(manner)
    listener = await asyncio.start_server(server.serve, host, 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await server.end()
        await listener.wait_closed()
