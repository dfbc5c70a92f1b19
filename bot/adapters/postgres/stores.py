"""All stores of one database, opened together."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from bot.adapters.postgres.audit import PostgresAudit
from bot.adapters.postgres.directory import PostgresDirectory
from bot.adapters.postgres.effects import PostgresEffects
from bot.adapters.postgres.erasures import PostgresErasures
from bot.adapters.postgres.exports import PostgresExports
from bot.adapters.postgres.flow_versions import PostgresFlowVersions
from bot.adapters.postgres.journal import PostgresJournal
from bot.adapters.postgres.keyring import PostgresKeyring
from bot.adapters.postgres.migrations import Kind, Migrated, Migration, Standing, load_migrations, migrate, standing
from bot.adapters.postgres.outbox import PostgresOutbox
from bot.adapters.postgres.parking import PostgresParking
from bot.adapters.postgres.past import PostgresPast
from bot.adapters.postgres.pool import Database, connect
from bot.adapters.postgres.quarantine import PostgresQuarantine
from bot.adapters.postgres.queries import load_queries
from bot.adapters.postgres.records import PostgresRecords
from bot.adapters.postgres.replicas import PostgresReplicas
from bot.adapters.postgres.retention import PostgresRemovals
from bot.adapters.postgres.store import PostgresStore
from bot.adapters.postgres.timers import PostgresTimers
from bot.adapters.postgres.tokens import PostgresTokens
from bot.adapters.postgres.watch import PostgresWatch
from bot.adapters.postgres.webhooks import PostgresWebhooks
from bot.ports.keys import Vault

CONNECT_SECONDS = 5.0
"""Seconds to wait for a new connection; never longer than for a statement, or a silent server would cost both."""


class Base:
    """A connected database before its keys are known: migrations and the keyring.

    The migrations are those that lay there when it was opened: files of a newer release that come to lie beside a
    running one are not its own.
    """

    def __init__(self, pool: asyncpg.Pool, queries: Mapping[str, str], migrations: Sequence[Migration]) -> None:
        self._pool = pool
        self._queries = queries
        self._migrations = migrations
        self.newest_migration = migrations[-1].name
        self.database = Database(pool, queries)
        self.keyring = PostgresKeyring(self.database)

    async def standing(self) -> Standing:
        """What is pending, and what a newer release applied."""
        return await standing(self.database, self._queries, self._migrations)

    async def migrate(self, only: Kind | None = None) -> Migrated:
        """Apply what is pending, or as much of it as may be applied now of one kind."""
        return await migrate(self._pool, self._queries, self._migrations, only)


class Stores:
    """One adapter for each port of `bot.ports` and `bot.records` that PostgreSQL fulfils."""

    def __init__(self, base: Base, vault: Vault) -> None:
        database = base.database
        self.base = base
        self.store = PostgresStore(database)
        self.journal = PostgresJournal(database)
        self.directory = PostgresDirectory(database, vault)
        self.quarantine = PostgresQuarantine(database)
        self.parking = PostgresParking(database)
        self.past = PostgresPast(database.impatient())
        self.outbox = PostgresOutbox(database, vault)
        self.effects = PostgresEffects(database)
        self.erasures = PostgresErasures(database, vault)
        self.exports = PostgresExports(database.impatient(), vault)
        self.timers = PostgresTimers(database)
        self.replicas = PostgresReplicas(database, base.newest_migration)
        self.flow_versions = PostgresFlowVersions(database)
        self.tokens = PostgresTokens(database.impatient())
        self.audit = PostgresAudit(database.impatient())
        self.removals = PostgresRemovals(database)
        self.records = PostgresRecords(database.impatient(), vault)
        self.watch = PostgresWatch(database)
        self.webhooks = PostgresWebhooks(database)


@asynccontextmanager
async def opened(url: str, *, sql_dir: Path, size: int = 8, statement_timeout_s: float = 10.0) -> AsyncIterator[Base]:
    """A connected database, closed at the end. Raises `bot.ports.failures.Unavailable` when it cannot be reached."""
    patience = min(CONNECT_SECONDS, statement_timeout_s)
    pool = await connect(url, size=size, statement_timeout_s=statement_timeout_s, connect_timeout_s=patience)
    try:
        yield Base(pool, load_queries(sql_dir), load_migrations(sql_dir))
    finally:
        pool.terminate()
