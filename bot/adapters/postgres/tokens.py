"""Tokens of the API in the table `api_tokens`. What is made or revoked is audited by the same statement."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bot.adapters.postgres.pool import Database
from bot.ports.tokens import MOST_TOKENS, KeptToken, LivingToken, NewToken, Refusal, TokenId, known_scopes

_COPIED: Final = tuple(name for name in KeptToken.__struct_fields__ if name not in {"id", "scopes"})


class PostgresTokens:
    """Fulfils `bot.ports.tokens.Tokens`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, token: NewToken) -> KeptToken:
        scopes = known_scopes(token.scopes)
        rows = await self._database.fetch(
            "tokens_add", token.name, token.hash, scopes, token.expires_at, token.by, MOST_TOKENS
        )
        if not rows:
            if len(await self.living()) >= MOST_TOKENS:
                raise Refusal(f"{MOST_TOKENS} tokens are in force, and no more can be: revoke one.")
            raise Refusal(f"A token is named {token.name} already: revoke it, or take another name.")
        return _kept(rows[0])

    async def revoke(self, token: TokenId, *, by: str) -> KeptToken | None:
        rows = await self._database.fetch("tokens_revoke", token, by)
        return _kept(rows[0]) if rows else None

    async def living(self) -> Sequence[LivingToken]:
        return [_living(row) for row in await self._database.fetch("tokens_living", MOST_TOKENS)]

    async def page(self, *, after: TokenId | None, limit: int) -> Sequence[KeptToken]:
        return [_kept(row) for row in await self._database.fetch("tokens_page", after, limit)]

    async def used(self, tokens: Sequence[tuple[TokenId, float]]) -> None:
        if tokens:
            await self._database.fetch("tokens_used", [token for token, _ in tokens], [at for _, at in tokens])


def _kept(row: Mapping[str, Any]) -> KeptToken:
    return KeptToken(id=TokenId(row["id"]), scopes=known_scopes(row["scopes"]), **{name: row[name] for name in _COPIED})


def _living(row: Mapping[str, Any]) -> LivingToken:
    return LivingToken(
        id=TokenId(row["id"]),
        name=row["name"],
        hash=row["hash"],
        scopes=frozenset(known_scopes(row["scopes"])),
        expires_at=row["expires_at"],
    )
