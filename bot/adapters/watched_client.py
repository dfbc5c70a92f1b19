"""The client for MSG91 where traces are on: what HTTP did is noted in the span of the send.

The provider itself is told nothing of a trace.
"""

from yarl import URL

from bot.adapters.lean_http.answers import Answer
from bot.adapters.lean_http.client import LeanClient
from bot.runtime.tracing import current, server_of


class WatchedClient:
    """A `bot.adapters.msg91.Poster`."""

    def __init__(self, client: LeanClient, base_url: str) -> None:
        self._client = client
        self._base_url = str(URL(base_url).with_user(None).with_query(None)).rstrip("/")
        self._server = {**server_of(base_url), "http.request.method": "POST"}

    async def post(self, path: str, body: bytes) -> Answer:
        span = current()
        if span is None:
            return await self._client.post(path, body)
        span.note({**self._server, "url.full": self._base_url + path})
        answer = await self._client.post(path, body)
        span.note({"http.response.status_code": answer.status})
        return answer
