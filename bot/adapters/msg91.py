"""The channel to WhatsApp by MSG91: one call for one message, and an outcome whatever happens.

What fails before anything was written is certain not to have been sent; whatever fails later may have arrived, and says
so. Retries, pacing and breakers are the caller's.
"""

import time
from collections.abc import Callable
from typing import Final, Protocol

from bot.adapters.lean_http.answers import Answer
from bot.adapters.lean_http.client import LeanClient
from bot.adapters.lean_http.connection import AnswerLost
from bot.adapters.lean_http.pool import Bounds, NotSent
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

USER_AGENT: Final = "whatsapp-support-desk"

_NO_HEADERS: Final[dict[str, str]] = {}
_RETRY_AFTER: Final = b"retry-after"


def client_of(
    base_url: str, *, auth_key: str, connections: int, rest: float, timeout: float = DEFAULT_TIMEOUT
) -> LeanClient:
    """The client for MSG91: `connections` at once, an idle one is kept for `rest` seconds. Its owner closes it."""
    return LeanClient(
        base_url,
        headers={
            "User-Agent": USER_AGENT,
            "authkey": auth_key,
            "Content-Type": "application/json",
            "Accept": "application/json",
        },
        bounds=Bounds(
            connections=connections, rest=rest, call=timeout, connect=timeout * CONNECT_SHARE, answer=ANSWER_LIMIT
        ),
    )


class Poster(Protocol):
    """The client for MSG91, as it is or watched. Raises as `LeanClient` does."""

    async def post(self, path: str, body: bytes) -> Answer: ...


class Msg91Channel:
    """A `Channel`. The client is made by `client_of`, and stays its owner's to close."""

    def __init__(self, client: Poster, *, dialect: Dialect = "v5", clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._dialect: Dialect = dialect
        self._clock = clock

    async def send(self, content: Outbound, *, number: str, recipient: str, reference: str) -> SendOutcome:
        """One attempt to send `content`; raises nothing but cancellation."""
        request = build_request(content, dialect=self._dialect, number=number, recipient=recipient, reference=reference)
        try:
            answer = await self._client.post(request.path, request.body)
        except NotSent as error:
            return _deferred("no connection", error, uncertain=False)
        except AnswerLost as error:
            return _deferred("connection lost", error, uncertain=True)
        except (RuntimeError, ValueError) as error:  # the base URL is none, or the key is no header value
            return _deferred("no request", error, uncertain=False)
        return read_answer(answer.status, _headers(answer), answer.body, now=self._clock())


def _headers(answer: Answer) -> dict[str, str]:
    """What `read_answer` looks at; hardly ever anything."""
    wait = answer.fields.get(_RETRY_AFTER)
    return _NO_HEADERS if wait is None else {"retry-after": wait.decode("latin-1")}


def _deferred(what: str, error: Exception, *, uncertain: bool) -> Deferred:
    reason = f"{what}: {type(error.__cause__ or error).__name__}"
    return Deferred(reason=reason, code=0, retry_after=None, scope="gateway", uncertain=uncertain)
