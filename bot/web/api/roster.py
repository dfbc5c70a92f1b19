"""The living tokens in memory, so that a request asks no database and a flood of wrong tokens cannot.

All of them are read at once, at most every `FRESH_SECONDS`, when somebody asks: so a token that is revoked anywhere is
refused everywhere within that time. A token that is not among them may have been made a moment ago; for it they are
read again, but never more than once in `PAUSE_SECONDS`, however many unknown tokens come. While PostgreSQL is away,
those that were read last stay in force for `KNOWN_SECONDS`.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bot.ports.failures import Unavailable
from bot.ports.tokens import KeptToken, LivingToken, NewToken, TokenId, Tokens

FRESH_SECONDS: Final = 5.0
"""Within which a revocation is in force on every replica."""
PAUSE_SECONDS: Final = 1.0
"""Between two reads, successful or not."""
PATIENCE_SECONDS: Final = 1.0
"""A read may take; then what was read before is used."""
KNOWN_SECONDS: Final = 300.0
"""Tokens that were read once are believed while PostgreSQL is away."""


class Roster:
    """Tokens by id, as fresh as the constants above say. Fulfils `Tokens` too: what is made or revoked through it is
    known here at once.
    """

    def __init__(self, tokens: Tokens, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._tokens = tokens
        self._clock = clock
        self._reading = asyncio.Lock()
        self._known: Mapping[TokenId, LivingToken] = {}
        self._read_at = -math.inf
        self._tried_at = -math.inf
        self._changed = False

    async def find(self, token: TokenId) -> LivingToken | None:
        """None: no such token lives. Raise `Unavailable` when that cannot be told."""
        await self._refresh(FRESH_SECONDS)
        if token not in self._known:
            await self._refresh(PAUSE_SECONDS)
        found = self._known.get(token)
        if self._age() >= (KNOWN_SECONDS if found else FRESH_SECONDS):
            raise Unavailable("tokens cannot be read")
        return found

    async def is_empty(self) -> bool:
        """Whether no token lives. Raise `Unavailable` when that cannot be told."""
        await self._refresh(FRESH_SECONDS)
        if self._age() >= KNOWN_SECONDS:
            raise Unavailable("tokens cannot be read")
        return not self._known

    async def add(self, token: NewToken) -> KeptToken:
        made = await self._tokens.add(token)
        self._changed = True
        return made

    async def revoke(self, token: TokenId, *, by: str) -> KeptToken | None:
        revoked = await self._tokens.revoke(token, by=by)
        self._changed = True
        return revoked

    async def living(self) -> Sequence[LivingToken]:
        return await self._tokens.living()

    async def page(self, *, after: TokenId | None, limit: int) -> Sequence[KeptToken]:
        return await self._tokens.page(after=after, limit=limit)

    async def used(self, tokens: Sequence[tuple[TokenId, float]]) -> None:
        await self._tokens.used(tokens)

    def _age(self) -> float:
        return self._clock() - self._read_at

    async def _refresh(self, older_than: float) -> None:
        """Read unless what is there is younger. Those who come meanwhile wait for the same read."""
        if self._age() < older_than and not self._changed:
            return
        async with self._reading:
            now = self._clock()
            young = now - self._read_at < older_than or now - self._tried_at < PAUSE_SECONDS
            if young and not self._changed:
                return
            self._tried_at, self._changed = now, False
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    living = await self._tokens.living()
            except (Unavailable, TimeoutError):
                return
            self._known = {token.id: token for token in living}
            self._read_at = now
