"""Who may use the API: whoever sends a token that is in force and whose scopes suffice.

`ADMIN_TOKEN` is compared first; any other token is found by its id in the roster. Comparisons take the same time for
every wrong token. Failures are counted in memory, by address, within bounds; a replica counts for itself. An address
over its bound hears 429 for wrong tokens; the right one is never held up, because behind a proxy all callers share an
address. A guess costs neither memory nor a query: the form and the checksum sort out what is no token, the roster
answers for the rest.
"""

import hmac
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from bot import metrics
from bot.ports.tokens import ADMINISTRATOR, SCOPES, LivingToken, Scope, TokenId, Tokens
from bot.web.api.roster import Roster
from bot.web.attempts import Attempts
from bot.web.errors import Refused
from bot.web.rates import Allowance, Rates
from bot.wire.tokens import hashed, read

NOTED_EVERY: Final = 60.0
"""Seconds between two notes of when tokens were used last."""
_SCHEME: Final = "bearer"
_ADMIN_ID: Final = TokenId(0)


class Bearer(msgspec.Struct, frozen=True, kw_only=True):
    """Whose token it is that asks, and what it may do. `expires_at` None: it does not expire."""

    id: TokenId
    name: str
    scopes: frozenset[Scope]
    expires_at: datetime | None = None


ADMIN: Final = Bearer(id=_ADMIN_ID, name=ADMINISTRATOR, scopes=frozenset(SCOPES))


class Admission:
    """One for each replica. An empty `admin_token` is none."""

    def __init__(
        self,
        *,
        admin_token: str,
        tokens: Tokens,
        rates: Rates,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._admin_token = admin_token.encode()
        self._rates = rates
        self._now = now
        self.tokens = Roster(tokens, clock=monotonic)
        self._attempts = Attempts(monotonic)
        self._used: dict[TokenId, float] = {}

    async def recognise(self, authorization: str, address: str) -> Bearer:
        """Whose token the header carries. Raise `Refused` 401, 429, or 503 when there is no token to be right.

        Raise `Unavailable` when PostgreSQL is away and the token is none that was known a moment ago.
        """
        scheme, _, given = authorization.partition(" ")
        token = given.strip() if scheme.lower() == _SCHEME else ""
        if self._admin_token and hmac.compare_digest(token.encode(errors="surrogateescape"), self._admin_token):
            return ADMIN
        found = await self._find(token)
        if found is None:
            raise await self._turned_away(address)
        self._used[found.id] = self._now()
        return Bearer(id=found.id, name=found.name, scopes=found.scopes, expires_at=found.expires_at)

    def spend(self, bearer: Bearer) -> Allowance:
        """Count a request of the bearer's; look at `wait` before it is done."""
        return self._rates.take(bearer.id)

    async def note_uses(self) -> None:
        """Tell the store which tokens were used since the last note. Raise `Unavailable`, and then tell them again."""
        used, self._used = self._used, {}
        try:
            await self.tokens.used(list(used.items()))
        except BaseException:
            self._used = used | self._used
            raise

    async def _find(self, text: str) -> LivingToken | None:
        presented = read(text)
        if presented is None:
            return None
        token = await self.tokens.find(TokenId(presented.id))
        if token is None or not hmac.compare_digest(token.hash, hashed(presented.secret)):
            return None
        expired = token.expires_at is not None and token.expires_at.timestamp() <= self._now()
        return None if expired else token

    async def _turned_away(self, address: str) -> Refused:
        if not self._admin_token and await self.tokens.is_empty():
            return Refused(
                503, "The API is closed: set ADMIN_TOKEN and start the service again, or run `bot tokens add`."
            )
        metrics.api_refused_total.labels("unauthorized").inc()
        wait = self._attempts.seconds_to_wait(address)
        if wait:
            return Refused(429, "Too many wrong tokens from this address.", headers={"Retry-After": str(wait)})
        self._attempts.failed(address)
        return Refused(401, headers={"WWW-Authenticate": 'Bearer realm="api"'})


def permit(bearer: Bearer, scope: Scope, allowance: Allowance) -> None:
    """Return when the bearer may do this now; raise `Refused` 403 with the missing scope, or 429."""
    if allowance.wait:
        metrics.api_refused_total.labels("rate_limited").inc()
        raise Refused(429, "This token asks too fast.", headers={"Retry-After": str(allowance.wait)})
    if scope not in bearer.scopes:
        metrics.api_refused_total.labels("forbidden").inc()
        raise Refused(403, f"This token lacks the scope {scope}.")
