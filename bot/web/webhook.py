"""`POST /webhook/msg91`: authenticate, read, make durable in one store or the other, and only then answer 200 (P1, P8,
P10).
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec
import orjson
from aiohttp import web

from bot import metrics
from bot.ports.failures import Unavailable
from bot.runtime.intake import Intake, Overloaded
from bot.runtime.waiter import Tally
from bot.web.attempts import Attempts
from bot.wire.msg91.callbacks import read_webhook
from bot.wire.msg91.deliveries import Item

BODY_LIMIT = 3 * 1024 * 1024
"""Bytes; Meta's own limit of a webhook."""
READ_SECONDS = 30.0
RETRY_AFTER = "2"
"""Seconds a refused provider should wait."""
SIGNATURE_FIELDS = (b"x-msg91-signature", b"x-hub-signature-256")

log = logging.getLogger(__name__)


class Asked(msgspec.Struct):
    """A webhook call as it came: its fields by lower-case name, `token` out of its query. `address`: who called."""

    body: bytes
    fields: Mapping[bytes, bytes]
    token: str | None
    address: Callable[[], str]


class Answer(msgspec.Struct, frozen=True):
    """A JSON answer; `retry_after`: seconds, as the header says them."""

    status: int
    body: bytes
    retry_after: str = ""


Traced = Callable[[Asked, Sequence[Item], Callable[[Answer], None]], Callable[[Answer], None]]
"""Begins the span of a webhook that brings these events, and gives back what ends it and passes the answer on."""


class Webhook:
    def __init__(
        self,
        *,
        intake: Intake,
        secret: str,
        numbers: tuple[str, ...],
        read_seconds: float = READ_SECONDS,
        traced: Traced | None = None,
    ) -> None:
        """An empty `secret` takes everything: development only. `read_seconds`: in which a body must have come."""
        self._traced = traced
        self._read_seconds = read_seconds
        self._intake = intake
        self._secret = secret.encode()
        self._numbers = frozenset(numbers)
        self._attempts = Attempts()
        self.accepting = True

    async def ping(self, _: web.Request) -> web.Response:
        """Dashboards look whether somebody is here."""
        return web.Response(text="ok")

    async def receive(self, request: web.Request) -> web.Response:
        """As `take`, for calls that come by way of aiohttp."""
        try:
            async with asyncio.timeout(self._read_seconds):
                body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _shown(_refused(413, "too_large", "A webhook may have 3 MB."))
        except TimeoutError:
            metrics.refused_total.labels("timeout").inc()
            return _shown(_refused(408, "timeout", "The body took too long to arrive."))
        except web.RequestPayloadError:
            metrics.refused_total.labels("bad_request").inc()
            return _shown(_refused(400, "not_whole", "The body is not what the headers say."))
        given = request.headers
        fields = {
            name.lower().encode(): ", ".join(given.getall(name)).encode("utf-8", "surrogateescape") for name in given
        }
        token = request.query.get("token")
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.take(
            Asked(body=body, fields=fields, token=token, address=lambda: request.remote or ""),
            lambda answer: None if answered.done() else answered.set_result(answer),
        )
        return _shown(await answered)

    def take(self, asked: Asked, answered: Callable[[Answer], None]) -> None:
        """Authenticate, read, make durable; `answered` hears what to say, at once or when it is durable."""
        started = time.perf_counter()
        if self._secret and not self._authentic(asked):
            answered(self._turned_away(asked.address()))
            return

        def ended(answer: Answer) -> None:
            metrics.webhook_seconds.observe(time.perf_counter() - started)
            answered(answer)

        self._take(asked, ended)

    def _turned_away(self, address: str) -> Answer:
        """401, and 429 for an address that goes on guessing. The right secret is never held up: behind a proxy the
        provider and a guesser have the same address.
        """
        metrics.refused_total.labels("unauthorized").inc()
        wait = self._attempts.seconds_to_wait(address)
        if wait:
            return _refused(429, "rate_limited", "Too many wrong secrets from this address.", retry_after=str(wait))
        self._attempts.failed(address)
        return _refused(401, "unauthorized", "The secret or the signature is missing or wrong.")

    def _take(self, asked: Asked, ended: Callable[[Answer], None]) -> None:
        if not self.accepting:
            ended(_busy("stopping"))
            return
        content_type = asked.fields.get(b"content-type", b"").decode("latin-1")
        delivery = read_webhook(asked.body, our_numbers=self._numbers, content_type=content_type)
        if delivery.problem is not None:
            metrics.refused_total.labels("bad_request").inc()
            ended(_refused(400, delivery.problem.code, delivery.problem.message))
            return
        if self._traced is not None:
            ended = self._traced(asked, delivery.items, ended)
        try:
            self._intake.take(delivery.items, lambda outcome: ended(_told(outcome)))
        except Overloaded:
            ended(_busy("overloaded"))
        except Exception as problem:  # noqa: BLE001 - it is logged
            ended(_told(problem))

    def _authentic(self, asked: Asked) -> bool:
        """A signature that is present must be right, whatever else is sent."""
        fields = asked.fields
        signatures = [fields[name] for name in SIGNATURE_FIELDS if name in fields]
        if signatures:
            expected = hmac.digest(self._secret, asked.body, "sha256").hex().encode()
            given = [signature.removeprefix(b"sha256=").strip().lower() for signature in signatures]
            return all(hmac.compare_digest(one, expected) for one in given)
        secret = fields.get(b"x-webhook-secret")
        if secret is not None and hmac.compare_digest(secret, self._secret):
            return True
        token = asked.token
        return token is not None and hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._secret)


def _told(outcome: Tally | Exception) -> Answer:
    if isinstance(outcome, Tally):
        return Answer(
            200,
            b'{"status":"accepted","accepted":%d,"duplicates":%d,"ignored":%d,"quarantined":%d}'
            % (outcome.accepted, outcome.duplicates, outcome.ignored, outcome.quarantined),
        )
    if isinstance(outcome, Unavailable):
        return _busy("unavailable")
    log.error("a webhook could not be made durable", exc_info=outcome)
    return _busy("failed")


def _busy(reason: str) -> Answer:
    metrics.refused_total.labels(reason).inc()
    return _refused(503, reason, "Nothing was stored; send it again.", retry_after=RETRY_AFTER)


def _refused(status: int, code: str, message: str, *, retry_after: str = "") -> Answer:
    return Answer(status, orjson.dumps({"error": {"code": code, "message": message}}), retry_after)


def _shown(answer: Answer) -> web.Response:
    return web.Response(
        status=answer.status,
        body=answer.body,
        content_type="application/json",
        headers={"Retry-After": answer.retry_after} if answer.retry_after else None,
    )
