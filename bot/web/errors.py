"""Every refusal and failure under `/api` as one JSON shape: `{"error":{"code","message","fields"?,"problems"?}}`.

`code` is for programs and stays; `message` is a sentence for people and may change; `fields` names what was wrong
where, and how to put it right. Outside `/api` the middleware does nothing.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
from aiohttp import web

from bot.ports.failures import Unavailable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PREFIX = "/api"
UNAVAILABLE_RETRY_AFTER = 5
"""Seconds a caller should wait when a store is away."""

CODES: Mapping[int, tuple[str, str]] = {
    400: ("invalid_request", "The request cannot be understood."),
    401: ("unauthorized", "Send a token that is in force: Authorization: Bearer <token>."),
    403: ("forbidden", "The token lacks a scope; the message names it."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take this method; the Allow header says which it takes."),
    408: ("timeout", "The body took too long to arrive."),
    409: ("refused", "This cannot be done in the present state."),
    413: ("too_large", "The body is larger than this address takes."),
    422: ("unusable", "The request was understood, but what it names cannot be used."),
    429: ("too_many_requests", "Too many requests or wrong tokens; wait as long as the Retry-After header says."),
    500: ("internal", "Something went wrong here. It was logged."),
    503: ("unavailable", "The service cannot do this right now; try again later."),
}
"""The code and the usual sentence of each status."""
MISMATCH = "idempotency_mismatch"
FURTHER_CODES: Mapping[str, tuple[int, str]] = {
    MISMATCH: (422, "This Idempotency-Key was used for another request; use a new key for a new request."),
}
"""Codes that share their status with another: the status and the usual sentence of each."""

_logger = logging.getLogger(__name__)


class ErrorDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`fields`: sentence by field (of the body, the query, the path or a header). `problems`: lines about files."""

    code: str
    message: str
    fields: dict[str, str] = {}
    problems: tuple[str, ...] = ()


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer whose status is 400 or more."""

    error: ErrorDetail


class Refused(Exception):
    """The request ends here with an error answer; `status` is one of `CODES`, `code` if given of `FURTHER_CODES`."""

    def __init__(
        self,
        status: int,
        message: str = "",
        *,
        fields: Mapping[str, str] | None = None,
        problems: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        code: str = "",
    ) -> None:
        code, usual = (code, FURTHER_CODES[code][1]) if code else CODES[status]
        super().__init__(message or usual)
        self.status = status
        self.headers = headers or {}
        self.detail = ErrorDetail(
            code=code, message=message or usual, fields=dict(fields or {}), problems=tuple(problems)
        )


def invalid(**fields: str) -> Refused:
    """A 400 that names fields and what to do about each."""
    named = ", ".join(fields)
    return Refused(400, f"Please correct: {named}.", fields=fields)


@web.middleware
async def api_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer with JSON whatever is raised under `/api`; log what nobody expected."""
    if not request.path.startswith(PREFIX + "/"):
        return await handler(request)
    try:
        return await handler(request)
    except Refused as refused:
        return _answer(refused)
    except web.HTTPException as error:
        return _answer(_translated(error))
    except Unavailable:
        return _answer(Refused(503, headers={"Retry-After": str(UNAVAILABLE_RETRY_AFTER)}))
    except Exception:
        _logger.exception("unexpected error in %s %s", request.method, _template(request))
        return _answer(Refused(500))


def _template(request: web.Request) -> str:
    """The route's path with its braces: what stands in their place may be somebody's number."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "an unknown address"


def _answer(refused: Refused) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(ErrorAnswer(error=refused.detail)),
        status=refused.status,
        headers=refused.headers,
        content_type="application/json",
    )


def _translated(error: web.HTTPException) -> Refused:
    if error.status not in CODES:
        raise error
    kept = {name: value for name, value in error.headers.items() if name in {"Allow", "Retry-After"}}
    return Refused(error.status, headers=kept)
