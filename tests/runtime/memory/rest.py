"""The smaller ports in memory: effects, timers, replicas, flow versions, quarantine."""

from collections.abc import Sequence

from bot.core.events import TimerFired
from bot.ports.effects import ModelCall, OrphanEffect
from bot.ports.quarantine import Quarantined
from bot.ports.timers import DueTimer
from bot.runtime.clock import Clock
from tests.runtime.memory.link import Link
from tests.runtime.memory.tables import Replica, Tables

FIRED = str(TimerFired.__struct_config__.tag)


class MemoryEffects:
    def __init__(self, tables: Tables, link: Link, clock: Clock) -> None:
        self._tables = tables
        self._link = link
        self._clock = clock

    async def orphans(self, me: str, limit: int, *, turn: int, since: int | None = None) -> Sequence[OrphanEffect]:
        return await self._link.call(
            "effects.orphans", lambda: self._orphans(me, limit, turn, turn if since is None else since)
        )

    async def account(self, calls: Sequence[ModelCall]) -> None:
        def work() -> None:
            for call in calls:
                self._tables.model_calls.setdefault(call.id, call)

        await self._link.call("effects.account", work)

    async def spent_since(self, at: float) -> float:
        return await self._link.call(
            "effects.spent_since",
            lambda: sum(call.cost_usd for call in self._tables.model_calls.values() if call.at >= at),
        )

    def _orphans(self, me: str, limit: int, turn: int, since: int) -> list[OrphanEffect]:
        now = self._clock.now()
        if not self._tables.takes_turn(me, turn, now):
            return []
        live = {*self._tables.live(now), me}
        undone = [effect for effect in self._tables.effects.values() if not effect.done]
        again = [effect for effect in undone if effect.claimed_by == me and effect.claim_token >= since]
        left = sorted((effect for effect in undone if effect.claimed_by not in live), key=lambda effect: effect.at)[
            :limit
        ]
        for effect in left:
            effect.claimed_by, effect.claim_token = me, turn
        return [
            OrphanEffect(
                id=effect.row.id,
                customer=effect.customer,
                data_key=self._tables.users[effect.customer].data_key,
                sealed=effect.row.sealed,
            )
            for effect in sorted([*again, *left], key=lambda effect: effect.at)
        ]


class MemoryTimers:
    def __init__(self, tables: Tables, link: Link) -> None:
        self._tables = tables
        self._link = link

    async def due(self, until: float, limit: int) -> Sequence[DueTimer]:
        def work() -> list[DueTimer]:
            waits = {
                row.customer for row in self._tables.journal.values() if row.consumed_at is None and row.kind == FIRED
            }
            waits |= self._tables.parked.keys()
            timers = [timer for timer in self._tables.timers.values() if timer.customer not in waits]
            found = sorted((timer for timer in timers if timer.row.due <= until), key=lambda timer: timer.row.due)
            return [DueTimer(id=timer.row.id, customer=timer.customer, kind=timer.row.kind) for timer in found[:limit]]

        return await self._link.call("timers.due", work)


class MemoryReplicas:
    def __init__(self, tables: Tables, link: Link, clock: Clock) -> None:
        self._tables = tables
        self._link = link
        self._clock = clock

    async def beat(self, me: str, alive_within: float) -> None:
        def work() -> None:
            now = self._clock.now()
            known = self._tables.replicas.get(me)
            turn = known.claim_turn if known else 0
            self._tables.replicas[me] = Replica(seen_at=now, gone_at=now + alive_within, claim_turn=turn)

        await self._link.call("replicas.beat", work)

    async def leave(self, me: str) -> None:
        def work() -> None:
            if me in self._tables.replicas:
                self._tables.replicas[me].gone_at = self._clock.now()

        await self._link.call("replicas.leave", work)

    async def others(self, me: str) -> Sequence[str]:
        return await self._link.call("replicas.others", lambda: sorted(self._tables.live(self._clock.now()) - {me}))


class MemoryFlowVersions:
    def __init__(self, tables: Tables, link: Link) -> None:
        self._tables = tables
        self._link = link

    async def keep(self, flows: Sequence[tuple[str, str, int, str]]) -> None:
        await self._link.call(
            "flow_versions.keep", lambda: self._tables.flows.update({digest: source for digest, _, _, source in flows})
        )

    async def source(self, digest: str) -> str | None:
        return await self._link.call("flow_versions.source", lambda: self._tables.flows.get(digest))


class MemoryQuarantine:
    def __init__(self, tables: Tables, link: Link) -> None:
        self._tables = tables
        self._link = link

    async def keep(self, bodies: Sequence[Quarantined]) -> None:
        await self._link.call("quarantine.keep", lambda: self._tables.quarantine.extend(bodies))
