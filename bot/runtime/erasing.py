"""Erasing a customer: out of the store, out of Redis, out of the memory of every replica, and what comes after.

The store ends everything that lives in one transaction (`bot.ports.erasures`). From then on no commit of the old state
takes effect and no message is claimed. What a replica still holds it drops when it hears of the erasure: every round of
the sweep asks the store for news, so that takes about a second, and only then does the replica say so. An erasure is
done when all living replicas have. One that is cut off or stopped meanwhile finds, before it sends anything, that
nothing of the customer is its own any more.

A message that is journalled under the old id after the erasure is the first of a new customer. Everything else that
comes late (a model's answer, a timer, a failed send, a deed) is emptied where it lies.
"""

import logging
from collections.abc import Sequence
from typing import Final

import msgspec

from bot import metrics
from bot.core.events import MessageReceived, Sender, decode_envelope
from bot.core.ids import CustomerId, JournalSeq
from bot.ports.erasures import Erasure, ErasureReport, Erasures
from bot.ports.failures import Unavailable
from bot.ports.journal import Unread
from bot.ports.keys import Vault
from bot.runtime.clock import Clock
from bot.runtime.journalling import Journalling
from bot.runtime.outbox import Delivery
from bot.runtime.registry import Registry
from bot.runtime.spooling import Spooling
from bot.runtime.tasks import Tasks
from bot.runtime.thinking import Thinking
from bot.runtime.watching import Outcome

WAIT_SECONDS: Final = 5.0
"""How long a caller waits for an erasure to be done before it is told that this is pending."""
SPOOL_SECONDS: Final = 5.0
"""How long an erasure waits for webhooks in the spool, which may be the customer's; then the caller is to try again."""
LOOK_SECONDS: Final = 0.1
"""Between looks at what is waited for."""
SILENT_SECONDS: Final = 15.0
"""An erasure at which nobody has worked for so long is taken up by whoever sweeps: longer than a statement may take."""
AGAIN_SECONDS: Final = 15.0
"""So long after the news the opened keys are dropped once more: a reader may have had an old row in its hands."""
STRAYS_AT_ONCE: Final = 64

ERASED: Final = "this customer was erased"
"""What callers hear of a deed that came too late."""

log = logging.getLogger(__name__)


def erasure_key(vault: Vault, phone: str, key: str) -> bytes:
    """What names a call: a keyed fingerprint, so that nobody who reads it can try numbers."""
    return vault.fingerprint("erasure", f"{phone} {key}")


class CustomerErasing:
    """Fulfils `bot.ports.erasures.Erasing`; one for each replica."""

    def __init__(
        self,
        *,
        me: str,
        erasures: Erasures,
        spooling: Spooling,
        registry: Registry,
        delivery: Delivery,
        thinking: Thinking,
        journalling: Journalling,
        vault: Vault,
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self._me = me
        self._erasures = erasures
        self._spooling = spooling
        self._registry = registry
        self._delivery = delivery
        self._thinking = thinking
        self._journalling = journalling
        self._vault = vault
        self._clock = clock
        self._tasks = tasks
        self._settling: set[CustomerId] = set()
        self._working = False

    async def erase(self, phone: str, *, by: str, key: str) -> ErasureReport | None:
        """Waits `WAIT_SECONDS` at most for what takes long; the rest goes on without the caller."""
        name = erasure_key(self._vault, phone, key)
        await self._spool_empty()
        erasure = await self._erasures.begin(phone, key=name, by=by, at=self._clock.now())
        if erasure is None:
            return None
        if not erasure.worked_off:
            metrics.erasures_total.inc()
            self._start(erasure)
        end = self._clock.monotonic() + WAIT_SECONDS
        while (report := await self._erasures.report(name)) and report.status == "pending":
            if self._clock.monotonic() >= end:
                break
            await self._clock.sleep(LOOK_SECONDS)
            await self._erasures.finish()
        return report

    async def look(self) -> None:
        """Hear of erasures, finish those that are done, and take up what somebody left. Part of each round of the
        sweep and of nothing else: a call that claims messages must not be on its way meanwhile.
        """
        await self._hear()
        await self._erasures.finish()
        if not self._working:
            left = await self._erasures.take_up(SILENT_SECONDS)
            if left is not None:
                self._start(left)

    def stray(self, customer: CustomerId) -> None:
        """A letter was journalled for a customer who was erased."""
        if customer not in self._settling:
            self._settling.add(customer)
            self._tasks.spawn(self._settle(customer), "strays")

    # --- beginning ---------------------------------------------------------------------------------------------------

    async def _spool_empty(self) -> None:
        """Return when everything accepted before is in the journal. Raises `Unavailable`."""
        end = self._clock.monotonic() + SPOOL_SECONDS
        while await self._spooling.look():
            if self._clock.monotonic() >= end:
                raise Unavailable("webhooks that may be this customer's wait in the spool: try again")
            await self._clock.sleep(LOOK_SECONDS)

    def _start(self, erasure: Erasure) -> None:
        self._working = True
        self._tasks.spawn(self._work_off(erasure), "erasure")

    async def _work_off(self, erasure: Erasure) -> None:
        try:
            await self._erasures.work_off(erasure)
        except Unavailable as problem:
            log.warning("an erasure has to wait", extra={"erasure": erasure.id, "error": str(problem)})
        finally:
            self._working = False

    # --- hearing -----------------------------------------------------------------------------------------------------

    async def _hear(self) -> None:
        """An actor that is on its way is waited for, until the next look: its commit may be one of before."""
        news = await self._erasures.unheard(self._me)
        heard = [erasure for erasure in news if await self._registry.forget(erasure.customers)]
        if not heard:
            return
        self._thinking.forget({customer for erasure in heard for customer in erasure.customers})
        self._journalling.forget()
        await self._delivery.confirm()
        self._vault.forget()
        self._clock.later(AGAIN_SECONDS, self._vault.forget)
        await self._erasures.hear(self._me, heard)

    # --- what comes after --------------------------------------------------------------------------------------------

    async def _settle(self, customer: CustomerId) -> None:
        """Until nothing is left; when the store is away, the sweep brings the customer back."""
        self._journalling.forget()
        try:
            while rows := await self._erasures.strays(customer, STRAYS_AT_ONCE):
                await self._settle_some(customer, rows)
        except Unavailable as problem:
            log.warning("events after an erasure have to wait", extra={"customer": customer, "error": str(problem)})
        except msgspec.ValidationError:
            metrics.newer_total.labels("journal").inc()
        finally:
            self._settling.discard(customer)

    async def _settle_some(self, customer: CustomerId, rows: Sequence[Unread]) -> None:
        moved: dict[JournalSeq, CustomerId] = {}
        dropped = []
        for row in rows:
            sender = self._sender(row)
            if sender is None:
                dropped.append(row)
            else:
                moved[row.seq] = await self._journalling.resolve(sender)
        await self._erasures.settle(customer, moved, [row.seq for row in dropped], self._clock.now())
        for row in dropped:
            self._registry.watching.settle(row.dedup, Outcome(refusal=ERASED, messages=()))
        for kept in set(moved.values()):
            self._registry.wake(kept)

    def _sender(self, row: Unread) -> Sender | None:
        """Who wrote it; None for what is no customer's message, or cannot be opened. Raises `msgspec.ValidationError`
        for what only a newer release knows.
        """
        try:
            event = decode_envelope(self._vault.open(row.sealed, row.dedup)).event
        except msgspec.ValidationError:
            raise
        except (ValueError, msgspec.DecodeError):
            return None
        return event.sender if isinstance(event, MessageReceived) else None
