"""`POST /webhook/msg91`: authenticate, read, make durable in one store or the other, and only then answer 200 (P1, P8,
P10).
"""

import hmac
import logging
import time

import orjson
from aiohttp import web

from bot import metrics
from bot.ports.failures import Unavailable
from bot.runtime.intake import Intake, Overloaded
from bot.web.attempts import Attempts
from bot.wire.msg91.callbacks import read_webhook

BODY_LIMIT = 3 * 1024 * 1024
"""Bytes; Meta's own limit of a webhook."""
RETRY_AFTER = "2"
"""Seconds a refused provider should wait."""
SIGNATURE_HEADERS = ("X-MSG91-Signature", "X-Hub-Signature-256")

log = logging.getLogger(__name__)


class Webhook:
    def __init__(self, *, intake: Intake, secret: str, numbers: tuple[str, ...]) -> None:
        """An empty `secret` takes everything: development only."""
        self._intake = intake
        self._secret = secret.encode()
        self._numbers = frozenset(numbers)
        self._attempts = Attempts()
        self.accepting = True

    async def ping(self, _: web.Request) -> web.Response:
        """Dashboards look whether somebody is here."""
        return web.Response(text="ok")

    async def receive(self, request: web.Request) -> web.Response:
        started = time.perf_counter()
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _too_large()
        if self._secret and not self._authentic(request, body):
            return self._turned_away(request.remote or "")
        answer = await self._take(body, request.headers.get("Content-Type", ""))
        metrics.webhook_seconds.observe(time.perf_counter() - started)
        return answer

    def _turned_away(self, address: str) -> web.Response:
        """401, and 429 for an address that goes on guessing. The right secret is never held up: behind a proxy the
        provider and a guesser have the same address.
        """
        metrics.refused_total.labels("unauthorized").inc()
        wait = self._attempts.seconds_to_wait(address)
        if wait:
            return _refused(429, "rate_limited", "Too many wrong secrets from this address.", retry_after=str(wait))
        self._attempts.failed(address)
        return _refused(401, "unauthorized", "The secret or the signature is missing or wrong.")

    async def _take(self, body: bytes, content_type: str) -> web.Response:
        if not self.accepting:
            return _busy("stopping")
        delivery = read_webhook(body, our_numbers=self._numbers, content_type=content_type)
        if delivery.problem is not None:
            metrics.refused_total.labels("bad_request").inc()
            return _refused(400, delivery.problem.code, delivery.problem.message)
        try:
            tally = await self._intake.accept(delivery.items)
        except Overloaded:
            return _busy("overloaded")
        except Unavailable:
            return _busy("unavailable")
        except Exception:
            log.exception("a webhook could not be made durable")
            return _busy("failed")
        return web.Response(
            body=b'{"status":"accepted","accepted":%d,"duplicates":%d,"ignored":%d,"quarantined":%d}'
            % (tally.accepted, tally.duplicates, tally.ignored, tally.quarantined),
            content_type="application/json",
        )

    def _authentic(self, request: web.Request, body: bytes) -> bool:
        """A signature that is present must be right, whatever else is sent."""
        headers = request.headers
        signatures = [headers[name] for name in SIGNATURE_HEADERS if name in headers]
        if signatures:
            expected = hmac.digest(self._secret, body, "sha256").hex()
            given = [signature.removeprefix("sha256=").strip().lower() for signature in signatures]
            return all(_same(one, expected.encode()) for one in given)
        header = headers.get("X-Webhook-Secret")
        if header is not None and _same(header, self._secret):
            return True
        token = request.query.get("token") if request.query_string else None
        return token is not None and _same(token, self._secret)


def _same(given: str, expected: bytes) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected)


def _too_large() -> web.Response:
    return _refused(413, "too_large", "A webhook may have 3 MB.")


def _busy(reason: str) -> web.Response:
    metrics.refused_total.labels(reason).inc()
    return _refused(503, reason, "Nothing was stored; send it again.", retry_after=RETRY_AFTER)


def _refused(status: int, code: str, message: str, *, retry_after: str = "") -> web.Response:
    return web.Response(
        status=status,
        body=orjson.dumps({"error": {"code": code, "message": message}}),
        content_type="application/json",
        headers={"Retry-After": retry_after} if retry_after else None,
    )
