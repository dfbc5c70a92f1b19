"""Posts small bodies to one host over HTTP/1.1, http or https.

What fails before anything is written raises `NotSent`; what fails later raises `AnswerLost`. A kept connection that the
other side closes just while we write is of the second kind. The certificate is verified, redirects are not followed,
compression is not asked for, and proxies that the environment names are not used. What is constant in a request is made
once for each path.
"""

import asyncio
import base64
import ssl
from collections.abc import Mapping
from typing import Final

from yarl import URL

from bot.adapters.lean_http.answers import Answer
from bot.adapters.lean_http.pool import Bounds, Host, Pool

_FORBIDDEN: Final = frozenset("\r\n\0")
"""With these a value would end its header and begin another."""


class LeanClient:
    """Make it, use it and close it in one event loop."""

    def __init__(
        self, base_url: str, *, headers: Mapping[str, str], bounds: Bounds, tls: ssl.SSLContext | None = None
    ) -> None:
        """`headers` go with every request. `tls` takes the place of the default context, which verifies."""
        self._base_url = base_url.rstrip("/")
        self._headers = headers
        self._call = bounds.call
        self._tls = tls or (ssl.create_default_context() if base_url.lower().startswith("https:") else None)
        self._time = asyncio.get_running_loop().time
        self._pool = Pool(bounds)
        self._heads: dict[str, bytes] = {}

    async def post(self, path: str, body: bytes) -> Answer:
        """Post `body` to `path` below the base URL; `path` is one of a few.

        Raises:
            NotSent: nothing was written.
            AnswerLost: something was, and no whole answer came in time.
            ValueError: the base URL, or a header, is none; nothing was written.
        """
        head = self._heads.get(path) or self._prepare(path)
        until = (now := self._time()) + self._call
        connection = self._pool.rested(now) or await self._pool.obtain(self._host(), until)
        try:
            return await connection.ask(b"%b%d\r\n\r\n%b" % (head, len(body), body), until=until)
        finally:
            self._pool.release(connection)

    async def close(self) -> None:
        """Close all connections; calls under way are lost, later ones are not sent. Safe to call twice."""
        await self._pool.close()

    @property
    def standing(self) -> int:
        """Connections that are open."""
        return self._pool.standing

    def _prepare(self, path: str) -> bytes:
        url = _parsed(self._base_url + path)
        fields = {
            "Host": url.host_port_subcomponent,
            **self._headers,
            **_credentials(url),
            "Accept-Encoding": "identity",
        }
        lines = [f"POST {url.raw_path_qs} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        if any(_FORBIDDEN & set(line) for line in lines):
            raise ValueError("a header must not have a line break in it")
        head = self._heads[path] = "\r\n".join([*lines, "Content-Length: "]).encode()
        return head

    def _host(self) -> Host:
        url = _parsed(self._base_url)
        name = url.raw_host or ""
        return Host(
            address=name,
            port=url.port or 0,
            name=name.rstrip("."),
            tls=self._tls if url.scheme == "https" else None,
        )


def _parsed(address: str) -> URL:
    url = URL(address)
    if url.scheme not in {"http", "https"} or not url.raw_host:
        raise ValueError(f"not an address of a web server: {address!r}")
    return url


def _credentials(url: URL) -> dict[str, str]:
    """Name and password in the URL, as a header."""
    if url.user is None and url.password is None:
        return {}
    pair = f"{url.user or ''}:{url.password or ''}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
