"""All keys on one master, whose address the sentinels know, and which is another after a failover.

redis-py's own pool for this asks one sentinel after the other at each new connection, so one that hangs holds up
everybody, and a master that was put back into service as a replica is noticed at the first write only. Here all
sentinels are asked side by side, most of them decide, and each new connection asks the server whether it is the master.

The sentinels are asked again when a connection breaks, when the master did not answer in time, and when it says that it
may not write any more.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from bot.adapters.redis.keyspace import Keyspace
from bot.adapters.redis.node import BROKEN, Command, Node, Nodes, all_ended, pack
from bot.wire.redis_url import Address, RedisAt

_LATE_S: Final = 0.1
"""After an answer of one sentinel, that long is waited for each further one."""


class BehindSentinel(Keyspace):
    """Give it where the sentinels are and what they call the master."""

    replicated = True

    def __init__(self, at: RedisAt, *, timeout_s: float, size: int) -> None:
        super().__init__(timeout_s)
        self._service = at.service
        self._sentinels = [Node(at.sentinel_url(address), size=size) for address in at.addresses]
        self._servers = Nodes(lambda address: Node(at.server_url(address), size=size, greeted=_be_master))
        self._question = pack((b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", at.service.encode()))
        self._master: Node | None = None

    async def aclose(self) -> None:
        await asyncio.gather(self._servers.aclose(), *(sentinel.aclose() for sentinel in self._sentinels))

    async def _run(self, commands: Sequence[Command]) -> Sequence[Any]:
        packed = [packed for _, packed in commands]
        if self._master is not None:
            try:
                replies = await self._master.round_trip(packed)
            except BROKEN:
                replies = None
            if replies is not None and not any(map(_demoted, replies)):
                return replies
        return await (await self._find()).round_trip(packed)

    async def _ping(self) -> str:
        await (await self._find()).ping()
        return f"the master of {self._service} answers"

    def _doubt(self) -> None:
        self._master = None

    async def _find(self) -> Node:
        """Ask the sentinels where the master is now."""
        address = await self._elected()
        self._master = self._servers.at(address)
        await self._servers.keep_only([address])
        return self._master

    async def _elected(self) -> Address:
        """What most of the sentinels say. Who is late or away does not count."""
        votes: Counter[Address] = Counter()
        failures: list[BaseException] = []
        tasks = [asyncio.ensure_future(self._named_by(sentinel)) for sentinel in self._sentinels]
        waiting = set(tasks)
        try:
            while waiting and not _decided(votes, len(tasks)):
                done, waiting = await asyncio.wait(
                    waiting, timeout=_LATE_S if votes else None, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    break
                failures += filter(None, (task.exception() for task in done))
                votes.update(task.result() for task in done if task.exception() is None)
        finally:
            await all_ended(tasks)
        if not votes:
            raise failures[0]
        return votes.most_common(1)[0][0]

    async def _named_by(self, sentinel: Node) -> Address:
        found = await sentinel.ask(self._question)
        if found is None:
            raise RedisError(f"the sentinels know no service {self._service!r}")
        host, port = found
        return host.decode(), int(port)


async def _be_master(connection: Any) -> None:
    """The greeting of a new connection. A server that does not tell us its role is believed to be what we were told."""
    await connection.on_connect()
    await connection.send_command("ROLE")
    try:
        role = (await connection.read_response(disable_decoding=True))[0]
    except ResponseError:
        return
    if role != b"master":
        raise RedisConnectionError("the server that the sentinels named is not the master any more")


def _decided(votes: Counter[Address], voters: int) -> bool:
    return bool(votes) and votes.most_common(1)[0][1] * 2 > voters


def _demoted(reply: object) -> bool:
    """Within a script Redis 6 reports it in the middle of the message, so redis-py has no class for it."""
    return isinstance(reply, ResponseError) and "READONLY" in f"{type(reply).__name__.upper()} {reply}"
