"""The web phone: three static files, a sample picture, and the stream of events that keeps the page alive."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from typing import Any, Final

from aiohttp import web

from bot.sandbox.box import BOX, Box
from bot.sandbox.phones import event
from bot.sandbox.picture import sample_png

SECURITY: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' http: https: data:; "
        "media-src http: https:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
FILES: Final = {
    "/phone": ("phone.html", "text/html"),
    "/phone/phone.css": ("phone.css", "text/css"),
    "/phone/phone.js": ("phone.js", "text/javascript"),
    "/phone/chat.js": ("chat.js", "text/javascript"),
}


def routes() -> list[web.RouteDef]:
    static = [web.get(path, _serve(*served)) for path, served in FILES.items()]
    return [*static, web.get("/", home), web.get("/phone/sample.png", sample), web.get("/phone/events", events)]


async def home(_request: web.Request) -> web.Response:
    raise web.HTTPFound("/phone")


async def sample(_request: web.Request) -> web.Response:
    return web.Response(body=sample_png(), content_type="image/png", headers=SECURITY)


async def events(request: web.Request) -> web.StreamResponse:
    """Server-sent events for `?number=`: the chat so far, then messages, statuses, and how the service is."""
    box = request.app[BOX]
    number = request.query.get("number", "")
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    with box.phones.page(number) as queue, suppress(ConnectionError):
        await response.write(event("chat", box.records.chat(number)))
        await response.write(event("service", {"up": await box.webhook.up()}))
        while told := await queue.get():
            await response.write(told)
    return response


async def watch(box: Box) -> None:
    """Tell open pages again and again how the service is; a page that is gone is found out by writing to it."""
    while True:
        await asyncio.sleep(box.settings.heartbeat)
        if len(box.phones):
            box.phones.tell_all("service", {"up": await box.webhook.up()})


def _serve(name: str, kind: str) -> Callable[[web.Request], Any]:
    async def handler(_request: web.Request) -> web.Response:
        text = files("bot.sandbox").joinpath(name).read_text("utf-8")
        return web.Response(text=text, content_type=kind, charset="utf-8", headers=SECURITY)

    return handler
