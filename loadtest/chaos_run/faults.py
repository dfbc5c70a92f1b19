"""Doing what the schedule says, and putting it right again."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from loadtest.chaos_run.schedule import Fault, track_of
from loadtest.chaos_run.world import World

READY_SECONDS: Final = 60.0
EMPTY_LOOKS: Final = 50
"""How often, ten times a second, the loss of Redis's data looks whether the spool is empty."""

Tell = Callable[[str], None]


class Done(msgspec.Struct):
    """A fault that was done: unix seconds, until everything stood again."""

    kind: str
    began: float
    ended: float
    note: str = ""


class Faults:
    """Performs a schedule; `done` has what was done, `troubles` what should not have come of it."""

    def __init__(self, world: World, tell: Tell) -> None:
        self.done: list[Done] = []
        self.troubles: list[str] = []
        self._world = world
        self._tell = tell
        self._works: dict[str, Callable[[Fault], Awaitable[str]]] = {
            "kill": self._kill,
            "terminate": self._terminate,
            "pause": self._pause,
            "kill-all": self._kill_all,
            "roll": self._roll,
            "redis-kill": self._redis_kill,
            "redis-lost": self._redis_lost,
            "redis-flush": self._redis_flush,
            "redis-pause": self._redis_pause,
            "postgres-kill": self._postgres_kill,
            "postgres-pause": self._postgres_pause,
            "postgres-restart": self._postgres_restart,
            "stores-away": self._stores_away,
            "provider-down": self._provider_down,
        }

    async def run(self, schedule: Sequence[Fault]) -> None:
        """Every fault at its time from now; one that comes late shifts those of its own track only."""
        began = time.monotonic()
        tracks = {track_of(fault) for fault in schedule}
        async with asyncio.TaskGroup() as group:
            for track in sorted(tracks):
                group.create_task(self._track([fault for fault in schedule if track_of(fault) == track], began))

    async def _track(self, faults: Sequence[Fault], began: float) -> None:
        for fault in faults:
            await asyncio.sleep(max(0.0, fault.at - (time.monotonic() - began)))
            await self._perform(fault)

    async def _perform(self, fault: Fault) -> None:
        name = f"{fault.kind} {fault.target}" if fault.kind in {"kill", "terminate", "pause"} else fault.kind
        self._tell(f"{name}, for {fault.seconds:.1f} s")
        began = time.time()
        note = await self._works[fault.kind](fault)
        self.done.append(Done(fault.kind, began, time.time(), note))
        self._tell(f"{name} is over{': ' if note else ''}{note}")

    # --- replicas ----------------------------------------------------------------------------------------------------

    async def _kill(self, fault: Fault) -> str:
        replica = self._world.replicas[fault.target]
        await replica.kill()
        await asyncio.sleep(fault.seconds)
        replica.launch()
        return ""

    async def _terminate(self, fault: Fault) -> str:
        replica = self._world.replicas[fault.target]
        stopped = await replica.terminate()
        await asyncio.sleep(fault.seconds)
        replica.launch()
        return "" if stopped else self._trouble(f"replica {fault.target} did not stop in time and with success")

    async def _pause(self, fault: Fault) -> str:
        process = self._world.replicas[fault.target].process
        process.pause()
        await asyncio.sleep(fault.seconds)
        process.resume()
        return ""

    async def _kill_all(self, fault: Fault) -> str:
        await asyncio.gather(*(replica.kill() for replica in self._world.replicas))
        await asyncio.sleep(fault.seconds)
        for replica in self._world.replicas:
            replica.launch()
        return ""

    async def _roll(self, fault: Fault) -> str:
        """Replaced one by one, the next when the one before takes webhooks: what a deploy does."""
        notes = []
        for replica in self._world.replicas:
            if not await replica.terminate():
                notes.append(self._trouble(f"replica {replica.index} did not stop in time and with success"))
            replica.launch()
            await replica.stands(READY_SECONDS)
            await asyncio.sleep(fault.seconds)
        return ", ".join(notes)

    # --- stores ------------------------------------------------------------------------------------------------------

    async def _redis_kill(self, fault: Fault) -> str:
        await self._world.redis.kill()
        await asyncio.sleep(fault.seconds)
        await self._world.redis.launch()
        return ""

    async def _redis_lost(self, fault: Fault) -> str:
        await self._empty()
        await self._world.redis.kill()
        await asyncio.sleep(fault.seconds)
        kept = await self._world.redis.lose()
        await self._world.redis.launch()
        return f"not lost, the spool held {kept}" if kept else ""

    async def _redis_flush(self, fault: Fault) -> str:
        await self._empty()
        kept = await self._world.redis.flush()
        await asyncio.sleep(fault.seconds)
        return f"not flushed, the spool held {kept}" if kept else ""

    async def _empty(self) -> None:
        """Give the spool a moment to empty: what it holds is not promised to survive its loss."""
        for _ in range(EMPTY_LOOKS):
            if not await self._world.redis.waiting():
                return
            await asyncio.sleep(0.1)

    async def _redis_pause(self, fault: Fault) -> str:
        process = self._world.redis.process
        process.pause()
        await asyncio.sleep(fault.seconds)
        process.resume()
        return ""

    async def _postgres_kill(self, fault: Fault) -> str:
        await self._world.postgres.process.kill()
        await asyncio.sleep(fault.seconds)
        await self._world.postgres.launch()
        return ""

    async def _postgres_pause(self, fault: Fault) -> str:
        process = self._world.postgres.process
        process.pause()
        await asyncio.sleep(fault.seconds)
        process.resume()
        return ""

    async def _postgres_restart(self, fault: Fault) -> str:
        await self._world.postgres.stop()
        await asyncio.sleep(fault.seconds)
        await self._world.postgres.launch()
        return ""

    async def _stores_away(self, fault: Fault) -> str:
        await asyncio.gather(self._world.postgres.process.kill(), self._world.redis.kill())
        await asyncio.sleep(fault.seconds)
        await asyncio.gather(self._world.postgres.launch(), self._world.redis.launch())
        return ""

    async def _provider_down(self, fault: Fault) -> str:
        await self._world.weather.storm(begins=True)
        await asyncio.sleep(fault.seconds)
        await self._world.weather.storm(begins=False)
        return ""

    def _trouble(self, what: str) -> str:
        self.troubles.append(what)
        return what
