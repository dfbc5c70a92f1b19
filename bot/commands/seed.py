"""`bot seed`: believable history in an empty database, for trials of the API, of dashboards and of reports.

Everything is sealed as the service seals it, so REST shows it. It is written in one transaction: all of it or nothing.
"""

import time
from random import Random
from typing import Final

import click
import msgspec

from bot.adapters.postgres.copying import PostgresCopying
from bot.adapters.postgres.stores import opened
from bot.app import NotReady, unlocked
from bot.config import Settings
from bot.ports.failures import Unacceptable
from bot.seeding.history import History, Wanted

EMPTY_ENOUGH: Final = 50
"""Customers that a database may have: somebody tried the web phone before."""
COPY_SECONDS: Final = 600.0
"""Seconds that one table may take."""
OUR_NUMBER: Final = "919000000001"
"""Where no `MSG91_SENDER_ID` says which number is ours."""


class Planted(msgspec.Struct, frozen=True, kw_only=True):
    """What was written, and in how many seconds."""

    customers: int
    conversations: int
    messages: int
    seconds: float


async def seed(
    settings: Settings, *, conversations: int, days: int, chance: int, now: float | None, sure: bool
) -> None:
    """Fill the database and say what with. Raises `NotReady` when it is not to be filled."""
    if settings.environment == "production" and not sure:
        raise NotReady("this is production: nothing is invented here without --yes")
    planted = await plant(settings, conversations=conversations, days=days, chance=chance, now=now, sure=sure)
    rate = planted.conversations / planted.seconds
    click.echo(
        f"{planted.customers} customers, {planted.conversations} conversations, {planted.messages} messages"
        f" over {days} days in {planted.seconds:.1f} s ({rate:.0f} conversations a second)"
    )


async def plant(
    settings: Settings, *, conversations: int, days: int, chance: int, now: float | None = None, sure: bool = False
) -> Planted:
    """The same `chance` invents the same history. `now`: unix seconds at which it ends.

    Raises `NotReady` when the schema is not up to date, when more than a few customers are there and nobody is `sure`,
    or when this very history is there already.
    """
    began = time.monotonic()
    async with opened(settings.database_url, sql_dir=settings.sql_dir, size=2) as base:
        hindrance = (await base.standing()).hindrance()
        if hindrance:
            raise NotReady(hindrance)
        vault = await unlocked(settings, base.keyring)
        copying = PostgresCopying(base.database)
        customers = await copying.customers()
        if not sure and customers > EMPTY_ENOUGH:
            raise NotReady(
                "the database has customers already: history is only invented in an empty one, or with --yes"
            )
        wanted = Wanted(
            conversations=conversations,
            days=days,
            now=time.time() if now is None else now,
            number=settings.numbers[0] if settings.numbers else OUR_NUMBER,
            abroad=not customers,
        )
        ids = iter(await copying.free_customers(conversations))
        tables = History(wanted, vault, ids, Random(chance)).write()
        try:
            await copying.copy(tables.filled(), timeout_s=COPY_SECONDS)
        except Unacceptable:
            raise NotReady("this history is there already: another --seed invents another one") from None
        await copying.recount()
    return Planted(
        customers=len(tables.users),
        conversations=len(tables.conversations),
        messages=len(tables.messages),
        seconds=time.monotonic() - began,
    )


async def plant_once(settings: Settings, *, conversations: int, days: int) -> None:
    """As `plant`, unless the database has customers."""
    async with opened(settings.database_url, sql_dir=settings.sql_dir, size=1) as base:
        empty = not await PostgresCopying(base.database).customers()
    if empty:
        await plant(settings, conversations=conversations, days=days, chance=1)
