"""The sandbox as an application: every route, what starts and stops with it, and running it alone."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from bot.sandbox import control, msg91, openrouter, page
from bot.sandbox.box import BOX, Box
from bot.sandbox.faults import answer
from bot.sandbox.settings import SandboxSettings

BODY_LIMIT = 8 * 1024 * 1024
SETTINGS = web.AppKey("SETTINGS", SandboxSettings)


def create_app(settings: SandboxSettings) -> web.Application:
    """The whole sandbox; it holds no state before it is started."""
    app = web.Application(client_max_size=BODY_LIMIT)
    app[SETTINGS] = settings
    app.cleanup_ctx.append(_living)
    app.on_shutdown.append(_let_go)
    app.add_routes([*msg91.routes(), *openrouter.routes(), *control.routes(), *page.routes()])
    app.router.add_route("*", "/{tail:.*}", missing)
    return app


async def run(settings: SandboxSettings) -> None:
    """Serve until cancelled. `OSError` when the address is taken.

    A call whose caller has gone away still takes effect, as it does at a real provider.
    """
    runner = web.AppRunner(create_app(settings), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port, backlog=1024).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def missing(request: web.Request) -> web.Response:
    """Whatever is not there: in the words of the provider whose paths these would be."""
    if request.path.startswith("/api/v1/"):
        return answer(404, openrouter.envelope(404, "Not Found"))
    return answer(404, {"type": "error", "msg": "Route Missing"})


async def _living(app: web.Application) -> AsyncIterator[None]:
    connector = aiohttp.TCPConnector(limit=app[SETTINGS].report_workers + 32)
    async with aiohttp.ClientSession(connector=connector) as session:
        box = app[BOX] = Box(app[SETTINGS], session)
        box.reports.start()
        watching = asyncio.create_task(page.watch(box), name="sandbox watch")
        yield
        watching.cancel()
        await box.reports.stop()


async def _let_go(app: web.Application) -> None:
    """End what would otherwise wait: calls that hang, and the streams of open pages."""
    app[BOX].release()
    app[BOX].phones.close()
