"""A bounded pool of kept connections to one host. Who finds all of them busy waits in line; first come, first served.

A connection that the other side closed, that may not carry another request, or that rested too long is not used again.
Whoever is cancelled or gives up in line takes no place with them.
"""

import asyncio
import ssl
from collections import deque

import msgspec

from bot.adapters.lean_http.connection import Connection


class NotSent(Exception):
    """Nothing was written: the other side knows nothing of this request. `__cause__` says why."""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """Where to connect; with `tls`, as which name the other side has to prove itself is `name`."""

    address: str
    port: int
    name: str
    tls: ssl.SSLContext | None


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """`connections`: at once. `rest`: seconds an idle one is kept. `call`: seconds for a call, the wait in line and the
    answer included; `connect`: seconds of these until a connection stands. `answer`: bytes of a body that are read.
    """

    connections: int
    rest: float
    call: float
    connect: float
    answer: int


class Pool:
    def __init__(self, bounds: Bounds) -> None:
        self._loop = asyncio.get_running_loop()
        self._bounds = bounds
        self._free = bounds.connections
        """Connections that may still be made."""
        self._idle: list[Connection] = []
        self._line: deque[asyncio.Future[Connection | None]] = deque()
        self._open: set[Connection] = set()
        self._closed = False
        self._gone = asyncio.Event()

    @property
    def standing(self) -> int:
        """Connections that are open."""
        return len(self._open)

    def rested(self, now: float) -> Connection | None:
        """An idle connection, the one that was used last, so that those not needed grow old; None: `obtain` one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.fit(now):
                return connection
            connection.abort()
            self._free += 1
        return None

    async def obtain(self, host: Host, until: float) -> Connection:
        """A connection, perhaps a new one; `release` it afterwards. Raises `NotSent`, at `until` at the latest."""
        try:
            async with asyncio.timeout_at(until):
                connection = await self._turn()
            if connection is not None:
                if connection.fit(self._loop.time()):
                    return connection
                connection.abort()
            return await self._connected(host, until)
        except (OSError, ValueError) as error:  # ValueError: a name that cannot be looked up
            raise NotSent from error

    def release(self, connection: Connection) -> None:
        """Take a connection back; one that is in the midst of something is closed."""
        if connection.fit(self._loop.time()) and not self._closed:
            self._pass_on(connection)
        else:
            connection.abort()
            self._pass_on(None)

    async def close(self) -> None:
        """Close all, and return when they are gone: calls under way are lost, those in line are not sent."""
        self._closed = True
        while self._line:
            waiter = self._line.popleft()
            if not waiter.done():
                waiter.set_exception(NotSent("closed"))
        for connection in list(self._open):
            connection.abort()
        while self._open:
            self._gone.clear()
            await self._gone.wait()

    # --- places ------------------------------------------------------------------------------------------------------

    async def _turn(self) -> Connection | None:
        """A connection that somebody gave back, or None: there is room for a new one."""
        if self._closed:
            raise NotSent("closed")
        if self._free:
            self._free -= 1
            return None
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        self._line.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            self._leave_line(waiter)
            raise

    def _leave_line(self, waiter: "asyncio.Future[Connection | None]") -> None:
        if waiter in self._line:
            self._line.remove(waiter)
        elif not waiter.cancelled() and waiter.exception() is None:  # its turn came in the same moment
            self._pass_on(waiter.result())

    def _pass_on(self, connection: Connection | None) -> None:
        """Give a connection, or the room for one, to whoever has waited longest."""
        while self._line:
            waiter = self._line.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is None:
            self._free += 1
        else:
            connection.rest(self._loop.time() + self._bounds.rest)
            self._idle.append(connection)

    # --- connections -------------------------------------------------------------------------------------------------

    async def _connected(self, host: Host, until: float) -> Connection:
        try:
            async with asyncio.timeout_at(min(until, self._loop.time() + self._bounds.connect)):
                _, connection = await self._loop.create_connection(
                    self._new, host.address, host.port, ssl=host.tls, server_hostname=host.name if host.tls else None
                )
            if self._closed or not connection.fit(self._loop.time()):
                connection.abort()
                raise NotSent("closed before it was used")
        except BaseException:
            self._pass_on(None)
            raise
        return connection

    def _new(self) -> Connection:
        return Connection(loop=self._loop, body_limit=self._bounds.answer, on_begin=self._open.add, on_end=self._ended)

    def _ended(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._gone.set()
        if connection in self._idle:
            self._idle.remove(connection)
            self._pass_on(None)
