"""Tokens of the API: what they may do, and where they are kept.

A token is 256 random bits, so its SHA-256 is all that has to be stored: a slow hash is for secrets that somebody could
guess, and nobody tries 2^255 of them. Who reads the table learns nothing that opens the API.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, Literal, NewType, Protocol, get_args

from bot.ports.record import Record

TokenId = NewType("TokenId", int)
"""`api_tokens.id`; it stands in the token itself."""

Scope = Literal[
    "conversations:read",
    "conversations:write",
    "users:read",
    "users:write",
    "users:export",
    "users:erase",
    "messages:read",
    "messages:send",
    "operations:read",
    "operations:write",
    "webhooks:read",
    "webhooks:write",
    "audit:read",
    "tokens:read",
    "tokens:write",
]
"""What a token may do. Each route asks for one; the administrator's token has all."""
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

Group = Literal["read", "all"]
"""Names for several scopes, spelt out when the token is made: scopes of later releases are not among them."""
GROUPS: Final[dict[Group, frozenset[Scope]]] = {
    "read": frozenset(scope for scope in SCOPES if scope.endswith(":read")),
    "all": frozenset(SCOPES),
}

ADMINISTRATOR: Final = "admin"
"""The name of `ADMIN_TOKEN`."""
COMMAND_LINE: Final = "command_line"
"""Who made or revoked a token with `bot tokens`."""
RESERVED_NAMES: Final = frozenset({ADMINISTRATOR, COMMAND_LINE, "bot", "system", "operator", "timeout"})
"""The audit log says these of others."""
NAME_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9._-]{0,63}(?!\n)$"
"""A token's name begins with a letter, so that it cannot be taken for an id."""
MOST_TOKENS: Final = 1000
"""Tokens that may live at once: each replica keeps them all in memory."""


class NewToken(Record, frozen=True, kw_only=True):
    """A token to be made. `hash` is of its secret; `expires_at` None: it does not expire."""

    name: str
    hash: bytes
    scopes: frozenset[Scope]
    expires_at: datetime | None
    by: str


class LivingToken(Record, frozen=True, kw_only=True):
    """A token that was not revoked; it may have expired."""

    id: TokenId
    name: str
    hash: bytes
    scopes: frozenset[Scope]
    expires_at: datetime | None


class KeptToken(Record, frozen=True, kw_only=True):
    """All that is known of a token, revoked ones included."""

    id: TokenId
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    created_by: str
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class Refusal(Exception):
    """A token that cannot be made: its name is none or is taken, or there are too many. The message says what to do."""


class Tokens(Protocol):
    """Scopes that this release does not know are left out of what it reads."""

    async def add(self, token: NewToken) -> KeptToken:
        """Keep it, with a line `token_added` in the audit log. Raise `Refusal`."""
        ...

    async def revoke(self, token: TokenId, *, by: str) -> KeptToken | None:
        """Revoke it, with a line `token_revoked` in the audit log. None: no living token has this id."""
        ...

    async def living(self) -> Sequence[LivingToken]:
        """At most `MOST_TOKENS`."""
        ...

    async def page(self, *, after: TokenId | None, limit: int) -> Sequence[KeptToken]:
        """Every token there ever was, the latest first; `after` is the last one seen."""
        ...

    async def used(self, tokens: Sequence[tuple[TokenId, float]]) -> None:
        """Note when tokens were used last, in unix seconds; never backwards."""
        ...


def spelt_out(words: Iterable[Scope | Group]) -> frozenset[Scope]:
    """The scopes that scopes and names of groups stand for."""
    scopes: set[Scope] = set()
    for word in words:
        scopes |= GROUPS[word] if word == "read" or word == "all" else {word}
    return frozenset(scopes)


def known_scopes(words: Iterable[str]) -> tuple[Scope, ...]:
    """Those of the words that are scopes of this release, in the order of `SCOPES`."""
    given = frozenset(words)
    return tuple(scope for scope in SCOPES if scope in given)
