"""One line of the API: what is asked, what is answered, who answers. Behaviour and document both come from it."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, Literal, TypeVar

import msgspec

from bot.records import Answer, Desk, Records
from bot.web.api.asked import Asked, Nothing

Q = TypeVar("Q", bound=Asked)
B = TypeVar("B", bound=Asked)
A = TypeVar("A", bound=Answer)

Scope = Literal[
    "conversations:read",
    "conversations:write",
    "users:read",
    "users:write",
    "users:erase",
    "messages:read",
    "messages:send",
    "operations:read",
    "operations:write",
    "webhooks:read",
    "webhooks:write",
    "audit:read",
]
"""What a token may do. Each route asks for one; the administrator's token has all."""


class Call(msgspec.Struct, Generic[Q, B], frozen=True, kw_only=True):
    """One request, read and checked. `key` is the Idempotency-Key, or a random one."""

    records: Records
    desk: Desk
    asked: Q
    body: B
    key: str


class Later(msgspec.Struct, Generic[A], frozen=True):
    """An answer about something that is not done yet: 202."""

    answer: A


class Route(msgspec.Struct, Generic[Q, B, A], frozen=True, kw_only=True):
    """`errors` are the statuses of this route's own; those that every route has are added by whoever needs them.

    `path` stands below `/api/v1`. `may_wait` says that `handler` may answer `Later`.
    """

    method: str
    path: str
    scope: Scope
    tag: str
    summary: str
    handler: Callable[[Call[Q, B]], Awaitable[A | Later[A]]]
    asked: type[Q]
    body: type[B]
    answer: type[A]
    status: int = 200
    errors: tuple[int, ...] = ()
    may_wait: bool = False

    @property
    def has_body(self) -> bool:
        return self.body is not Nothing

    @property
    def statuses(self) -> tuple[int, ...]:
        return (self.status, 202) if self.may_wait else (self.status,)

    @property
    def failures(self) -> tuple[int, ...]:
        """Every status of 400 and more that this route may answer."""
        read = (400, 413) if self.has_body else (400,) if self.asked is not Nothing else ()
        return tuple(sorted({*read, 401, 429, 500, 503, *self.errors}))


AnyRoute = Route[Any, Any, Any]
