"""Connections to PostgreSQL, and the one place where a statement is run and a driver's error becomes one of ours.

Settings of every connection, each for the sake of many small statements of the same few shapes:
`plan_cache_mode` plans a statement once instead of weighing a new plan each time, which costs more than running it;
`enable_seqscan` off keeps that one plan on the indexes, also when it was made while the tables were nearly empty;
`jit` off, because compiling takes longer than anything here runs. On release nothing is reset: no statement of the
service leaves anything behind in its session.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Final

import asyncpg

from bot.adapters.postgres.circuit import Circuit
from bot.ports.failures import Unacceptable, Unavailable

_REFUSALS: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.CardinalityViolationError,
    asyncpg.ProgramLimitExceededError,
)
_NO_ANSWER: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""What says that the server is away, and not that it refuses a statement. A value that cannot be encoded is an
`InterfaceError` too, and a `ValueError` at the same time."""


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
    """The statements of `sql/queries` over a pool. Raises `Unavailable` and `Unacceptable` only.

    A call may be cancelled: its connection is given up with it, so that nobody waits for a server that is silent.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        queries: Mapping[str, str],
        *,
        acquire_timeout_s: float = 5.0,
        circuit: Circuit | None = None,
        probing: bool = True,
    ) -> None:
        """`probing`: whether, while PostgreSQL does not answer, these calls may find out that it does again."""
        self._pool = pool
        self._queries = queries
        self._acquire_timeout_s = acquire_timeout_s
        self._circuit = circuit or Circuit()
        self._probing = probing

    def impatient(self) -> "Database":
        """The same for callers who would rather hear at once that PostgreSQL is away."""
        return Database(
            self._pool,
            self._queries,
            acquire_timeout_s=self._acquire_timeout_s,
            circuit=self._circuit,
            probing=False,
        )

    def acquire(self) -> AbstractAsyncContextManager[Any]:
        """A connection, as of the pool, for statements that have no name."""
        return self._connection()

    async def fetch(self, name: str, *arguments: Any) -> Sequence[Any]:
        """The rows of the statement `name`, which is atomic by itself."""
        async with self._connection() as connection:
            return await _rows(connection, self._queries[name], arguments)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """Several statements that take effect together; rolled back when the block raises."""
        async with self._connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                yield Session(connection, self._queries)
            except TimeoutError:
                raise  # the connection is given up, and the transaction with it
            except Exception:
                if not connection.is_closed():
                    await transaction.rollback()
                raise
            await transaction.commit()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        with translated():
            self._circuit.enter(probe=self._probing)
            try:
                async with self._pool.acquire(timeout=self._acquire_timeout_s) as connection:
                    with _given_up(connection):
                        yield connection
            except asyncpg.ReadOnlySQLTransactionError:
                self._circuit.failed()
                await self._pool.expire_connections()  # to a server that is not the primary any more
                raise
            except _NO_ANSWER as error:
                if not isinstance(error, ValueError):
                    self._circuit.failed()
                raise
            except asyncpg.PostgresError:
                self._circuit.answered()
                raise
            self._circuit.answered()


async def _rows(connection: Any, statement: str, arguments: Sequence[Any]) -> Sequence[Any]:
    rows: Sequence[Any] = await connection.fetch(statement, *arguments)
    return rows


@contextmanager
def _given_up(connection: Any) -> Iterator[None]:
    """A connection that stays silent, or whose answer nobody waits for any more, is closed at once: its pool would wait
    for it once more before taking it back.
    """
    try:
        yield
    except (TimeoutError, asyncio.CancelledError):
        connection.terminate()
        raise


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
        raise Unavailable(f"PostgreSQL (DATABASE_URL): {_told(error)}") from error


def _told(error: Exception) -> str:
    """Kind and message without the detail, which may quote a row."""
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no answer in time'}"


async def _leave_as_it_is(_connection: Any) -> None:
    return None
