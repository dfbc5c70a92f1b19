"""Answers of finished calls, sealed under the service's key and found by a keyed fingerprint: the table holds nothing
that anybody could read or guess, not even whose number a call was about.
"""

from collections.abc import Sequence

from bot import metrics
from bot.adapters.postgres.pool import Database
from bot.ports.idempotency import Remembered
from bot.ports.keys import Vault


class PostgresIdempotency:
    """Fulfils `bot.ports.idempotency.Idempotency`."""

    def __init__(self, database: Database, vault: Vault, *, seconds: float) -> None:
        """`seconds`: how long an answer counts."""
        self._database = database
        self._vault = vault
        self._seconds = seconds

    async def recall(self, call: str, request: str) -> Remembered | None:
        key = self._vault.fingerprint("call", call)
        rows = await self._database.fetch("idempotency_recall", key, self._seconds)
        if not rows:
            return None
        row = rows[0]
        try:
            answer = self._vault.open(row["answer"], key)
        except ValueError:  # the key it was sealed under is gone; what was done is still guarded by the journal
            metrics.sealed_bad_total.labels("idempotency").inc()
            return None
        return Remembered(status=row["status"], answer=answer, same=row["fingerprint"] == self._request(request))

    async def remember(self, call: str, request: str, status: int, answer: bytes, phones: Sequence[str]) -> None:
        key = self._vault.fingerprint("call", call)
        await self._database.fetch(
            "idempotency_remember",
            key,
            self._request(request),
            status,
            self._vault.seal(answer, key),
            [self._vault.fingerprint("phone", phone) for phone in phones],
            self._seconds,
        )

    def _request(self, request: str) -> bytes:
        return self._vault.fingerprint("request", request)
