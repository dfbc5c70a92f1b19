"""`bot doctor`: look at everything a service needs, and say in a line each what is well and what to do."""

from collections.abc import Awaitable, Callable

import aiohttp
import click

from bot.adapters.openrouter.chain import OpenRouter
from bot.adapters.postgres.sealed import PostgresSealed
from bot.adapters.postgres.stores import opened
from bot.adapters.redis.connection import connect as connect_redis
from bot.app import read_flows, unlocked
from bot.commands.descriptors import descriptors_wanted, most_descriptors
from bot.commands.keys import counts_of, missing, service_keys
from bot.commands.migrate import standing
from bot.config import Settings, demands_of_service

PROVIDER_SECONDS = 10.0
NUMBERS_PATH = "/whatsapp/whatsapp-activation/"
"""MSG91 answers with the account's numbers; it needs nothing but the authkey."""


class Unwell(Exception):
    """A check failed; the message says what to do."""


async def examine(settings: Settings) -> bool:
    """Print a line for each check; whether all are well."""
    checks: tuple[tuple[str, Callable[[Settings], Awaitable[str]]], ...] = (
        ("settings", _check_settings),
        ("descriptors", _check_descriptors),
        ("database", _check_database),
        ("schema", _check_schema),
        ("keys", _check_keys),
        ("redis", _check_redis),
        ("flows", _check_flows),
        ("provider", _check_provider),
        ("model", _check_model),
    )
    well = True
    for name, check in checks:
        try:
            click.echo(f"ok    {name}: {await check(settings)}")
        except Exception as problem:  # noqa: BLE001 - each check stands alone, whatever is wrong with it
            well = False
            click.echo(f"FAIL  {name}: {str(problem) or type(problem).__name__}")
    return well


async def _check_settings(settings: Settings) -> str:
    missing = demands_of_service(settings)
    if missing:
        raise Unwell("; ".join(missing))
    return f"{settings.environment}, our numbers: {', '.join(settings.numbers) or 'none'}"


async def _check_descriptors(settings: Settings) -> str:
    wanted, may_have = descriptors_wanted(settings), most_descriptors()
    if may_have < wanted:
        raise Unwell(
            f"this process may have {may_have} open files and CONNECTION_LIMIT needs {wanted}: "
            "raise the limit (ulimit -Hn, LimitNOFILE) or lower CONNECTION_LIMIT"
        )
    return f"room for {settings.connection_limit} connections"


async def _check_database(settings: Settings) -> str:
    _given(settings.database_url, "DATABASE_URL")
    async with opened(settings.database_url, sql_dir=settings.sql_dir, size=1) as base:
        if (await base.standing()).hindrance():
            return "answers"
        await unlocked(settings, base.keyring)
        return "answers, and ENCRYPTION_KEYS open its keyring"


async def _check_schema(settings: Settings) -> str:
    _given(settings.database_url, "DATABASE_URL")
    schema = await standing(settings)
    if hindrance := schema.hindrance() or schema.outgrown():
        raise Unwell(hindrance)
    return schema.unfinished() or "up to date"


async def _check_keys(settings: Settings) -> str:
    """Reads all that is sealed under the service's keys, in pages."""
    _given(settings.database_url, "DATABASE_URL")
    keys = service_keys(settings)
    async with opened(settings.database_url, sql_dir=settings.sql_dir, size=1) as base:
        if (await base.standing()).hindrance():
            return "not looked at: the schema is not up to date"
        counts = await PostgresSealed(base.database, keys).counts()
    if gone := missing(keys.ids, counts):
        raise Unwell(
            f"ENCRYPTION_KEYS lacks {', '.join(gone)}, in use in {counts_of(gone, counts)}: put it back behind"
        )
    return f"ENCRYPTION_KEYS holds every key that is in use; {keys.first_id} seals"


async def _check_redis(settings: Settings) -> str:
    _given(settings.redis_url, "REDIS_URL")
    async with connect_redis(settings.redis_url, timeout_s=PROVIDER_SECONDS) as redis:
        return await redis.ping()


async def _check_flows(settings: Settings) -> str:
    book, problems = read_flows(settings)
    if book is None:
        raise Unwell(f"{len(problems)} problems, the first: {problems[0]}; run `bot flows check`")
    return f"{len(book.flows)} flows, {len(problems)} warnings"


async def _check_provider(settings: Settings) -> str:
    _given(settings.msg91_auth_key, "MSG91_AUTH_KEY")
    timeout = aiohttp.ClientTimeout(total=PROVIDER_SECONDS)
    url = settings.msg91_base_url.rstrip("/") + NUMBERS_PATH
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, headers={"authkey": settings.msg91_auth_key}) as answer,
    ):
        if answer.status == 401:
            raise Unwell("MSG91 refuses MSG91_AUTH_KEY, or this machine's address is not on its list")
        if answer.status == 404 and settings.msg91_dialect == "v5":
            raise Unwell("there is nothing of MSG91's at MSG91_BASE_URL")
        if answer.status >= 500:
            raise Unwell(f"MSG91 answers with HTTP {answer.status}")
        return f"answers with HTTP {answer.status}"


async def _check_model(settings: Settings) -> str:
    if not settings.openrouter_api_key:
        return "not configured: a person is offered instead of a model's answer"
    async with aiohttp.ClientSession() as session:
        chain = OpenRouter(
            session,
            base_url=settings.openrouter_base_url,
            api_key=settings.openrouter_api_key,
            models=settings.models,
            timeout=PROVIDER_SECONDS,
        )
        try:
            return await chain.check_key()
        finally:
            await chain.close()


def _given(value: str, name: str) -> None:
    if not value:
        raise Unwell(f"{name} is missing")
