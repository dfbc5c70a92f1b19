"""`bot migrate`: bring the schema up to date, or say what is pending."""

from collections.abc import Sequence

from bot.adapters.postgres.stores import opened
from bot.config import Settings


async def migrate(settings: Settings) -> Sequence[str]:
    """Apply what is pending, under an advisory lock; the names of what was applied."""
    async with opened(settings.database_url, sql_dir=settings.sql_dir, size=1) as base:
        return await base.migrate()


async def pending(settings: Settings) -> Sequence[str]:
    async with opened(settings.database_url, sql_dir=settings.sql_dir, size=1) as base:
        return await base.pending_migrations()
