"""The API in an application: each route of the table admitted, read, answered; and its document beside it.

The application needs `RECORDS`, `DESK`, `AUDIT` and `ADMISSION` (see `bot.web.keys`) when it starts to serve, and the
middleware `bot.web.errors.api_errors`. The document itself holds no secret and needs no token.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, cast
from uuid import UUID, uuid4

import msgspec
from aiohttp import web

from bot.web.api.admission import Bearer, permit
from bot.web.api.asked import Asked, Nothing
from bot.web.api.bulk import USUAL_RECIPIENTS, body_limit
from bot.web.api.openapi import PREFIX, document
from bot.web.api.page import page
from bot.web.api.reading import BODY_LIMIT, asked_of, body_of, key_of
from bot.web.api.replay import finished
from bot.web.api.route import AnyRoute, Call, Streamed
from bot.web.api.streaming import streamed
from bot.web.api.table import ROUTES
from bot.web.headers import NOTHING_RUNS
from bot.web.keys import ADMISSION, AUDIT, BULK_LIMIT, DESK, ERASING, EXPORTS, RECORDS, WEBHOOKS
from bot.web.rates import Allowance

_ID = "[0-9A-Fa-f-]{32,36}"
_IN_PATH = re.compile(r"\{(\w+)\}")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ALLOWANCE: web.RequestKey[Allowance] = web.RequestKey("allowance", Allowance)
"""Where a request keeps what is left to its token."""
PAGE_HEADERS = {"Content-Security-Policy": f"{NOTHING_RUNS}; style-src 'unsafe-inline'"}


def add_api(app: web.Application, *, mount: str = "") -> None:
    """Add every route of the table, `/api/v1/openapi.json` and `/api/docs`; `mount` is where `app` itself will be."""
    prefix = PREFIX.removeprefix(mount)
    for route in ROUTES:
        app.router.add_route(route.method, prefix + _address(route), _handler(route))
    described = document(ROUTES)
    as_json, as_html = msgspec.json.encode(described), page(described)

    async def openapi(_: web.Request) -> web.Response:
        return web.Response(body=as_json, content_type="application/json")

    async def docs(_: web.Request) -> web.Response:
        return web.Response(text=as_html, content_type="text/html", headers=PAGE_HEADERS)

    app.on_response_prepare.append(_tell_allowance)
    app.router.add_get(f"{prefix}/openapi.json", openapi)
    app.router.add_get("/api/docs".removeprefix(mount), docs)


def _address(route: AnyRoute) -> str:
    """Where an id belongs, a word is another address: `/messages/bulk` is not a message."""
    ids = {field.encode_name for field in msgspec.structs.fields(route.asked) if field.type is UUID}
    return _IN_PATH.sub(lambda found: f"{{{found[1]}:{_ID}}}" if found[1] in ids else found[0], route.path)


def _handler(route: AnyRoute) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        bearer = await _admitted(route, request)
        call = await _call(route, request, bearer)
        if route.streams:
            return await streamed(request, cast("Streamed[Any]", await route.handler(call)))
        return await finished(route, request, call)

    return handle


async def _admitted(route: AnyRoute, request: web.Request) -> Bearer:
    admission = request.app[ADMISSION]
    bearer = await admission.recognise(request.headers.get("Authorization", ""), request.remote or "")
    allowance = request[_ALLOWANCE] = admission.spend(bearer)
    permit(bearer, route.scope, allowance)
    return bearer


async def _tell_allowance(request: web.Request, response: web.StreamResponse) -> None:
    """Every answer to a known token says what is left to it, errors too."""
    allowance = request.get(_ALLOWANCE)
    if allowance is not None:
        response.headers.update(allowance.headers())


async def _call(route: AnyRoute, request: web.Request, bearer: Bearer) -> Call[Asked, Asked]:
    return Call(
        records=request.app[RECORDS],
        desk=request.app[DESK],
        audit=request.app[AUDIT],
        tokens=request.app[ADMISSION].tokens,
        webhooks=request.app[WEBHOOKS],
        exports=request.app[EXPORTS],
        erasing=request.app[ERASING],
        bearer=bearer,
        asked=asked_of(request, route.asked),
        body=await body_of(request, route.body, _body_limit(route, request)) if route.has_body else Nothing(),
        key=f"{bearer.id}\n{request.method} {request.path}\n{key_of(request, uuid4().hex)}",
        bulk_limit=request.app.get(BULK_LIMIT, USUAL_RECIPIENTS),
    )


def _body_limit(route: AnyRoute, request: web.Request) -> int:
    return body_limit(request.app.get(BULK_LIMIT, USUAL_RECIPIENTS)) if route.bulk else BODY_LIMIT
