"""Making a token: its secret is drawn here, kept as a hash, and known in clear to nobody but who asked for it."""

import re
import secrets
from datetime import datetime

import msgspec

from bot.ports.tokens import NAME_PATTERN, RESERVED_NAMES, KeptToken, NewToken, Refusal, Scope, Tokens
from bot.wire.tokens import SECRET_BYTES, hashed, written


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A new token. `text` is the token itself and is not to be had again."""

    kept: KeptToken
    text: str


async def issue(tokens: Tokens, *, name: str, scopes: frozenset[Scope], expires_at: datetime | None, by: str) -> Issued:
    """Make a token and keep it. Raise `Refusal` for a name that cannot be, or is taken."""
    if not re.search(NAME_PATTERN, name):
        raise Refusal("A name begins with a letter and has at most 64 letters, digits, dots, dashes and underscores.")
    if name in RESERVED_NAMES:
        raise Refusal(f"The audit log says {name} of somebody else: take another name.")
    secret = secrets.token_bytes(SECRET_BYTES)
    token = NewToken(name=name, hash=hashed(secret), scopes=scopes, expires_at=expires_at, by=by)
    kept = await tokens.add(token)
    return Issued(kept=kept, text=written(kept.id, secret))
