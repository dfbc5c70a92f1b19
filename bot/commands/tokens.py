"""`bot tokens`: make, list and revoke tokens of the API in DATABASE_URL, whether or not a service runs."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import click

from bot.adapters.postgres.stores import opened
from bot.adapters.postgres.tokens import PostgresTokens
from bot.app import NotReady
from bot.config import Settings
from bot.ports.tokens import COMMAND_LINE, GROUPS, SCOPES, KeptToken, Refusal, Scope, TokenId, known_scopes, spelt_out
from bot.runtime.tokens import issue

PAGE = 200
"""Tokens read at a time."""


class BadScopes(ValueError):
    """Words that are neither scopes nor names of groups; the message says which words are."""


def scopes_in(text: str) -> frozenset[Scope]:
    """The scopes of a comma separated list. Raise `BadScopes`."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    unknown = sorted(set(words) - set(SCOPES) - GROUPS.keys())
    if unknown or not words:
        named = f"unknown: {', '.join(unknown)}" if unknown else "none given"
        raise BadScopes(f"{named}; there are {', '.join(GROUPS)}, {', '.join(SCOPES)}")
    groups = [name for name in GROUPS if name in words]
    return spelt_out([*known_scopes(words), *groups])


async def add(settings: Settings, name: str, scopes: frozenset[Scope], days: int | None) -> bool:
    """Make a token and print it, the only time it is seen; whether it was made."""
    expires_at = datetime.now(UTC) + timedelta(days=days) if days is not None else None
    async with _tokens(settings) as tokens:
        try:
            made = await issue(tokens, name=name, scopes=scopes, expires_at=expires_at, by=COMMAND_LINE)
        except Refusal as refusal:
            click.echo(f"bot: {refusal}", err=True)
            return False
    click.echo(made.text)
    click.echo("This is the only time it is shown.", err=True)
    return True


async def show(settings: Settings) -> bool:
    """Print a line for each token, the one made last first."""
    async with _tokens(settings) as tokens:
        found = await _all(tokens)
    now = datetime.now(UTC)
    click.echo("\t".join(("id", "name", "state", "last used", "made by", "scopes")))
    for token in found:
        used = _day(token.last_used_at) or "never"
        click.echo("\t".join((str(token.id), token.name, _state(token, now), used, token.created_by, _told(token))))
    return True


async def revoke(settings: Settings, name_or_id: str) -> bool:
    """Revoke the living token with this name or id; whether there was one."""
    async with _tokens(settings) as tokens:
        living = (token for token in await _all(tokens) if token.revoked_at is None)
        found = next((token for token in living if name_or_id in {token.name, str(token.id)}), None)
        revoked = await tokens.revoke(TokenId(found.id), by=COMMAND_LINE) if found else None
    if revoked is None:
        click.echo(f"bot: no living token has the name or id {name_or_id}", err=True)
        return False
    click.echo(f"revoked: {revoked.id} {revoked.name}; every replica refuses it within five seconds")
    return True


@asynccontextmanager
async def _tokens(settings: Settings) -> AsyncIterator[PostgresTokens]:
    """The store. Raise `NotReady` when the schema is not that of this release."""
    async with opened(settings.database_url, sql_dir=settings.sql_dir, size=1) as base:
        if hindrance := (await base.standing()).hindrance():
            raise NotReady(hindrance)
        yield PostgresTokens(base.database)


async def _all(tokens: PostgresTokens) -> Sequence[KeptToken]:
    found: list[KeptToken] = []
    while page := await tokens.page(after=found[-1].id if found else None, limit=PAGE):
        found += page
    return found


def _state(token: KeptToken, now: datetime) -> str:
    if token.revoked_at is not None:
        return f"revoked {_day(token.revoked_at)}"
    if token.expires_at is None:
        return "in force"
    return f"{'expired' if token.expires_at <= now else 'until'} {_day(token.expires_at)}"


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def _told(token: KeptToken) -> str:
    return "all" if set(token.scopes) == set(SCOPES) else ",".join(token.scopes)
