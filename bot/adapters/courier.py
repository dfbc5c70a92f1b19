"""Carries outgoing webhooks to the company's own systems, over connections of its own.

It follows no redirect, keeps no cookie, takes no proxy from the environment, and reads nothing of an answer but its
status and `Retry-After`.

Unless private addresses are allowed it connects to public ones only. The check stands where the socket is made, after
the name was resolved: whatever a name, a number in an odd notation or a second look-up leads to (DNS rebinding),
nothing is connected that was not looked at.
"""

import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any, Final

import aiohttp

from bot.ports.webhooks import Answered
from bot.wire.public_addresses import is_public

TIMEOUT_SECONDS: Final = 10.0
"""For one attempt, from the look-up of the name to the status."""
CONNECT_SECONDS: Final = 5.0
KEEPALIVE_SECONDS: Final = 15.0
"""Seconds an idle connection is kept."""
CONNECTIONS: Final = 100
"""Connections to all endpoints at once."""
ERROR_CHARACTERS: Final = 200
USER_AGENT: Final = "whatsapp-support-desk"


class PrivateAddress(OSError):
    """The address is not one of the public internet."""


class HttpCourier:
    """Fulfils `bot.ports.webhooks.Courier`."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def deliver(self, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                return Answered(
                    status=response.status, retry_after=_seconds(response.headers.get("Retry-After", ""), time.time())
                )
        except TimeoutError:
            return Answered(error=f"no answer within {TIMEOUT_SECONDS:.0f} s")
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            return Answered(error=_told(problem))


@asynccontextmanager
async def couriers(*, private: bool) -> AsyncIterator[HttpCourier]:
    """A courier with its connections; `private` lets it go to addresses that are not public."""
    connector = aiohttp.TCPConnector(
        limit=CONNECTIONS, keepalive_timeout=KEEPALIVE_SECONDS, socket_factory=None if private else public_socket
    )
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS, connect=CONNECT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"User-Agent": USER_AGENT, "Content-Type": "application/json"},
    ) as session:
        yield HttpCourier(session)


def public_socket(address_info: Any) -> socket.socket:
    """A socket for one entry of `getaddrinfo`, as aiohttp asks for. Raises `PrivateAddress`."""
    family, kind, protocol, _, address = address_info
    if not is_public(str(address[0])):
        raise PrivateAddress(f"{address[0]} is not a public address")
    return socket.socket(family, kind, protocol)


def _seconds(text: str, now: float) -> float | None:
    """`Retry-After` as seconds from now (RFC 9110: a number of them, or a date)."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except ValueError:
        return None


def _told(problem: Exception) -> str:
    """For whoever reads the list of deliveries: what is wrong with the address or the connection."""
    cause = problem.os_error if isinstance(problem, aiohttp.ClientConnectorError) else problem
    private = isinstance(cause, PrivateAddress) or isinstance(cause.__cause__, PrivateAddress)
    kind = "PrivateAddress" if private else type(problem).__name__
    return f"{kind}: {cause}"[:ERROR_CHARACTERS]
