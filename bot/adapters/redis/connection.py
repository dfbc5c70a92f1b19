"""From `REDIS_URL` to the keys."""

from collections.abc import Sequence
from typing import Any

from bot.adapters.redis.cluster import Cluster
from bot.adapters.redis.keyspace import Keyspace
from bot.adapters.redis.node import CONNECTIONS, TIMEOUT_S, Command, Node
from bot.adapters.redis.sentinel import BehindSentinel
from bot.wire.redis_url import parse


def connect(url: str, *, timeout_s: float = TIMEOUT_S, size: int = CONNECTIONS) -> Keyspace:
    """Connects at its first command, with at most `size` connections to each server. Raises `ValueError`."""
    at = parse(url)
    if at.kind == "sentinel":
        return BehindSentinel(at, timeout_s=timeout_s, size=size)
    if at.kind == "cluster":
        return Cluster(at, timeout_s=timeout_s, size=size)
    return SingleServer(url, timeout_s=timeout_s, size=size)


class SingleServer(Keyspace):
    """All keys on one server; it does not matter to us whether that one has replicas."""

    replicated = False

    def __init__(self, url: str, *, timeout_s: float, size: int) -> None:
        super().__init__(timeout_s)
        self._node = Node(url, size=size)

    async def aclose(self) -> None:
        await self._node.aclose()

    async def _run(self, commands: Sequence[Command]) -> Sequence[Any]:
        return await self._node.round_trip([packed for _, packed in commands])

    async def _ping(self) -> str:
        await self._node.ping()
        return "answers"

    def _doubt(self) -> None:
        """There is only this one."""
