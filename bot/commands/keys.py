"""`bot keys`: what is sealed under which of the service's keys, and rotating them under traffic."""

from collections import Counter
from collections.abc import Mapping, Sequence

import click

from bot.adapters.cipher import ServiceKeys, parse_keys
from bot.adapters.postgres.sealed import HOLDINGS, PostgresSealed
from bot.adapters.postgres.stores import opened
from bot.adapters.redis.connection import connect as connect_redis
from bot.adapters.redis.spool import RedisSpool
from bot.app import DEVELOPMENT_KEY
from bot.config import Settings
from bot.ports.failures import Unavailable

RESEALED = {holding.name for holding in HOLDINGS if holding.context is not None}
"""What `rewrap` seals anew; the rest leaves by age."""


def service_keys(settings: Settings) -> ServiceKeys:
    return ServiceKeys(parse_keys(settings.encryption_keys or DEVELOPMENT_KEY))


async def status(settings: Settings) -> bool:
    """Print what each key has sealed and whether it is needed; False when one that is needed is missing."""
    keys = service_keys(settings)
    async with opened(settings.database_url, sql_dir=settings.sql_dir, size=1) as base:
        counts = await PostgresSealed(base.database, keys).counts()
    for name, counter in counts.items():
        for key, count in sorted(counter.items()):
            click.echo(f"{name:<16} {key:<16} {count}")
    click.echo(await _spooled(settings))
    for line in verdicts(keys.ids, counts):
        click.echo(line)
    return not missing(keys.ids, counts)


async def rewrap(settings: Settings) -> bool:
    """Seal anew until a pass finds nothing left; False when something does not open."""
    keys = service_keys(settings)
    async with opened(settings.database_url, sql_dir=settings.sql_dir, size=1) as base:
        sealed = PostgresSealed(base.database, keys)
        while True:
            done = await sealed.reseal()
            for name, count in done.changed.items():
                click.echo(f"{name:<16} {count} now under {keys.first_id}")
            if not done.changed:
                break
        for line in verdicts(keys.ids, await sealed.counts()):
            click.echo(line)
    for name, count in done.unreadable.items():
        click.echo(f"bot: {name}: {count} values that no key of ENCRYPTION_KEYS opens", err=True)
    return not done.unreadable


def missing(ids: Sequence[str], counts: Mapping[str, Counter[str]]) -> Sequence[str]:
    """Keys that sealed something and are not among `ids`."""
    return sorted({key for counter in counts.values() for key in counter if key not in ids})


def counts_of(ids: Sequence[str], counts: Mapping[str, Counter[str]]) -> str:
    """How much those keys have sealed, by place."""
    sums = {name: sum(counter[key] for key in ids) for name, counter in counts.items()}
    return ", ".join(f"{name} ({count})" for name, count in sums.items() if count)


def verdicts(ids: Sequence[str], counts: Mapping[str, Counter[str]]) -> Sequence[str]:
    """A line for each key: whether it is needed, for what, and what to do."""
    lines = [f"{ids[0]}: seals"]
    for key in ids[1:]:
        used = {name: counter[key] for name, counter in counts.items() if counter[key]}
        if any(name in RESEALED for name in used):
            lines.append(f"{key}: needed; run `bot keys rewrap`")
        elif used:
            lines.append(f"{key}: needed until it has left by age: {', '.join(used)}")
        else:
            lines.append(f"{key}: no longer needed, once no replica has it in front and the spool is empty")
    return [*lines, *(f"{key}: MISSING from ENCRYPTION_KEYS, and in use" for key in missing(ids, counts))]


async def _spooled(settings: Settings) -> str:
    """The spool is sealed under the keys of the moment, and worked off within seconds once PostgreSQL answers."""
    if not settings.redis_url:
        return "spool            not looked at: REDIS_URL is not set"
    async with connect_redis(settings.redis_url, timeout_s=settings.redis_timeout) as redis:
        try:
            return f"spool            {await RedisSpool(redis).waiting()} deliveries wait"
        except Unavailable:
            return "spool            not looked at: Redis is away"
