"""What every answer says to a browser: run nothing, show it in no frame, keep no copy, guess no type.

`Strict-Transport-Security` is the proxy's to say: only it knows whether there is TLS.
"""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

NOTHING_RUNS: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
SAFE_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": NOTHING_RUNS,
    "Referrer-Policy": "no-referrer",
    "Server": "desk",
    "X-Content-Type-Options": "nosniff",
}
"""For answers that say nothing else about it; `Server` names no program and no version."""


async def make_safe(_: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: whatever a page says by itself stays."""
    for name, value in SAFE_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = SAFE_HEADERS["Server"]
