"""The channel to WhatsApp by MSG91: one call for one message, and an outcome whatever happens.

What fails before anything was written is certain not to have been sent; whatever fails later may have arrived, and says
so. Retries, pacing and breakers are the caller's.
"""

import time
from collections.abc import Callable
from typing import Final

import aiohttp

from bot.core.messages import Outbound
from bot.wire.msg91.answers import read_answer
from bot.wire.msg91.outcomes import Deferred, SendOutcome
from bot.wire.msg91.requests import Dialect, build_request

DEFAULT_TIMEOUT: Final = 10.0
"""Seconds for one call, from asking for a connection to the end of the answer."""
CONNECT_SHARE: Final = 0.5
"""The part of the time that may pass before the connection stands."""
ANSWER_LIMIT: Final = 65_536
"""Bytes of an answer that are read; MSG91's have less than one thousand."""

_NOT_CONNECTED: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.ServerFingerprintMismatch,
)


class Msg91Channel:
    """A `Channel`. The session is shared and stays its owner's to close; `base_url` is `MSG91_BASE_URL`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        base_url: str,
        auth_key: str,
        dialect: Dialect = "v5",
        timeout: float = DEFAULT_TIMEOUT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._dialect: Dialect = dialect
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=timeout * CONNECT_SHARE)
        self._headers = {"authkey": auth_key, "content-type": "application/json", "accept": "application/json"}
        self._clock = clock

    async def send(self, content: Outbound, *, number: str, recipient: str, reference: str) -> SendOutcome:
        """One attempt to send `content`; raises nothing but cancellation."""
        request = build_request(content, dialect=self._dialect, number=number, recipient=recipient, reference=reference)
        try:
            return await self._post(self._base_url + request.path, request.body)
        except _NOT_CONNECTED as error:
            return _deferred("no connection", error, uncertain=False)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return _deferred("connection lost", error, uncertain=True)
        except (RuntimeError, ValueError) as error:  # the session is closed, or the key is no header value
            return _deferred("no request", error, uncertain=False)

    async def _post(self, url: str, body: bytes) -> SendOutcome:
        async with self._session.post(
            url, data=body, headers=self._headers, timeout=self._timeout, allow_redirects=False
        ) as response:
            answer = await _read_bounded(response)
            return read_answer(response.status, response.headers, answer, now=self._clock())


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body, or its first `ANSWER_LIMIT` bytes; a longer one costs the connection instead of memory."""
    length = response.content_length
    if length is not None and length <= ANSWER_LIMIT:
        return await response.read()
    answer = b""
    while chunk := await response.content.readany():
        answer += chunk
        if len(answer) > ANSWER_LIMIT:
            response.close()
            return answer[:ANSWER_LIMIT]
    return answer


def _deferred(what: str, error: BaseException, *, uncertain: bool) -> Deferred:
    reason = f"{what}: {type(error).__name__}"
    return Deferred(reason=reason, code=0, retry_after=None, scope="gateway", uncertain=uncertain)
