"""One Redis server: packed commands in one round trip over a pooled connection. What every arrangement is made of."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, TypeVar, cast

import hiredis
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from bot.wire.redis_url import Address

T = TypeVar("T")
Command = tuple[bytes, bytes]
"""The key, which says where it belongs, and the packed command."""

TIMEOUT_S: Final = 1.0
CONNECTIONS: Final = 20
"""Connections to one server at once."""
BROKEN: Final = (RedisError, OSError)
"""What the client raises when a server does not do what it should; error replies are values."""

pack: Final = cast("Callable[[tuple[bytes, ...]], bytes]", hiredis.pack_command)
"""Typed here, because its stub allows tuples of one part only."""
_PING: Final = pack((b"PING",))


class Node:
    """The connections to one server. `greeted` looks at each connection that was made and may refuse it."""

    def __init__(
        self, url: str, *, size: int = CONNECTIONS, greeted: Callable[[Any], Awaitable[None]] | None = None
    ) -> None:
        self.busy = 0
        self._pool: Any = ConnectionPool.from_url(
            url,
            socket_timeout=None,  # whoever calls has a timeout; one for each reply would cost as much as the reply
            socket_connect_timeout=TIMEOUT_S,
            max_connections=size,
            retry=Retry(NoBackoff(), 1),
            protocol=2,
            redis_connect_func=greeted,
        )

    async def round_trip(self, packed: Sequence[bytes]) -> list[Any]:
        """The replies to commands that are sent at once; an error reply is returned in its place. Raises `BROKEN`.

        It does without the client's pipeline, which spends four times as much on each command.
        """
        self.busy += 1
        try:
            connection = await self._pool.get_connection()
            try:
                await connection.send_packed_command(packed)
                return [await _reply(connection) for _ in packed]
            except BaseException:
                await connection.disconnect(nowait=True)  # the replies that are left must not answer somebody else
                raise
            finally:
                await self._pool.release(connection)
        finally:
            self.busy -= 1

    async def ask(self, packed: bytes) -> Any:
        """The reply to one command; an error reply is raised like everything else."""
        (reply,) = await self.round_trip([packed])
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def ping(self) -> None:
        await self.ask(_PING)

    async def aclose(self) -> None:
        await self._pool.aclose()


class Nodes:
    """The servers by their addresses. One that is not wanted any more is closed when nobody is at work on it."""

    def __init__(self, make: Callable[[Address], Node]) -> None:
        self._make = make
        self._known: dict[Address, Node] = {}

    def at(self, address: Address) -> Node:
        node = self._known.get(address)
        if node is None:
            node = self._known[address] = self._make(address)
        return node

    async def keep_only(self, addresses: Iterable[Address]) -> None:
        wanted = set(addresses)
        for address in [address for address, node in self._known.items() if address not in wanted and not node.busy]:
            await self._known.pop(address).aclose()

    async def aclose(self) -> None:
        await asyncio.gather(*(node.aclose() for node in self._known.values()))


async def all_ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel what is not done, and let nothing that was raised go unheard."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def first_answer(questions: Iterable[Coroutine[Any, Any, T]]) -> T:
    """The first of the answers to questions that are asked side by side. Raises the last failure when there is none."""
    tasks = [asyncio.ensure_future(question) for question in questions]
    failure: Exception | None = None
    try:
        for done in asyncio.as_completed(tasks):
            try:
                return await done
            except BROKEN as error:
                failure = error
    finally:
        await all_ended(tasks)
    raise failure or RedisError("nobody was asked")


async def _reply(connection: Any) -> Any:
    try:
        return await connection.read_response(disable_decoding=True)
    except ResponseError as error:
        return error
