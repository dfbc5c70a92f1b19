"""The ways in, as traces see them: the webhook, and every call of the API. A caller's `traceparent` is honoured.

Callers who are nobody leave no span: they could fill the queue. Paths stay away, because numbers of customers stand in
them: the route has its braces.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from bot.ports.tracing import Context, Span, Value
from bot.runtime.tracing import Tracing, within
from bot.web.webhook import Answer, Asked, Traced
from bot.wire.msg91.deliveries import Item, Received

WEBHOOK_ROUTE: Final = "/webhook/msg91"
NOBODY: Final = frozenset({401, 429})
"""Answers to callers whose token is none."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def traced_webhook(tracing: Tracing | None) -> Traced | None:
    """What puts a span around each webhook that can be read."""
    if tracing is None:
        return None

    def traced(asked: Asked, items: Sequence[Item], ended: Callable[[Answer], None]) -> Callable[[Answer], None]:
        span = tracing.webhook(
            [item.event for item in items if isinstance(item, Received)],
            {"http.request.method": "POST", "http.route": WEBHOOK_ROUTE, "bot.events": len(items)},
            _caller(tracing, _field(asked, b"traceparent"), _field(asked, b"tracestate")),
        )

        def told(answer: Answer) -> None:
            _end(span, answer.status)
            ended(answer)

        return told

    return traced


def traced_api(tracing: Tracing | None) -> list[Middleware]:
    """What stands before everything else in the API."""
    if tracing is None:
        return []

    @web.middleware
    async def traced(request: web.Request, handler: Handler) -> web.StreamResponse:
        span = _begin(tracing, request)
        with within(span):
            response = await handler(request)
        if response.status not in NOBODY:
            _end(span, response.status)
        return response

    return [traced]


def _begin(tracing: Tracing, request: web.Request) -> Span:
    attributes: dict[str, Value] = {"http.request.method": request.method}
    resource = request.match_info.route.resource
    if resource is not None:
        attributes["http.route"] = resource.canonical
    headers = request.headers
    return tracing.tracer.begin(
        "api.request",
        kind="server",
        parent=_caller(tracing, headers.get("traceparent", ""), headers.get("tracestate", "")),
        attributes=attributes,
    )


def _field(asked: Asked, name: bytes) -> str:
    return asked.fields.get(name, b"").decode("latin-1")


def _caller(tracing: Tracing, traceparent: str, tracestate: str) -> Context | None:
    return tracing.tracer.incoming(traceparent, tracestate) if traceparent else None


def _end(span: Span, status: int) -> None:
    span.note({"http.response.status_code": status})
    span.end(error=str(status) if status >= 500 else "")
