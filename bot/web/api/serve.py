"""The API in an application: each route of the table admitted, read, answered; and its document beside it.

The application needs `RECORDS`, `DESK` and `ADMIN_TOKEN` (see `bot.web.keys`) when it starts to serve, and the
middleware `bot.web.errors.api_errors`. The document itself holds no secret and needs no token.
"""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import msgspec
from aiohttp import web

from bot.web.api.admission import admit
from bot.web.api.asked import Asked, Nothing
from bot.web.api.openapi import PREFIX, document
from bot.web.api.page import page
from bot.web.api.reading import asked_of, body_of, key_of
from bot.web.api.route import AnyRoute, Call, Later
from bot.web.api.table import ROUTES
from bot.web.attempts import Attempts
from bot.web.keys import ADMIN_TOKEN, DESK, RECORDS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PAGE_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


def add_api(app: web.Application, *, mount: str = "") -> None:
    """Add every route of the table, `/api/v1/openapi.json` and `/api/docs`; `mount` is where `app` itself will be."""
    attempts = Attempts()
    prefix = PREFIX.removeprefix(mount)
    for route in ROUTES:
        app.router.add_route(route.method, prefix + route.path, _handler(route, attempts))
    described = document(ROUTES)
    as_json, as_html = msgspec.json.encode(described), page(described)

    async def openapi(_: web.Request) -> web.Response:
        return web.Response(body=as_json, content_type="application/json")

    async def docs(_: web.Request) -> web.Response:
        return web.Response(text=as_html, content_type="text/html", headers=PAGE_HEADERS)

    app.router.add_get(f"{prefix}/openapi.json", openapi)
    app.router.add_get("/api/docs".removeprefix(mount), docs)


def _handler(route: AnyRoute, attempts: Attempts) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        authorization = request.headers.get("Authorization", "")
        admit(authorization, request.app.get(ADMIN_TOKEN, ""), request.remote or "", attempts)
        answer = await route.handler(await _call(route, request))
        if isinstance(answer, Later):
            return _response(answer.answer, 202)
        return _response(answer, route.status)

    return handle


async def _call(route: AnyRoute, request: web.Request) -> Call[Asked, Asked]:
    return Call(
        records=request.app[RECORDS],
        desk=request.app[DESK],
        asked=asked_of(request, route.asked),
        body=await body_of(request, route.body) if route.has_body else Nothing(),
        key=key_of(request, uuid4().hex),
    )


def _response(answer: msgspec.Struct, status: int) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(answer),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
