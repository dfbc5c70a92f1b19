"""`bot erase` and `bot export`: what the API does for one customer, for an operator at the machine.

They need the database and Redis, and no running service. Where one runs, its replicas let go of what they hold of an
erased customer within about a second, and the command waits for that.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import click

from bot.adapters.postgres.erasures import PostgresErasures
from bot.adapters.postgres.stores import Stores, opened
from bot.adapters.redis.connection import connect as connect_redis
from bot.adapters.redis.seats import RedisSeats
from bot.adapters.redis.spool import RedisSpool
from bot.app import NotReady, unlocked
from bot.config import Settings
from bot.ports.erasures import ErasureReport
from bot.ports.keys import Vault
from bot.ports.tokens import COMMAND_LINE
from bot.runtime.erasing import LOOK_SECONDS, SILENT_SECONDS, erasure_key
from bot.web.api.customer_data import UNKNOWN, document
from bot.wire.msg91.fields import phone as digits_of

WAIT_SECONDS: Final = 30.0
"""How long the command waits for replicas: one that was killed counts as living for as long as its last beat said."""
PRIVATE: Final = 0o600
"""An export is for the eyes of whoever asked for it."""


async def erase(settings: Settings, phone: str) -> bool:
    """Erase and print what was done; whether all is done. Raises `NotReady` when nobody has the number."""
    async with AsyncExitStack() as stack:
        stores, vault = await stack.enter_async_context(_stores(settings))
        redis = connect_redis(settings.redis_url, timeout_s=settings.redis_timeout)
        stack.push_async_callback(redis.aclose)
        if await RedisSpool(redis).waiting():
            raise NotReady("webhooks that may be this customer's wait in the spool: let a service work it off first")
        name = erasure_key(vault, _digits(phone), uuid4().hex)
        erasure = await stores.erasures.begin(_digits(phone), key=name, by=COMMAND_LINE, at=time.time())
        if erasure is None:
            raise NotReady(UNKNOWN)
        await stores.erasures.work_off(erasure)
        await RedisSeats(redis, me=COMMAND_LINE, lease_s=1.0, session_s=1.0).forget(erasure.customers)
        report = await _finished(stores.erasures, name)
    _tell(report)
    return report.status == "done"


async def export(settings: Settings, phone: str, output: Path | None) -> bool:
    """Write everything that is held about the customer. Raises `NotReady` when nobody has the number."""
    async with _stores(settings) as (stores, _):
        found = await stores.exports.export(_digits(phone))
        if found is None:
            raise NotReady(UNKNOWN)
        await stores.audit.record("customer_exported", by=COMMAND_LINE, customer=found.customer)
        parts = document(found.pages, datetime.now(UTC))
        if output is None:
            await _print(parts)
        else:
            await _write(parts, output)
    return True


async def _finished(erasures: PostgresErasures, name: bytes) -> ErasureReport:
    """What the erasure came to. Takes up along the way what somebody else left."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        left = await erasures.take_up(SILENT_SECONDS)
        if left is not None:
            await erasures.work_off(left)
        await erasures.finish()
        report = await erasures.report(name)
        if report is None:
            raise NotReady("the erasure is not in the database any more")
        if report.status == "done" or time.monotonic() >= end:
            return report
        await asyncio.sleep(LOOK_SECONDS)


def _tell(report: ErasureReport) -> None:
    click.echo(
        f"{report.status}: {report.messages} messages and {report.events} events emptied, {report.cancelled} not sent, "
        f"{report.quarantined} unusable bodies deleted; {report.conversations} conversations stay as numbers"
    )
    if report.status == "pending":
        click.echo("a replica has not let go of its memory yet: the erasure ends by itself when it has", err=True)


async def _print(parts: AsyncIterator[bytes]) -> None:
    async for part in parts:
        click.echo(part.decode(), nl=False)


async def _write(parts: AsyncIterator[bytes], output: Path) -> None:
    """A file that is there already is not overwritten."""
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    except FileExistsError:
        raise NotReady(f"{output} is there already") from None
    with os.fdopen(descriptor, "wb") as file:
        async for part in parts:
            file.write(part)


@asynccontextmanager
async def _stores(settings: Settings) -> AsyncIterator[tuple[Stores, Vault]]:
    async with opened(settings.database_url, sql_dir=settings.sql_dir, size=1) as base:
        hindrance = (await base.standing()).hindrance()
        if hindrance:
            raise NotReady(hindrance)
        vault = await unlocked(settings, base.keyring)
        yield Stores(base, vault), vault


def _digits(phone: str) -> str:
    digits = digits_of(phone)
    if not digits:
        raise NotReady("write a phone number of 10 to 15 digits with its country code")
    return digits
