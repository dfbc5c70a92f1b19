"""A thousand customers and more who talk like people, against a running service whose provider is the sandbox.

`locust -f loadtest/locustfile.py --headless -u 1000 -r 50 -t 5m --host http://127.0.0.1:8000 --sandbox ...`. At the end
everything that was said is held against what the provider took, a report is printed, and a broken promise ends it with
1. The service must run with `FLOWS_DIR=loadtest/people_run/flows`. How to read the report: `loadtest/README.md`.
"""

import sys
import time
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.queue import Queue
from locust import User, constant, events, task

if str(Path(__file__).resolve().parent.parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # locust adds only the file's own folder

from loadtest.people_run.count import Verdict, judged
from loadtest.people_run.crowd import Crowd, Place, Unreachable
from loadtest.people_run.history import compared
from loadtest.people_run.person import Agent, Person
from loadtest.people_run.report import document, figures, text, write
from loadtest.people_run.said import Story
from loadtest.people_run.talk import LEAVING

AGENTS: Final = ("Meera", "Ravi", "Farah", "John", "Lena", "Omar", "Priya", "Tom")
"""At the desk, for every five hundred customers."""
CUSTOMERS_PER_DESK: Final = 500
DESK_SECONDS: Final = 30.0
"""For how long an agent may end what they are doing."""
SURPLUS_SECONDS: Final = 1.0
"""For how long, when all that is wanted has come, something more may come."""


class Run:
    """The run of this process; there is one at a time."""

    crowd: Crowd
    queue: "Queue[Person]"
    settled: float
    """When all customers were there; until then, when the run began. Unix seconds, as all others here."""
    spent: float
    """Seconds of processor time that this process had used by then."""
    ended: float
    busy: float
    """Share of a processor that it used in between."""
    agents: list[Any]
    verdict: Verdict | None = None


RUN: Final = Run()


class Customer(User):
    """A seat for one customer after the other: who leaves makes room for somebody new."""

    wait_time = constant(0)
    born = 0
    person: Person | None = None

    @task
    def live(self) -> None:
        """One turn."""
        crowd = RUN.crowd
        if crowd.ending.is_set():
            gevent.sleep(1.0)
            return
        if self.person is None:
            Customer.born += 1
            self.person = Person(crowd, RUN.queue, f"{crowd.place.seed} customer {Customer.born}")
        if not self.person.live():
            self.person = None


def arguments(parser: Any) -> None:
    """What locust does not know by itself; each may come from the environment."""
    add = parser.add_argument
    add("--sandbox", env_var="LOADTEST_SANDBOX", default="http://127.0.0.1:9100", help="where the sandbox is")
    add("--webhook-secret", env_var="MSG91_WEBHOOK_SECRET", default="", is_secret=True, help="signs the webhooks")
    add("--admin-token", env_var="ADMIN_TOKEN", default="", is_secret=True, help="for the agents and the transcripts")
    add("--think", env_var="LOADTEST_THINK", type=float, default=15.0, help="median seconds between two turns")
    add("--session-timeout", env_var="SESSION_TIMEOUT", type=float, default=3600.0, help="the service's, in seconds")
    add("--patience", env_var="LOADTEST_PATIENCE", type=float, default=60.0, help="seconds a customer waits")
    add("--leaving", env_var="LOADTEST_LEAVING", type=float, default=LEAVING, help="share of turns that are the last")
    add("--transcripts", env_var="LOADTEST_TRANSCRIPTS", type=int, default=1000, help="customers compared over REST")
    add("--rest", env_var="LOADTEST_REST", type=float, default=60.0, help="seconds until what has not come is lost")
    add("--seed", env_var="LOADTEST_SEED", type=int, default=7, help="of what the customers say")
    add("--report", env_var="LOADTEST_REPORT", default="", help="a file for the figures, as JSON")


def begin(environment: Any, **_: Any) -> None:
    """Follow the provider, and seat the agents."""
    options = environment.parsed_options
    environment.stop_timeout = options.patience
    place = Place(
        service=environment.host,
        sandbox=options.sandbox,
        secret=options.webhook_secret,
        token=options.admin_token,
        think=options.think,
        session=options.session_timeout,
        patience=options.patience,
        leaving=options.leaving,
        seed=options.seed,
    )

    def fire(kind: str, name: str, seconds: float, well: bool) -> None:
        problem = None if well else RuntimeError(name)
        environment.events.request.fire(
            request_type=kind, name=name, response_time=seconds * 1000, response_length=0, exception=problem, context={}
        )

    RUN.crowd, RUN.queue, RUN.agents, RUN.verdict = Crowd(place, fire), Queue(), [], None
    settle()
    try:
        RUN.crowd.begin()
    except Unreachable as problem:
        RUN.crowd.troubles.append(str(problem))
        gevent.spawn(environment.runner.quit)
        return
    desks = -(-(options.num_users or 1) // CUSTOMERS_PER_DESK)
    names = [f"{name} {desk}" for desk in range(desks) for name in AGENTS]
    RUN.agents = [gevent.spawn(Agent(RUN.crowd, RUN.queue, name).work) for name in names]


def settle(**_: Any) -> None:
    """From now on rates and times count."""
    RUN.settled, RUN.spent = time.time(), time.process_time()


def end(**_: Any) -> None:
    """Nobody begins another turn."""
    RUN.ended = time.time()
    RUN.busy = (time.process_time() - RUN.spent) / (RUN.ended - RUN.settled)
    RUN.crowd.ending.set()


def judge(environment: Any, **_: Any) -> None:
    """Let everything come to rest, count, and report."""
    crowd, options = RUN.crowd, environment.parsed_options
    gevent.joinall(RUN.agents, timeout=DESK_SECONDS)
    rest(crowd, options.rest)
    count, differences = compared(crowd, options.transcripts)
    story = Story(
        said=crowd.said,
        heard=crowd.heard,
        seconds=RUN.ended - RUN.settled,
        settled=RUN.settled,
        late=[late for moment, late in crowd.late if RUN.settled <= moment <= RUN.ended],
        busy=RUN.busy,
        uncertain=crowd.counted(),
        repeated=crowd.repeated,
        refused=crowd.refused,
        compared=count,
        differences=differences,
        troubles=tuple(crowd.troubles),
    )
    RUN.verdict = judged(story)
    found = figures(story, RUN.verdict)
    print(f"\n{text(found, RUN.verdict)}", flush=True)
    write(options.report, document(found, RUN.verdict))


def rest(crowd: Crowd, seconds: float) -> None:
    """Return when everything that is wanted has come, or after `seconds`, and a moment later."""
    end = time.time() + seconds
    while time.time() < end and judged(Story(said=crowd.said, heard=crowd.heard, seconds=seconds)).unanswered:
        gevent.sleep(SURPLUS_SECONDS)
    gevent.sleep(SURPLUS_SECONDS)


def leave(environment: Any, **_: Any) -> None:
    """0 when every promise was kept."""
    environment.process_exit_code = 0 if RUN.verdict is not None and not RUN.verdict.broken else 1


HOOKS: Final[Any] = events
HOOKS.init_command_line_parser.add_listener(arguments)
HOOKS.test_start.add_listener(begin)
HOOKS.spawning_complete.add_listener(settle)
HOOKS.test_stopping.add_listener(end)
HOOKS.test_stop.add_listener(judge)
HOOKS.quitting.add_listener(leave)
