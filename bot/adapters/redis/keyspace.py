"""One way to ask for keys, wherever they are: on one server, on the master that Sentinel names, or over a cluster.

Timeouts are short: whatever Redis does is speed only (P7), so waiting long for it would be the opposite of its purpose.
Only the spool holds what nobody else has; its promise stands in `bot/adapters/redis/spool.py`.

Commands may be done twice: when a master was lost they are repeated, once, on whoever is the master by then. So no
command may do harm the second time. All of ours are like that.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Self

from bot.adapters.redis.node import BROKEN, Command
from bot.ports.failures import Unavailable


class Keyspace(ABC):
    """Every call of it raises `Unavailable` within the timeout when the keys cannot be reached."""

    replicated: ClassVar[bool]
    """Whether a write can be expected to have replicas."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s

    async def run(self, commands: Sequence[Command], timeout_s: float | None = None) -> Sequence[Any]:
        """The replies in the order of the commands; an error reply is returned in its place.

        The commands of one key stay in order and together: they go over one connection.
        """
        with self._translated():
            async with asyncio.timeout(timeout_s or self.timeout_s):
                return await self._run(commands)

    async def ping(self) -> str:
        """Who answers, in a few words."""
        with self._translated():
            async with asyncio.timeout(self.timeout_s):
                return await self._ping()

    @abstractmethod
    async def aclose(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @abstractmethod
    async def _run(self, commands: Sequence[Command]) -> Sequence[Any]: ...

    @abstractmethod
    async def _ping(self) -> str: ...

    @abstractmethod
    def _doubt(self) -> None:
        """Somebody did not answer in time: what is known of the servers may be out of date."""

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except BROKEN as error:
            if isinstance(error, TimeoutError):
                self._doubt()
            told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise Unavailable(f"Redis (REDIS_URL): {told}") from error
