"""Connections to PostgreSQL, and the one place where a statement is run and a driver's error becomes one of ours.

Settings of every connection, each for the sake of many small statements of the same few shapes:
`plan_cache_mode` plans a statement once instead of weighing a new plan each time, which costs more than running it;
`enable_seqscan` off keeps that one plan on the indexes, also when it was made while the tables were nearly empty;
`jit` off, because compiling takes longer than anything here runs. On release nothing is reset: no statement of the
service leaves anything behind in its session.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import asyncpg

from bot.ports.failures import Unacceptable, Unavailable

_REFUSALS: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.CardinalityViolationError,
    asyncpg.ProgramLimitExceededError,
)


async def connect(
    url: str,
    *,
    size: int = 10,
    statement_timeout_s: float = 10.0,
    connect_timeout_s: float = 5.0,
    application_name: str = "bot",
) -> asyncpg.Pool:
    """A pool of `size` connections at most, one of them open. Raises `Unavailable` when none can be made.

    The server gives up a statement after `statement_timeout_s`; we do a little later, in case the server is silent.
    """
    with translated():
        return await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            timeout=connect_timeout_s,
            command_timeout=statement_timeout_s + 1.0,
            max_queries=2**62,
            max_inactive_connection_lifetime=0,
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=0,
            statement_cache_size=500,
            reset=_leave_as_it_is,
            server_settings={
                "application_name": application_name,
                "statement_timeout": str(int(statement_timeout_s * 1000)),
                "plan_cache_mode": "force_generic_plan",
                "enable_seqscan": "off",
                "jit": "off",
            },
        )


class Session:
    """One connection, for what needs more than one statement in a transaction."""

    def __init__(self, connection: Any, queries: Mapping[str, str]) -> None:
        self._connection = connection
        self._queries = queries

    async def fetch(self, name: str, *arguments: Any) -> Sequence[Any]:
        """The rows of the statement `name`."""
        return await _rows(self._connection, self._queries[name], arguments)


class Database:
    """The statements of `sql/queries` over a pool. Raises `Unavailable` and `Unacceptable` only."""

    def __init__(self, pool: asyncpg.Pool, queries: Mapping[str, str], *, acquire_timeout_s: float = 5.0) -> None:
        self._pool = pool
        self._queries = queries
        self._acquire_timeout_s = acquire_timeout_s

    async def fetch(self, name: str, *arguments: Any) -> Sequence[Any]:
        """The rows of the statement `name`, which is atomic by itself."""
        with translated():
            async with self._pool.acquire(timeout=self._acquire_timeout_s) as connection:
                return await _rows(connection, self._queries[name], arguments)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """Several statements that take effect together; rolled back when the block raises."""
        with translated():
            async with self._pool.acquire(timeout=self._acquire_timeout_s) as connection, connection.transaction():
                yield Session(connection, self._queries)


async def _rows(connection: Any, statement: str, arguments: Sequence[Any]) -> Sequence[Any]:
    """A connection that stays silent is given up: its pool would wait for it once more before taking it back."""
    try:
        rows: Sequence[Any] = await connection.fetch(statement, *arguments)
    except TimeoutError:
        connection.terminate()
        raise
    return rows


@contextmanager
def translated() -> Any:
    """What the driver raises inside becomes `Unacceptable` where the value is to blame and `Unavailable` elsewhere.

    A missing table or a standby that takes no writes is `Unavailable` too: the same value is welcome once that is
    repaired.
    """
    try:
        yield
    except _REFUSALS as error:
        raise Unacceptable(_told(error)) from error
    except asyncpg.InterfaceError as error:
        # The driver tells a value that it cannot encode from a broken connection only by this second ancestor.
        kind = Unacceptable if isinstance(error, ValueError) else Unavailable
        raise kind(_told(error)) from error
    except (asyncpg.PostgresError, asyncpg.InternalClientError, OSError, TimeoutError) as error:
        raise Unavailable(_told(error)) from error


def _told(error: Exception) -> str:
    """Kind and message without the detail, which may quote a row."""
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no answer in time'}"


async def _leave_as_it_is(_connection: Any) -> None:
    return None
