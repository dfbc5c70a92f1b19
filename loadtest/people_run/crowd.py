"""The crowd under locust: connections like the provider's, customers who live on them, agents, and who follows it all.

A customer is a greenlet without a connection of their own: as at the real provider, all webhooks come over a few kept
connections, and one greenlet follows what the provider's stand-in takes and wakes who waits for it.
"""

import random
import time
from collections.abc import Callable
from typing import Any, Final

import gevent
import msgspec
import orjson
from gevent.event import Event
from geventhttpclient import HTTPClient

from loadtest.chaos_run.replicas import sums
from loadtest.people_run.said import LIST, Heard, Said
from loadtest.people_run.webhook import body_of, identity_of, signed

CONNECTIONS: Final = 64
"""To the service's webhook; each waits for its answer before it carries the next."""
WEBHOOK_SECONDS: Final = 8.0
"""Seconds the provider waits for an answer to its webhook."""
FIRST_PAUSE: Final = 0.2
MOST_PAUSE: Final = 5.0
"""Seconds between two attempts at first, and at most; they double."""
ATTEMPTS_SECONDS: Final = 120.0
"""For how long a webhook is repeated until it is acknowledged."""
FOLLOW_SECONDS: Final = 0.1
"""Between two looks at what the provider took."""
TWICE: Final = 0.02
"""Share of webhooks that are delivered twice."""


class Unreachable(Exception):
    """The sandbox or the service did not answer when the run began; the message names the address."""


Fire = Callable[[str, str, float, bool], None]
"""Tells locust of a finished request: type, name, seconds, whether it went well."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is. `think`: median seconds between two turns. `session`: the service's `SESSION_TIMEOUT`.

    `patience`: seconds a customer waits for an answer. `leaving`: share of turns without a topic that are the last.
    """

    service: str
    sandbox: str
    secret: str
    token: str
    think: float
    session: float
    patience: float
    leaving: float
    seed: int


class Crowd:
    """What all customers and agents share, and the record of the run."""

    def __init__(self, place: Place, fire: Fire) -> None:
        self.place = place
        self.said: list[Said] = []
        self.heard: list[Heard] = []
        self.troubles: list[str] = []
        self.repeated = self.refused = self.people = 0
        self.late: list[tuple[float, float]] = []
        """When we meant to go on, and how many seconds later we did."""
        self.ending = Event()
        self.chance = random.Random(f"{place.seed} crowd")
        self._fire = fire
        self._ears: dict[str, Callable[[Heard], None]] = {}
        self._first = int(time.time()) % 1000 * 1_000_000
        self._service = HTTPClient.from_url(
            place.service, concurrency=CONNECTIONS, connection_timeout=WEBHOOK_SECONDS, network_timeout=WEBHOOK_SECONDS
        )
        self._sandbox = HTTPClient.from_url(place.sandbox, concurrency=4, network_timeout=60.0)
        self._last = ""
        self._counted = 0

    def begin(self) -> None:
        """Look where the provider and the counters stand, and follow from there on. Raises `Unreachable`."""
        before = self._seen()
        if before is None:
            raise Unreachable(f"{self.place.sandbox} does not answer as a sandbox does")
        uncertain = self._uncertain()
        if uncertain is None:
            raise Unreachable(f"{self.place.service}/metrics does not answer")
        self._last = before[-1].id if before else ""
        self._counted = uncertain
        gevent.spawn(self._follow)

    def clock(self) -> float:
        """Unix seconds, as the provider's stand-in counts them on the same machine."""
        return time.time()

    def newcomer(self, ear: Callable[[Heard], None]) -> str:
        """The phone of somebody new; `ear` is called with everything the provider takes for them."""
        self.people += 1
        phone = f"917{self._first + self.people:09d}"
        self._ears[phone] = ear
        return phone

    def forget(self, phone: str) -> None:
        """Nobody waits any more for what comes to this phone; it is recorded all the same."""
        self._ears.pop(phone, None)

    def deliver(self, said: Said, part: dict[str, Any]) -> bool:
        """Post the webhook of a message until it is acknowledged, as the provider does; whether it was."""
        self.said.append(said)
        body = body_of(said.phone, identity_of(said.phone, said.place), part)
        headers = signed(body, self.place.secret)
        said.sent = time.time()
        if self.chance.random() < TWICE:
            self.repeated += 1
            gevent.spawn(self._once, body, headers)
        try:
            return self._until_acknowledged(said, body, headers)
        except gevent.GreenletExit:
            said.abandoned = time.time() - said.sent < self.place.patience
            raise

    def _until_acknowledged(self, said: Said, body: bytes, headers: dict[str, str]) -> bool:
        pause = FIRST_PAUSE
        while time.time() - said.sent < ATTEMPTS_SECONDS:
            said.attempts += 1
            started = time.perf_counter()
            if self._once(body, headers):
                said.acked, said.ack_seconds = time.time(), time.perf_counter() - started
                return True
            self.refused += 1
            gevent.sleep(pause * self.chance.uniform(0.5, 1.0))
            pause = min(2 * pause, MOST_PAUSE)
        return False

    def _once(self, body: bytes, headers: dict[str, str]) -> bool:
        started = time.perf_counter()
        status, answer = self._call(self._service, "POST", "/webhook/msg91", body, headers)
        taken = status == 200 and b'"quarantined":0' in answer
        self._fire("webhook", str(status or "no answer"), time.perf_counter() - started, taken)
        if status not in {0, 200, 503} or (status == 200 and not taken):
            self.troubles.append(f"webhook: {status} {answer[:200]!r}")
        return taken

    def api(self, method: str, path: str, document: Any = None) -> Any:
        """A call of REST; None, and a trouble noted, when it was not answered with 2xx."""
        headers = {"Authorization": f"Bearer {self.place.token}", "Content-Type": "application/json"}
        body = b"" if document is None else orjson.dumps(document)
        started = time.perf_counter()
        status, answer = self._call(self._service, method, f"/api/v1{path}", body, headers)
        name = f"{method} {_pattern(path)}"
        self._fire("api", name, time.perf_counter() - started, 200 <= status < 300)
        if 200 <= status < 300:
            return orjson.loads(answer)
        self.troubles.append(f"{name}: {status} {answer[:200]!r}")
        return None

    def counted(self) -> int:
        """Uncertain sends that the service counted since `begin`; none when it does not tell."""
        return max(0, (self._uncertain() or 0) - self._counted)

    def pause(self, seconds: float) -> bool:
        """Wait; False when the run ended meanwhile."""
        return not self.ending.wait(seconds)

    def _follow(self) -> None:
        while True:
            due = self.clock() + FOLLOW_SECONDS
            gevent.sleep(FOLLOW_SECONDS)
            self.late.append((due, max(0.0, self.clock() - due)))
            for one in self._seen() or ():
                self._last = one.id
                self._take(one)

    def _take(self, one: Heard) -> None:
        if not one.to.startswith("917") or not self._first < int(one.to[3:]) <= self._first + self.people:
            return
        self.heard.append(one)
        if (ear := self._ears.get(one.to)) is not None:
            ear(one)

    def _seen(self) -> list[Heard] | None:
        """What the provider took since we looked last; None when it does not answer."""
        status, body = self._call(self._sandbox, "GET", f"/sandbox/messages?after={self._last}", b"", {})
        return list(LIST.decode(body)) if status == 200 else None

    def _uncertain(self) -> int | None:
        status, body = self._call(self._service, "GET", "/metrics", b"", {})
        return round(sums(body.decode()).get("bot_uncertain_sends_total", 0.0)) if status == 200 else None

    def _call(
        self, client: HTTPClient, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        """Status and body; status 0 when there was no answer."""
        try:
            answer = client.request(method, path, body=body, headers=headers)
            return int(answer.status_code), bytes(answer.read())
        except (OSError, ValueError, EOFError, ConnectionError) as problem:
            return 0, str(problem).encode()


def _pattern(path: str) -> str:
    """The path without ids and questions, as a name in locust's table."""
    parts = path.partition("?")[0].split("/")
    return "/".join("{id}" if len(part) == 36 else part for part in parts)
