"""Who may use the API: whoever sends the token, unless their address failed too often a moment ago.

The comparison takes the same time for every wrong token. Failures are counted in memory, by address, within bounds; a
replica counts for itself. An address over its bound is refused before its token is looked at, so guessing is slow even
for the one guess that is right. Behind a proxy all callers share its address unless the proxy's header is believed.
"""

import hmac

from bot.web.attempts import Attempts
from bot.web.errors import Refused

_SCHEME = "bearer"


def admit(authorization: str, token: str, address: str, attempts: Attempts) -> None:
    """Return when the header carries the token; raise `Refused` 401, 429, or 503 when there is no token to compare."""
    if not token:
        raise Refused(503, "The API is closed: set ADMIN_TOKEN and start the service again.")
    wait = attempts.seconds_to_wait(address)
    if wait:
        raise Refused(429, headers={"Retry-After": str(wait)})
    scheme, _, given = authorization.partition(" ")
    right = hmac.compare_digest(given.strip().encode(errors="surrogateescape"), token.encode())
    if scheme.lower() == _SCHEME and right:
        return
    attempts.failed(address)
    raise Refused(401, headers={"WWW-Authenticate": 'Bearer realm="api"'})
