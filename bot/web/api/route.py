"""One line of the API: what is asked, what is answered, who answers. Behaviour and document both come from it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Generic, TypeVar

import msgspec

from bot.ports.audit import Audit
from bot.ports.erasures import Erasing
from bot.ports.exports import Exports
from bot.ports.tokens import Scope, Tokens
from bot.records import Answer, Desk, Records
from bot.runtime.endpoints import Endpoints
from bot.web.api.admission import Bearer
from bot.web.api.asked import Asked, Nothing

Q = TypeVar("Q", bound=Asked)
B = TypeVar("B", bound=Asked)
A = TypeVar("A", bound=Answer)


class Call(msgspec.Struct, Generic[Q, B], frozen=True, kw_only=True):
    """One request, read and checked. `bearer` is whose token asks. `key` names the call: the token, the address and the
    Idempotency-Key or a random one. `bulk_limit`: recipients that it may have.
    """

    records: Records
    desk: Desk
    audit: Audit
    tokens: Tokens
    webhooks: Endpoints
    exports: Exports
    erasing: Erasing
    bearer: Bearer
    asked: Q
    body: B
    key: str
    bulk_limit: int = 1000

    @property
    def caller(self) -> str:
        """The name of the token: who did it, where the body names nobody."""
        return self.bearer.name


class Later(msgspec.Struct, Generic[A], frozen=True):
    """An answer about something that is not done yet: 202."""

    answer: A


class Streamed(msgspec.Struct, Generic[A], frozen=True):
    """An answer `A` too large for memory: its JSON in parts."""

    parts: AsyncIterator[bytes]


class Route(msgspec.Struct, Generic[Q, B, A], frozen=True, kw_only=True):
    """`scope` is what a token must have. `errors` are the statuses of this route's own; those that every route has are
    added by whoever needs them. `path` stands below `/api/v1`. `may_wait` says that `handler` may answer `Later`;
    such a route takes an Idempotency-Key. `bulk`: its body grows with the recipients that one request may have.
    `streams`: `handler` answers `Streamed`.
    """

    method: str
    path: str
    scope: Scope
    tag: str
    summary: str
    handler: Callable[[Call[Q, B]], Awaitable[A | Later[A] | Streamed[A]]]
    asked: type[Q]
    body: type[B]
    answer: type[A]
    status: int = 200
    errors: tuple[int, ...] = ()
    may_wait: bool = False
    bulk: bool = False
    streams: bool = False

    @property
    def has_body(self) -> bool:
        return self.body is not Nothing

    @property
    def statuses(self) -> tuple[int, ...]:
        return (self.status, 202) if self.may_wait else (self.status,)

    @property
    def failures(self) -> tuple[int, ...]:
        """Every status of 400 and more that this route may answer."""
        read = (400, 408, 413) if self.has_body else (400,) if self.asked is not Nothing else ()
        kept = (400, 422) if self.may_wait else ()
        return tuple(sorted({*read, *kept, 401, 403, 429, 500, 503, *self.errors}))


AnyRoute = Route[Any, Any, Any]
