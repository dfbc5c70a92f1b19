"""Connections to Redis, batches of commands in one round trip, and the place where its errors become `Unavailable`.

Timeouts are short: whatever Redis does is speed only (P7), so waiting long for it would be the opposite of its purpose.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from bot.ports.failures import Unavailable

TIMEOUT_S: Final = 1.0


def connect(url: str, *, timeout_s: float | None = TIMEOUT_S, size: int = 20) -> Redis:
    """A client for `redis://`, `rediss://` or `unix://`; it connects at its first command. Raises `ValueError`.

    With `timeout_s` None its commands may wait for ever; that is for `round_trip`, which has a timeout of its own and
    costs half as much without one for each reply.
    """
    return Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=TIMEOUT_S,
        max_connections=size,
        retry=Retry(NoBackoff(), 1),
        protocol=2,
    )


async def round_trip(client: Redis, packed: Sequence[bytes], timeout_s: float = TIMEOUT_S) -> Sequence[Any]:
    """The replies to packed commands that are sent at once; an error reply is returned in its place.

    It does without the client's pipeline, which spends four times as much on each command. Raises `Unavailable`.
    """
    with translated():
        async with asyncio.timeout(timeout_s):
            pool: Any = client.connection_pool
            connection = await pool.get_connection()
            try:
                await connection.send_packed_command(packed)
                return [await _reply(connection) for _ in packed]
            except BaseException:
                await connection.disconnect(nowait=True)  # the replies that are left must not answer somebody else
                raise
            finally:
                await pool.release(connection)


async def _reply(connection: Any) -> Any:
    try:
        return await connection.read_response(disable_decoding=True)
    except ResponseError as error:
        return error


@contextmanager
def translated() -> Iterator[None]:
    """What the client raises inside becomes `Unavailable`."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise Unavailable(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from error
