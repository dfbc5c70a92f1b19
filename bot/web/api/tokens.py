"""Tokens of the API: listed, made, revoked. A token that was made is shown once and cannot be shown again."""

from datetime import UTC, datetime, timedelta
from typing import Any

from bot.ports.tokens import KeptToken, Refusal, TokenId, spelt_out
from bot.runtime.tokens import issue
from bot.web.api.admission import Bearer
from bot.web.api.answered import TokenList, TokenMade, TokenRecord
from bot.web.api.asked import ByNumber, Nothing, Paged
from bot.web.api.asked_office import TokenAsked
from bot.web.api.cursor import cursor_of, number_in
from bot.web.api.route import Call
from bot.web.errors import Refused


async def find(call: Call[Paged, Nothing]) -> TokenList:
    asked, last = call.asked, number_in(call.asked.cursor)
    after = TokenId(last) if last is not None else None
    found = await call.tokens.page(after=after, limit=asked.limit + 1)
    shown = found[: asked.limit]
    following = cursor_of(shown[-1].id) if len(found) > asked.limit else None
    return TokenList(items=[_shown(token) for token in shown], next=following)


async def make(call: Call[Nothing, TokenAsked]) -> TokenMade:
    body, scopes = call.body, spelt_out(call.body.scopes)
    missing = sorted(scopes - call.bearer.scopes)
    if missing:
        raise Refused(403, f"A token gives no more than it has; this one lacks {', '.join(missing)}.")
    expires_at = _end(body.expires_in_days, call.bearer)
    try:
        made = await issue(call.tokens, name=body.name, scopes=scopes, expires_at=expires_at, by=call.caller)
    except Refusal as refusal:
        raise Refused(409, str(refusal)) from None
    return TokenMade(token=made.text, **_fields(made.kept))


async def revoke(call: Call[ByNumber, Nothing]) -> TokenRecord:
    revoked = await call.tokens.revoke(TokenId(call.asked.id), by=call.caller)
    if revoked is None:
        raise Refused(404, "No token that could be revoked has this id.")
    return _shown(revoked)


def _end(days: int | None, bearer: Bearer) -> datetime | None:
    """When the new token expires: as the one that asks for it, unless days are given, and never later."""
    if days is None:
        return bearer.expires_at
    wanted = datetime.now(UTC) + timedelta(days=days)
    if bearer.expires_at is not None and wanted > bearer.expires_at:
        raise Refused(403, "A token makes none that outlives it; leave expires_in_days out, or make it fewer.")
    return wanted


def _shown(token: KeptToken) -> TokenRecord:
    return TokenRecord(**_fields(token))


def _fields(token: KeptToken) -> dict[str, Any]:
    return {name: getattr(token, name) for name in KeptToken.__struct_fields__}
