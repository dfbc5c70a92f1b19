"""The hand of fate: what goes wrong, when, and for how long. Each seed has kinds of its own, so that rare ones meet.

Every fault ends by itself, and `heal` ends all of them: what is not at rest some minutes later never will be.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from tests.simulation.chance import Chance
from tests.simulation.network import Site
from tests.simulation.provider import SEND, Manners, Mood, Provider
from tests.simulation.replica import Ground, Replica
from tests.simulation.trace import Trace

CALLS = (
    *("journal.append", "journal.unread", "store.load", "store.commit", "directory.resolve", "seats.take"),
    *("outbox.note", "outbox.report", "outbox.orphans", "outbox.behind", "outbox.still_mine", "effects.orphans"),
    *("spool.push", "spool.first", "spool.remove", SEND, SEND, SEND, "store.commit", "outbox.note"),
)
"""Calls at which a replica may die or stand still; the last of them are where most may go wrong."""
AFTERMATH = 35.0
"""Seconds after a failure of Redis in which a replica may still not know what waits in the spool."""
MOODS: tuple[Mood, ...] = ("refusing", "erring", "busy", "silent", "slow")


class Population(Protocol):
    """The replicas there are. `crash` kills one, `stop` asks one to end, `start` brings another."""

    replicas: list[Replica]

    def crash(self, replica: Replica) -> None: ...

    def stop(self, replica: Replica) -> Coroutine[Any, Any, None]: ...

    def start(self) -> None: ...


class Fate:
    """`intensity`: faults a minute."""

    def __init__(
        self, ground: Ground, chance: Chance, trace: Trace, provider: Provider, population: Population, *, lease: float
    ) -> None:
        self._ground, self._chance, self._trace = ground, chance, trace
        self._provider, self._population, self._lease = provider, population, lease
        kinds: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "crash": self._crash,
            "crash at a step": self._crash_at_a_step,
            "crash at a call": self._crash_at_a_call,
            "pause at a call": self._pause_at_a_call,
            "stop": self._stop,
            "stop at a call": self._stop_at_a_call,
            "pause": self._pause,
            "calls fail": self._calls_fail,
            "store slow": self._slow,
            "store refuses": self._refuse,
            "store freezes": self._freeze,
            "store out of reach": self._cut,
            "redis forgets": self._forget,
            "lease runs out": self._lease_runs_out,
            "hints lost": self._hints_lost,
            "provider away": self._provider_away,
            "model away": self._model_away,
            "clock jumps": self._clock_jumps,
        }
        self._kinds = kinds
        self.chosen = chance.some(tuple(kinds), 0.45)
        self.healed = False

    def only_ends(self) -> None:
        """Replicas end in every way there is, and Redis forgets; nothing else goes wrong."""
        ends = ("crash", "crash at a step", "crash at a call", "stop", "stop at a call", "redis forgets")
        self.chosen = self._chance.some(ends, 0.5) or ["crash"]

    def manners(self) -> Manners:
        """How the provider behaves throughout; in a good part of the seeds it has hardly a fault."""
        draw = self._chance.random
        if draw() < 0.3:
            return Manners(reporting=draw())
        return Manners(
            lost=0.1 * draw() * draw(),
            refused=0.03 * (draw() < 0.3),
            wait=0.1 * draw() * draw(),
            lying=0.05 * (draw() < 0.2),
            reporting=draw(),
            repeating=0.3 * draw(),
        )

    async def rule(self, pause: float) -> None:
        """Let a fault begin every `pause` seconds on average, until healed."""
        while not self.healed and self.chosen:
            await asyncio.sleep(self._chance.soon(pause))
            kind = self._chance.choice(self.chosen)
            if not self.healed:
                self._ground.loop.begin(self._ground.loop.outside, self._kinds[kind](), f"fault: {kind}")

    def heal(self) -> None:
        """From here on nothing goes wrong."""
        self.healed = True
        self._trace.note("healed")
        ground = self._ground
        for site in (ground.database, ground.redis):
            self._thaw(site)
            site.heal()
        ground.hints_lost = 0.0
        self._provider.mood, self._provider.manners = "fine", Manners()
        for replica in self._population.replicas:
            replica.database.cut = replica.redis.cut = False
            replica.model.failing, replica.model.hanging = 0.0, False
            if replica.process.paused:
                ground.loop.resume(replica.process)

    # --- replicas ----------------------------------------------------------------------------------------------------

    def _one(self) -> Replica | None:
        living = [replica for replica in self._population.replicas if replica.process.alive]
        return self._chance.choice(living) if living else None

    async def _crash(self) -> None:
        replica = self._one()
        if replica is not None:
            self._population.crash(replica)

    async def _crash_at_a_step(self) -> None:
        """Between any two awaits: so many steps from now."""
        replica = self._one()
        if replica is not None and replica.process.doom < 0:
            replica.process.doom = replica.process.steps + self._chance.randint(1, 400)

    async def _crash_at_a_call(self) -> None:
        """At the instant in which a call takes effect: its answer is lost with whoever waits for it."""
        replica = self._one()
        if replica is not None:
            self._at_a_call(replica, lambda: self._population.crash(replica))

    async def _pause_at_a_call(self) -> None:
        replica = self._one()
        if replica is not None:
            outside = self._ground.loop.outside
            self._at_a_call(replica, lambda: self._ground.loop.begin(outside, self._still(replica), "pause"))

    def _at_a_call(self, replica: Replica, strike: Callable[[], object]) -> None:
        def struck() -> None:
            if not self.healed:
                strike()

        replica.process.at_call[self._chance.choice(CALLS)] = struck

    async def _stop(self) -> None:
        replica = self._one()
        if replica is None or not replica.serving:
            return
        if self._chance.happens(0.5):
            self._population.start()  # a rolling deploy: the new one first
            await asyncio.sleep(self._chance.soon(1.0))
        await self._population.stop(replica)

    async def _stop_at_a_call(self) -> None:
        """Just when it has something under way."""
        replica = self._one()
        if replica is not None:
            self._at_a_call(replica, lambda: self._end(replica))

    def _end(self, replica: Replica) -> None:
        if replica.serving:
            self._ground.loop.begin(self._ground.loop.outside, self._population.stop(replica), "stop")

    async def _pause(self) -> None:
        replica = self._one()
        if replica is not None:
            await self._still(replica)

    async def _still(self, replica: Replica) -> None:
        if replica.process.paused or not replica.process.alive:
            return
        seconds = self._lease * 3 * self._chance.random()
        self._trace.fault("pause", f"{replica.name} {seconds:.2f} s")
        self._ground.loop.pause(replica.process)
        await asyncio.sleep(seconds)
        if replica.process.paused:
            self._trace.note("resumed", replica.name)
            self._ground.loop.resume(replica.process)

    async def _clock_jumps(self) -> None:
        replica = self._one()
        if replica is not None:
            replica.clock.skew = self._chance.uniform(-1.0, 1.0)
            self._trace.fault("clock jumps", f"{replica.name} {replica.clock.skew:.2f} s")

    # --- stores ------------------------------------------------------------------------------------------------------

    def _site(self) -> Site:
        return self._chance.choice((self._ground.database, self._ground.database, self._ground.redis))

    def _troubled(self, site: Site, seconds: float) -> float:
        """Remember when Redis is in trouble: with PostgreSQL away as well, order is not promised. Gives `seconds`."""
        if site is self._ground.redis:
            now = self._ground.loop.time()
            self._ground.history.redis_trouble.append((now, now + seconds + site.timeout + AFTERMATH))
        return seconds

    async def _calls_fail(self) -> None:
        site = self._site()
        seconds = self._troubled(site, self._chance.uniform(0.5, 10.0))
        site.failing = self._chance.choice((0.02, 0.1, 0.5))
        self._trace.fault(f"{site.name} fails", f"{site.failing} for {seconds:.1f} s")
        await asyncio.sleep(seconds)
        site.failing = 0.0

    async def _slow(self) -> None:
        site = self._site()
        seconds = self._troubled(site, self._chance.uniform(0.5, 10.0))
        site.slowness = self._chance.choice((10.0, 100.0, 1000.0))
        self._trace.fault(f"{site.name} is slow", f"{site.slowness} for {seconds:.1f} s")
        await asyncio.sleep(seconds)
        site.slowness = 1.0

    async def _refuse(self) -> None:
        site = self._site()
        seconds = self._troubled(site, self._chance.choice((0.5, 3.0, 20.0)))
        self._thaw(site)
        site.state = "refusing"
        self._trace.fault(f"{site.name} is away", f"{seconds:.1f} s")
        await asyncio.sleep(seconds)
        if site.state == "refusing":
            site.state = "fine"

    async def _freeze(self) -> None:
        site = self._site()
        seconds = self._troubled(site, self._chance.uniform(0.5, 3 * self._lease))
        site.state = "frozen"
        self._trace.fault(f"{site.name} freezes", f"{seconds:.1f} s")
        await asyncio.sleep(seconds)
        self._thaw(site)

    def _thaw(self, site: Site) -> None:
        if site.state != "frozen":
            return
        site.state = "fine"
        waiting, site.waiting = site.waiting, []
        for call in waiting:
            call()

    async def _cut(self) -> None:
        replica = self._one()
        if replica is None:
            return
        seconds = self._chance.uniform(0.5, 3 * self._lease)
        links = self._chance.choice(
            ((replica.database,), (replica.redis,), (replica.database, replica.redis)),
        )
        if replica.redis in links:
            self._troubled(self._ground.redis, seconds)
        self._trace.fault("out of reach", f"{replica.name} {len(links)} for {seconds:.1f} s")
        for link in links:
            link.cut = True
        await asyncio.sleep(seconds)
        for link in links:
            link.cut = False

    async def _forget(self) -> None:
        if self._ground.queue.entries:
            return  # what PostgreSQL could not take is there and nowhere else: losing that as well is not promised
        self._trace.fault("redis forgets everything")
        self._ground.places.clear()
        for box in self._ground.boxes.values():
            box.words.clear()

    async def _lease_runs_out(self) -> None:
        places = list(self._ground.places.values())
        if places:
            self._chance.choice(places).until = 0.0
            self._trace.fault("a lease runs out")

    async def _hints_lost(self) -> None:
        seconds = self._chance.uniform(0.5, 10.0)
        self._ground.hints_lost = self._chance.choice((0.1, 0.5, 1.0))
        self._trace.fault("hints are lost", f"{self._ground.hints_lost} for {seconds:.1f} s")
        await asyncio.sleep(seconds)
        self._ground.hints_lost = 0.0

    # --- outside -----------------------------------------------------------------------------------------------------

    async def _provider_away(self) -> None:
        mood, seconds = self._chance.choice(MOODS), self._chance.uniform(1.0, 20.0)
        self._trace.fault(f"provider {mood}", f"{seconds:.1f} s")
        self._provider.mood = mood
        await asyncio.sleep(seconds)
        self._provider.mood = "fine"

    async def _model_away(self) -> None:
        hanging, seconds = self._chance.happens(0.3), self._chance.uniform(1.0, 20.0)
        self._trace.fault("model away", f"{seconds:.1f} s")
        living = [replica for replica in self._population.replicas if replica.process.alive]
        for replica in living:
            replica.model.hanging, replica.model.failing = hanging, 0.7
        await asyncio.sleep(seconds)
        for replica in living:
            replica.model.hanging, replica.model.failing = False, 0.0
