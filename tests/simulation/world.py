"""One run: a population of replicas, people, fate, and time until all is at rest. Everything follows from the seed."""

import asyncio
import functools
import gc
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from bot import metrics
from bot.ports.failures import Unavailable
from tests.runtime.replica import Settings
from tests.simulation.chance import Chance, stream
from tests.simulation.faults import Fate
from tests.simulation.flows import support_book
from tests.simulation.history import History
from tests.simulation.loop import SimulatedLoop, Stuck
from tests.simulation.people import Courier, Customer, Desk
from tests.simulation.provider import Manners, Provider
from tests.simulation.replica import Ground, Replica
from tests.simulation.rest import restless
from tests.simulation.trace import Trace

REST_WITHIN = 300.0
"""Seconds after the last fault within which all must be at rest."""
STOP_COSTS = 1.0
"""Seconds that the beginning or the end of a stop may cost whoever waits for an answer."""
LOOK_EVERY = 2.0
RESTARTED_AFTER = 3.0
"""Seconds, on average, until a replica that ended is replaced."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How large a run is; drawn from its seed."""

    replicas: int
    customers: int
    messages: int
    pause: float
    faults_every: float
    settings: Settings
    brisk: bool
    """Nothing goes wrong but that replicas end: then answers have to come in time."""


def planned(chance: Chance) -> Plan:
    lease = chance.choice((4.0, 6.0, 10.0))
    if chance.happens(0.25):
        return Plan(
            replicas=chance.choice((2, 3)),
            customers=chance.randint(2, 6),
            messages=chance.randint(4, 14),
            pause=3.0,
            faults_every=chance.choice((2.0, 6.0)),
            settings=Settings(lease=lease),
            brisk=True,
        )
    return Plan(
        replicas=chance.choice((2, 2, 3, 3, 4)),
        customers=chance.randint(2, 6),
        messages=chance.randint(4, 14),
        pause=chance.choice((0.05, 0.5, 3.0)),
        faults_every=chance.choice((0.5, 2.0, 6.0)),
        settings=Settings(
            lease=lease,
            idle=chance.choice((2.0, 10.0)),
            mailbox=chance.choice((2, 4, 64)),
            batch=chance.choice((3, 256)),
            intake=chance.choice((5, 1000, 1000)),
            spool=chance.choice((3, 1000, 1000)),
            parcels=chance.choice((4, 1000, 1000)),
            delivery_workers=chance.choice((1, 2, 4)),
            burst=chance.choice((3, 45)),
            interval=0.5,
            give_up=chance.choice((60.0, 3600.0, 3600.0)),
        ),
        brisk=False,
    )


class Simulation:
    """The population, and what came of the run."""

    def __init__(self, seed: int, *, printing: bool = False) -> None:
        self.seed = seed
        self.chance: Callable[[str], Chance] = functools.cache(lambda purpose: stream(seed, purpose))
        self.loop = SimulatedLoop(self.chance("loop"))
        self.trace = Trace(self.loop.time, printing=printing)
        self.history = History()
        self.ground = Ground(self.loop, self.chance, self.trace, self.history)
        self.plan = planned(self.chance("plan"))
        draw = self.chance("plan")
        self.book = support_book(
            quiet_moment=draw.choice((0.0, 1.0)),
            session_timeout=draw.choice((8.0, 3600.0)),
            conversation_timeout=draw.choice((20.0, 86400.0)),
        )
        self.replicas: list[Replica] = []
        self.past: list[Replica] = []
        self.restless: list[str] = []
        self._births = 0
        self.courier = Courier(self.loop, self.chance("courier"), self.trace, self.choose)
        self.provider = Provider(self.loop, self.chance("provider"), self.trace, self.history, self.courier.post)
        self.desk = Desk(self.loop, self.chance("desk"), self.trace, self.history, self.ground.tables, self.choose)
        self.fate = Fate(
            self.ground, self.chance("fate"), self.trace, self.provider, self, lease=self.plan.settings.lease
        )
        if self.plan.brisk:
            self.fate.only_ends()

    # --- the population ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Another replica, under a name of its own."""
        self._births += 1
        replica = Replica(self.ground, f"r{self._births}", self.plan.settings, self.book, self.provider)
        replica.clock.skew = self.chance("plan").uniform(-0.2, 0.2)
        self.replicas.append(replica)
        replica.process.at_death.append(lambda: self._buried(replica))
        self.trace.note("start", replica.name)
        self.loop.begin(self.loop.outside, self._begin(replica), "start")

    async def _begin(self, replica: Replica) -> None:
        try:
            await self.loop.spawn(replica.process, replica.start(), f"start {replica.name}")
        except Unavailable:
            self.trace.note("start failed", replica.name)
            self.loop.kill(replica.process)

    def crash(self, replica: Replica) -> None:
        self.loop.kill(replica.process)

    async def stop(self, replica: Replica) -> None:
        self.trace.fault("stop", replica.name)
        replica.stopping = True
        self._note_end(STOP_COSTS)
        await self.loop.spawn(replica.process, replica.stop(), f"stop {replica.name}")
        self.trace.note("stopped", replica.name)
        self.loop.kill(replica.process)

    def _buried(self, replica: Replica) -> None:
        """The end of a process, however it came; another takes its place."""
        (self.trace.note if replica.stopping else self.trace.fault)(
            "end" if replica.stopping else "crash", f"{replica.name} after {replica.process.steps} steps"
        )
        self.replicas.remove(replica)
        self.past.append(replica)
        self._note_end(STOP_COSTS if replica.stopping else self.plan.settings.lease)
        if len([one for one in self.replicas if not one.stopping]) < self.plan.replicas:
            delay = self.chance("fate").soon(RESTARTED_AFTER)
            self.loop.call_later(delay, self._replace, context=self.loop.outside.context)

    def _note_end(self, costs: float) -> None:
        self.history.ends.append((self.loop.time(), costs))
        if not any(one.serving and not one.stopping for one in self.replicas):
            self.history.unserved = True

    def _replace(self) -> None:
        if len([one for one in self.replicas if not one.stopping]) < self.plan.replicas:
            self.start()

    def choose(self) -> Replica | None:
        """As a load balancer does: any that is not known to be gone."""
        listed = [replica for replica in self.replicas if replica.serving or replica.stopping]
        if self.past and self.chance("balancer").happens(0.02):
            listed = self.past[-1:]
        return self.chance("balancer").choice(listed) if listed else None

    # --- the run -----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Live through it. What could not be is in `self.loop.problems` and `self.restless`."""
        collecting = gc.isenabled()
        gc.disable()
        listener = _Errors(self.loop.problems)
        logging.getLogger("bot").addHandler(listener)
        logging.getLogger("bot").propagate = False
        uncertain = _uncertain_sends()
        try:
            self.loop.run_until_complete(self._live())
        except Stuck as stuck:
            self.loop.problems.append(str(stuck))
        finally:
            self.loop.dispose()
            logging.getLogger("bot").removeHandler(listener)
            logging.getLogger("bot").propagate = True
            self.history.uncertain = _uncertain_sends() - uncertain
            if collecting:
                gc.enable()

    async def _live(self) -> None:
        plan, draw = self.plan, self.chance("plan")
        self.provider.manners = Manners() if plan.brisk else self.fate.manners()
        self.courier.repeating = draw.choice((0.0, 0.05, 0.3))
        self.courier.late = draw.choice((1.0, 10.0))
        for _ in range(plan.replicas):
            self.start()
        await asyncio.sleep(0.1)
        lives = [self._outside(one.live(plan.messages, plan.pause), "customer") for one in self._customers()]
        lives.append(self._outside(self.desk.work(draw.choice((0, 5)), plan.pause * 2), "desk"))
        ruling = self._outside(self.fate.rule(plan.faults_every), "fate")
        await asyncio.gather(*lives)
        ruling.cancel()
        self.fate.heal()
        await self._rest()

    async def _rest(self) -> None:
        """Until nothing is left to do, nor for a lease longer."""
        end = self.loop.time() + REST_WITHIN
        quiet_since = None
        while self.loop.time() < end:
            await asyncio.sleep(LOOK_EVERY)
            self.restless = restless(self)
            if self.restless:
                quiet_since = None
            elif self.desk.open_ones("queue", "agent"):
                await self.desk.close_held()
            elif quiet_since is None:
                quiet_since = self.loop.time()
            elif self.loop.time() - quiet_since > self.plan.settings.lease + LOOK_EVERY:
                return

    def _customers(self) -> list[Customer]:
        draw = self.chance("plan")
        return [
            Customer(
                self.loop,
                self.chance(f"customer {number}"),
                self.trace,
                self.history,
                self.courier,
                identities=self._identities(number),
                talkative=draw.happens(0.4),
            )
            for number in range(self.plan.customers)
        ]

    def _identities(self, number: int) -> list[tuple[str, str]]:
        """A few customers write under two identities, and at times under both at once: then they are merged."""
        phone, user_id = f"9198765432{number:02}", f"IN.{number}"
        if self.chance("plan").happens(0.25):
            return [(phone, ""), ("", user_id), (phone, user_id)]
        return [(phone, "")]

    def _outside(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        return self.loop.spawn(self.loop.outside, work, name)


class _Errors(logging.Handler):
    """What the service logs with a traceback is a bug: nothing here raises what the ports do not."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._problems = problems

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and not isinstance(record.exc_info[1], Unavailable | None):
            self._problems.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


def _uncertain_sends() -> float:
    return float(metrics.uncertain_sends_total._value.get())
