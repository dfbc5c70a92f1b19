"""`bot demo`: the real service on real embedded stores, with the sandbox in place of MSG91 and OpenRouter."""

import asyncio
import base64
import os
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import click
import msgspec
import orjson
from aiohttp import web

from bot import logs
from bot.app import Service, running
from bot.commands.migrate import migrate
from bot.commands.seed import plant_once
from bot.commands.serve import SHUTDOWN_SECONDS, told_version, with_stores
from bot.config import Settings, shipped
from bot.sandbox.server import create_app
from bot.sandbox.settings import SandboxSettings

OUR_NUMBER = "919000000001"
SEEDED, SEEDED_DAYS = 400, 90
"""Conversations that `--seed` begins with, and over how many days: a second's work."""


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """Made at the first start and kept beside the data, which is of no use without them."""

    encryption_keys: str
    webhook_secret: str
    admin_token: str


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """What runs, and where."""

    service: Service
    url: str
    sandbox_url: str
    admin_token: str


async def demo(*, port: int, data: Path, seed: bool = False) -> None:
    """Run until Ctrl-C."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    click.echo("Starting PostgreSQL and Redis ...")
    async with demonstrated(port=port, sandbox_port=port + 1 if port else 0, data=data, seed=seed) as system:
        click.echo(_welcome(system, data))
        await stop.wait()
        click.echo("Stopping ...")
    click.echo("Stopped. The data is kept; the next start goes on with it.")


@asynccontextmanager
async def demonstrated(
    *, port: int, sandbox_port: int, data: Path, quiet: bool = False, seed: bool = False
) -> AsyncIterator[Demo]:
    """The whole system; port 0 lets the system choose."""
    async with AsyncExitStack() as stack:
        kept = await asyncio.to_thread(_secrets, data)
        logs.configure(form="text", level="error" if quiet else "warning", replica="demo")
        site_port, sandbox_port = port or _free_port(), sandbox_port or _free_port()
        sandbox_url = f"http://127.0.0.1:{sandbox_port}"
        settings = await with_stores(_settings(kept, site_port, sandbox_url), data / "stores", stack)
        await migrate(settings)
        if seed:
            await plant_once(settings, conversations=SEEDED, days=SEEDED_DAYS)
        await _listen(stack, create_app(_sandbox(kept, site_port, sandbox_port)), sandbox_port)
        service = await stack.enter_async_context(running(settings))
        told_version()
        await _listen(stack, service.web(), site_port)
        stack.push_async_callback(service.stop)
        yield Demo(
            service=service,
            url=f"http://127.0.0.1:{site_port}",
            sandbox_url=sandbox_url,
            admin_token=kept.admin_token,
        )


def _settings(kept: Secrets, port: int, sandbox_url: str) -> Settings:
    """The environment still counts for where the flows are."""
    return Settings(
        host="127.0.0.1",
        port=port,
        environment="development",
        encryption_keys=kept.encryption_keys,
        admin_token=kept.admin_token,
        msg91_webhook_secret=kept.webhook_secret,
        msg91_auth_key="sandbox",
        msg91_sender_id=OUR_NUMBER,
        msg91_base_url=f"{sandbox_url}/api/v5",
        openrouter_api_key="sandbox",
        openrouter_base_url=f"{sandbox_url}/api/v1",
        openrouter_primary_model="sandbox/simulated",
        openrouter_fallback_model="sandbox/simulated-fallback",
        flows_dir=Path(os.environ.get("FLOWS_DIR") or shipped("flows")),
        sql_dir=Path(os.environ.get("SQL_DIR") or shipped("sql")),
        log_format="text",
    )


def _sandbox(kept: Secrets, port: int, sandbox_port: int) -> SandboxSettings:
    return SandboxSettings(
        port=sandbox_port,
        webhook_url=f"http://127.0.0.1:{port}/webhook/msg91",
        webhook_secret=kept.webhook_secret,
        integrated_numbers=(OUR_NUMBER,),
    )


async def _listen(stack: AsyncExitStack, app: web.Application, port: int) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", port).start()


def _secrets(data: Path) -> Secrets:
    data.mkdir(parents=True, exist_ok=True)
    file = data / "secrets.json"
    if file.exists():
        return msgspec.json.decode(file.read_bytes(), type=Secrets)
    made = Secrets(
        encryption_keys="demo:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        webhook_secret=secrets.token_urlsafe(24),
        admin_token=secrets.token_urlsafe(24),
    )
    file.touch(mode=0o600)
    file.write_bytes(orjson.dumps(msgspec.to_builtins(made), option=orjson.OPT_INDENT_2))
    return made


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _welcome(system: Demo, data: Path) -> str:
    return f"""
  The web phone (write as a customer)  {system.sandbox_url}/phone
  REST, with its document              {system.url}/api/docs
    Authorization: Bearer {system.admin_token}
  Is it well                           {system.url}/ready
  Metrics                              {system.url}/metrics
  What reached customers               {system.sandbox_url}/sandbox/messages

  Data is kept in {data}. Ctrl-C stops everything.
"""
