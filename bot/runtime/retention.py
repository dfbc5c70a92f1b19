"""Retention: what was kept long enough leaves, in small pages with pauses, while customers write.

One replica does it, whichever of the living has the first name. A kind that fails is counted and tried again in the
next round, and the others go on.

The journal is also the memory by which a repeated webhook is known (P2), so while accepted webhooks wait in the spool
nothing is removed: one of them may have been journalled before the database went away, and its row has to be there when
it is worked off.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from bot import metrics
from bot.ports.failures import Unavailable
from bot.ports.retention import Kind, Place, Removals
from bot.runtime.clock import Clock

ROUND_SECONDS = 300.0
"""Seconds between rounds, and before the first."""
PAGE = 500
"""Rows looked at in one statement."""
SHARE = 0.2
"""Of the time of a round, the part in which a page is being removed; the rest are pauses."""
SHORTEST_PAUSE = 0.05
"""Seconds between two pages, however fast they are."""

log = logging.getLogger(__name__)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """How long rows of a kind are kept, in seconds."""

    kind: Kind
    seconds: float


class Retention:
    def __init__(
        self,
        *,
        me: str,
        removals: Removals,
        kept: Sequence[Kept],
        clock: Clock,
        spool_in_use: Callable[[], bool],
        in_force: Callable[[], Awaitable[None]],
        others: Sequence[tuple[str, Callable[[int], Awaitable[int]]]] = (),
    ) -> None:
        """`in_force` says in the store which flow versions are in use here, on every replica.

        `others` are kinds that know their own time: each removes at most so many rows, and says how many it did.
        """
        self._me = me
        self._removals = removals
        self._kept = kept
        self._clock = clock
        self._spool_in_use = spool_in_use
        self._in_force = in_force
        self._others = others

    async def run(self) -> None:
        """A round now and then, until cancelled."""
        while True:
            await self._clock.sleep(ROUND_SECONDS)
            await self.round()

    async def round(self) -> None:
        """Remove everything that is old, if that is this replica's task."""
        if not await self._part("flow_versions", self._in_force()):
            return
        if not await self._is_mine():
            return
        well = [await self._part(kept.kind, self._walk(kept)) for kept in self._kept]
        well += [await self._part(name, self._pages(name, remove)) for name, remove in self._others]
        if all(well) and not self._spool_in_use():
            metrics.retention_last_success_timestamp.set(self._clock.now())

    async def _is_mine(self) -> bool:
        try:
            return await self._removals.mine(self._me)
        except Unavailable as problem:
            self._failed("replicas", problem)
            return False

    async def _part(self, name: str, work: Awaitable[None]) -> bool:
        """Whether it went well."""
        try:
            await work
        except Unavailable as problem:
            self._failed(name, problem)
            return False
        except Exception:
            metrics.retention_failures_total.labels(name).inc()
            log.exception("a part of retention failed", extra={"kind": name})
            return False
        return True

    def _failed(self, name: str, problem: Unavailable) -> None:
        metrics.retention_failures_total.labels(name).inc()
        log.warning("retention has to wait", extra={"kind": name, "error": str(problem)})

    async def _walk(self, kept: Kept) -> None:
        before = self._clock.now() - kept.seconds
        after: Place | None = None
        while not self._spool_in_use():
            began = self._clock.monotonic()
            page = await self._removals.remove(kept.kind, before=before, after=after, limit=PAGE)
            metrics.retention_deleted_total.labels(kept.kind).inc(page.rows)
            after = page.after
            if after is None:
                return
            await self._pause(began)

    async def _pages(self, name: str, remove: Callable[[int], Awaitable[int]]) -> None:
        rows = PAGE
        while rows == PAGE and not self._spool_in_use():
            began = self._clock.monotonic()
            rows = await remove(PAGE)
            metrics.retention_deleted_total.labels(name).inc(rows)
            await self._pause(began)

    async def _pause(self, began: float) -> None:
        """The longer a page takes, the longer the others have the database for themselves."""
        took = self._clock.monotonic() - began
        await self._clock.sleep(max(SHORTEST_PAUSE, took * (1 / SHARE - 1)))
