"""A proxy before PostgreSQL that can swallow an answer: the server did what it was asked, and we never hear of it."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


class Proxy:
    """While `swallowing`, whatever the server answers next is dropped and the connection is cut."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.swallowing = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._target)
        await asyncio.gather(
            self._copy(reader, server_writer, questions=True), self._copy(server_reader, writer, questions=False)
        )

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, questions: bool) -> None:
        try:
            while data := await reader.read(65536):
                if self.swallowing and not questions:
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            return
        finally:
            writer.close()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy and the URL that goes through it."""
    folder = parse_qs(urlsplit(url).query)["host"][0]
    proxy = Proxy(f"{folder}/.s.PGSQL.5432")
    with tempfile.TemporaryDirectory(prefix="bot-proxy-") as own:
        async with await asyncio.start_unix_server(proxy.serve, Path(own) / ".s.PGSQL.5432"):
            yield proxy, url.replace(folder, own)
