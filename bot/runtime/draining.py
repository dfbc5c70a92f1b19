"""Works off the spool, on every replica: from its head, in order, into the journal (P8).

Any number may do this at once without harm to the order. Each begins at the head and removes an entry only after its
append. So whatever stands before an entry that somebody appends was appended in the same statement before it, by the
same drainer before it, or by somebody else who has removed it since; in every case its row has the smaller number. What
two of them append twice is one row: the journal knows the event by its key, and our own row by its sealed bytes. The
claim spares work and nothing else. Only an unusable body may then be kept twice.

Nothing blocks the queue but the stores being away. An entry that cannot be opened or read, or that the journal refuses,
goes into the quarantine and is counted. What a newer release wrote is left to its replicas for a while, and ends there
only when none comes.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from bot import metrics
from bot.core.events import MessageReceived, decode_envelope
from bot.ports.failures import Unavailable
from bot.ports.keys import Vault
from bot.ports.quarantine import Quarantine, Quarantined
from bot.ports.spool import Spool
from bot.ports.spool import Spooled as Waiting
from bot.runtime.clock import Clock
from bot.runtime.delivery_reports import Reports
from bot.runtime.intake import MESSAGE_KIND, QUARANTINE_CONTEXT
from bot.runtime.journalling import Arrival, Journalling
from bot.runtime.spooled import Spooled, SpooledBody, SpooledMessage, SpooledReport, unseal
from bot.runtime.spooling import Spooling

ROUND_SECONDS = 1.0
"""Between looks at an empty spool."""
FAILED_SECONDS = 1.5
"""After a failure: longer, so that meanwhile another replica looks, which may be able to."""
CLAIM_SECONDS = 5.0
"""How long one replica works it off before another may think that it is gone."""
LET_GO_SECONDS = 0.001
"""A claim this short is as good as none."""

NEWER_SECONDS = 600.0
"""How long the head of the queue waits for a replica that knows what it says."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class _Newer(Exception):
    """A newer release wrote the head of the queue."""


class _Batch(msgspec.Struct):
    """Entries by what has to be done with them, each kind in order."""

    arrivals: list[Arrival] = []
    reports: list[SpooledReport] = []
    bodies: list[Quarantined] = []
    hopeless: list[Quarantined] = []
    """What stands in for entries that will never be worked off."""


class Draining:
    def __init__(
        self,
        *,
        me: str,
        spool: Spool,
        spooling: Spooling,
        journalling: Journalling,
        reports: Reports,
        quarantine: Quarantine,
        vault: Vault,
        clock: Clock,
        most: int,
    ) -> None:
        """`most`: entries in one go."""
        self._me = me
        self._spool = spool
        self._spooling = spooling
        self._journalling = journalling
        self._reports = reports
        self._quarantine = quarantine
        self._vault = vault
        self._clock = clock
        self._most = most
        self._stopped = False
        self._newer_since: float | None = None

    async def run(self) -> None:
        """Work the spool off until told to stop."""
        while not self._stopped:
            well = await self.round()
            await self._clock.sleep(ROUND_SECONDS if well else FAILED_SECONDS)

    def stop(self) -> None:
        """Take no more batches: what is left is for other replicas, or for the next start."""
        self._stopped = True

    async def round(self) -> bool:
        """Work off all that waits, unless another replica does; False when something failed."""
        try:
            while await self._spooling.look() and not self._stopped and await self._batch():
                pass
            return True
        except Unavailable as problem:
            log.warning("the spool has to wait", extra={"waiting": self._spooling.waiting, "error": str(problem)})
        except _Newer:
            log.warning("a newer release has to work off the spool", extra={"waiting": self._spooling.waiting})
        except Exception:
            log.exception("the spool could not be worked off")
        return False

    async def _batch(self) -> bool:
        """Work off the first entries; whether there may be more for us."""
        first = await self._asked(self._first)
        if not first:
            return False
        try:
            await self._replay(self._sorted(first))
        except (Unavailable, _Newer):
            await self._asked(lambda: self._spool.claim(self._me, LET_GO_SECONDS))  # another may be able to
            raise
        self._newer_since = None
        await self._asked(lambda: self._spool.remove([entry.id for entry in first]))
        metrics.spool_drained_total.inc(len(first))
        return True

    async def _first(self) -> Sequence[Waiting]:
        if not await self._spool.claim(self._me, CLAIM_SECONDS):
            return ()
        return await self._spool.first(self._most)

    async def _asked(self, call: Callable[[], Awaitable[T]]) -> T:
        """A call of the spool, which is left alone for a while when it fails."""
        try:
            return await call()
        except Unavailable:
            self._spooling.lost()
            raise

    # --- what an entry is --------------------------------------------------------------------------------------------

    def _sorted(self, entries: Sequence[Waiting]) -> _Batch:
        batch = _Batch()
        for entry in entries:
            try:
                self._sort(unseal(self._vault, entry.sealed), batch)
            except msgspec.ValidationError as problem:
                if self._waits_for_newer():
                    raise _Newer from None
                batch.hopeless.append(self._hopeless(entry.sealed, problem))
            except (ValueError, msgspec.DecodeError) as problem:
                batch.hopeless.append(self._hopeless(entry.sealed, problem))
        return batch

    def _waits_for_newer(self) -> bool:
        metrics.newer_total.labels("spool").inc()
        now = self._clock.monotonic()
        self._newer_since = now if self._newer_since is None else self._newer_since
        return now < self._newer_since + NEWER_SECONDS

    def _sort(self, entry: Spooled, batch: _Batch) -> None:
        match entry:
            case SpooledMessage():
                batch.arrivals.append(self._arrival(entry))
            case SpooledReport():
                batch.reports.append(entry)
            case SpooledBody(reason=reason, sealed=sealed, at=at):
                batch.bodies.append(Quarantined(reason=reason, sealed=sealed, at=at))

    def _arrival(self, entry: SpooledMessage) -> Arrival:
        envelope = decode_envelope(self._vault.open(entry.sealed, entry.dedup))
        if not isinstance(envelope.event, MessageReceived):
            raise ValueError("a spooled event that is no customer's message")
        return Arrival(
            envelope=envelope,
            kind=MESSAGE_KIND,
            dedup=entry.dedup,
            done=lambda _: None,
            sender=envelope.event.sender,
            sealed=entry.sealed,
        )

    # --- working off -------------------------------------------------------------------------------------------------

    async def _replay(self, batch: _Batch) -> None:
        """Everything is durable when it returns. Bodies come last: repeating the rest does no harm."""
        await self._each(batch.arrivals, self._append, lambda arrival: msgspec.json.encode(arrival.envelope), batch)
        await self._each(batch.reports, self._report, msgspec.json.encode, batch)
        bodies = [*batch.bodies, *batch.hopeless]
        if bodies:
            await self._quarantine.keep(bodies)
        metrics.quarantined_total.inc(len(batch.hopeless))

    async def _append(self, arrivals: Sequence[Arrival]) -> None:
        for arrival, result in zip(arrivals, await self._journalling.append(arrivals), strict=True):
            self._journalling.settle(arrival, result)

    async def _report(self, entries: Sequence[SpooledReport]) -> None:
        await self._reports.apply([entry.report for entry in entries])

    async def _each(
        self,
        items: Sequence[T],
        work: Callable[[Sequence[T]], Awaitable[None]],
        plain: Callable[[T], bytes],
        batch: _Batch,
    ) -> None:
        """`work` on all items in order. A batch that is refused is split until the one bad item stands alone."""
        if not items:
            return
        try:
            await work(items)
        except Unavailable:
            raise
        except Exception as problem:  # noqa: BLE001 - whatever is wrong with an entry, those behind it go on
            if len(items) == 1:
                batch.hopeless.append(self._hopeless(plain(items[0]), problem))
                return
            middle = len(items) // 2
            await self._each(items[:middle], work, plain, batch)
            await self._each(items[middle:], work, plain, batch)

    def _hopeless(self, body: bytes, problem: Exception) -> Quarantined:
        log.error("a spooled delivery cannot be worked off", exc_info=problem)
        return Quarantined(
            reason=f"spooled, {type(problem).__name__}",
            sealed=self._vault.seal(body, QUARANTINE_CONTEXT),
            at=self._clock.now(),
        )
