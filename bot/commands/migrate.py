"""`bot migrate`: bring the schema up to date, whole or one side of a rolling deploy, or say what is pending."""

import click

from bot.adapters.postgres.migrations import Kind, Migrated, Standing, kind_of
from bot.adapters.postgres.stores import opened
from bot.config import Settings


async def migrate(settings: Settings, only: Kind | None = None) -> Migrated:
    """Apply what is pending, or only what may run on one side of a deploy; one process at a time."""
    async with opened(settings.database_url, sql_dir=settings.sql_dir, size=1) as base:
        return await base.migrate(only)


async def standing(settings: Settings) -> Standing:
    async with opened(settings.database_url, sql_dir=settings.sql_dir, size=1) as base:
        return await base.standing()


async def apply(settings: Settings, only: Kind | None) -> bool:
    """Apply, print what was applied and what is left; whether all that was asked for is done."""
    async with opened(settings.database_url, sql_dir=settings.sql_dir, size=1) as base:
        migrated = await base.migrate(only)
        schema = await base.standing()
    for name in migrated.applied:
        click.echo(f"applied: {name}")
    _tell(schema, nothing_new=not migrated.applied)
    if migrated.held_back:
        click.echo(f"bot: {migrated.held_back}", err=True)
    return not migrated.held_back


async def check(settings: Settings, only: Kind | None) -> bool:
    """Print what is pending; whether nothing is, or nothing of that kind."""
    schema = await standing(settings)
    _tell(schema, nothing_new=True)
    return not any(only in {None, kind_of(name)} for name in schema.pending)


def _tell(schema: Standing, *, nothing_new: bool) -> None:
    for name in schema.pending:
        click.echo(f"pending: {name}")
    for name in schema.unknown:
        click.echo(f"of a newer release: {name}")
    if nothing_new and not schema.pending:
        click.echo("the schema is up to date")
