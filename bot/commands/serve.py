"""`bot serve`: the service in production."""

import asyncio
import gc
import logging
import platform
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path

import msgspec
from aiohttp import web

from bot import PACKAGE, metrics
from bot.adapters.embedded import Embedded
from bot.app import Service, running
from bot.commands.descriptors import connections_allowed
from bot.commands.migrate import migrate
from bot.config import Settings, shipped
from bot.web.door import Doors
from bot.web.guest import Guest

log = logging.getLogger(__name__)

COLLECT_AFTER = 50_000
"""Objects made and not yet freed after which Python looks for cycles among the young ones."""
SHUTDOWN_SECONDS = 2.0
"""Seconds that answers under way have once everything is drained."""


async def serve(
    settings: Settings, *, embedded: Path | None = None, started: Callable[[Service, int], None] = lambda *_: None
) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reloads the flows. `started` hears of the port once it is open.

    With `embedded`, whichever store has no address is started in that folder, and the schema is brought up to date.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with AsyncExitStack() as stack:
        if embedded is not None:
            settings = await with_stores(settings, embedded, stack)
            await migrate(settings)
        service = await stack.enter_async_context(running(settings))
        if settings.flows_dir == shipped("flows"):
            log.warning("the sample flows are in force: set FLOWS_DIR, or start where your folder flows is")
        runner = web.AppRunner(service.web(), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        port = await _open_doors(service, runner, settings, stack)
        loop.add_signal_handler(signal.SIGHUP, lambda: service.engine.tasks.spawn(_reload(service), "reload"))
        log.info("ready", extra={"port": port, "replica_id": service.engine.me, "version": told_version()})
        _calm_collector()
        started(service, port)
        await stop.wait()
        engine = service.engine
        log.info("stopping", extra={"letters": engine.registry.letters, "outgoing": len(engine.delivery)})
    log.info("stopped")


async def _open_doors(service: Service, runner: web.AppRunner, settings: Settings, stack: AsyncExitStack) -> int:
    """Take connections, on the port that is returned, until the stack is unwound: first the service stops."""
    if runner.server is None:
        raise ValueError("the runner is not set up")
    server_side = runner.server
    doors = Doors(
        service.webhook,
        lambda: Guest(server_side),
        read_seconds=settings.read_timeout,
        most=connections_allowed(settings),
    )
    stack.push_async_callback(doors.close, SHUTDOWN_SECONDS)
    server = await asyncio.get_running_loop().create_server(doors, settings.host, settings.port, backlog=1024)
    stack.callback(server.close)
    stack.push_async_callback(service.stop)
    return int(server.sockets[0].getsockname()[1])


def told_version() -> str:
    """The version that runs, which the metrics tell from now on."""
    running_version = version(PACKAGE)
    metrics.build_info.labels(running_version, platform.python_version()).set(1)
    return running_version


def _calm_collector() -> None:
    """What was built at the start lives as long as the process: take it out of the collector's sight, and let it look
    for cycles less often. The hot path makes none.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 50)


async def with_stores(settings: Settings, folder: Path, stack: AsyncExitStack) -> Settings:
    """Start the embedded server for each store that has no address."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    wanted = Embedded(folder, postgres=not settings.database_url, redis=not settings.redis_url)
    urls = await stack.enter_async_context(wanted)
    return msgspec.structs.replace(
        settings,
        database_url=settings.database_url or urls.database,
        redis_url=settings.redis_url or urls.redis,
    )


async def _reload(service: Service) -> None:
    for problem in await service.engine.shelf.reload():
        log.error("the flows were not reloaded: %s", problem)
