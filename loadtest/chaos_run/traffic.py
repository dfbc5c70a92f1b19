"""Customers who write, and the provider's side of the webhook: any replica, again until it is acknowledged.

A customer's next message goes out when the one before was acknowledged, not when it was answered. Some follow at once,
some come twice at the same moment, some come again minutes later. The texts alone tell loss, doubles and order: message
n of a customer is `hello n` or `word n`, and the flow `loadtest/flows/echo.yaml` answers each with its own words.
"""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from typing import Final, Literal

import aiohttp
import msgspec
import orjson
from aiohttp import web

WEBHOOK_SECONDS: Final = 4.0
"""Seconds the provider waits for an answer to its webhook."""
FIRST_PAUSE: Final = 0.02
MOST_PAUSE: Final = 1.0
"""Seconds between two attempts at first, and at most; they double."""
AT_ONCE: Final = 0.15
"""Share of messages that follow the one before as soon as that is acknowledged."""
TWICE: Final = 0.03
"""Share of webhooks that are delivered twice at the same moment, to two replicas."""
AGAIN: Final = 0.03
"""Share of messages after which an old one of the same customer is delivered once more."""
FORWARD_ATTEMPTS: Final = 3

Outcome = Literal["accepted", "refused connection", "broken connection", "no answer in time", "503", "another answer"]


class Asked(msgspec.Struct):
    """One message of a customer. Unix seconds; `acked` 0: never. `attempts`: webhooks until then."""

    phone: str
    number: int
    tried: float
    acked: float = 0.0
    attempts: int = 0

    @property
    def text(self) -> str:
        return f"{'word' if self.number % 2 else 'hello'} {self.number}"


class Balancer:
    """Gives each webhook to any replica, and what has to be repeated to another: there is no affinity."""

    def __init__(self, session: aiohttp.ClientSession, urls: Sequence[str], secret: str) -> None:
        self._session = session
        self._urls = urls
        self._chance = random.Random(len(urls))
        self._headers = {"X-Webhook-Secret": secret, "Content-Type": "application/json"}
        self._timeout = aiohttp.ClientTimeout(WEBHOOK_SECONDS)
        self.outcomes: Counter[Outcome] = Counter()
        self.odd: list[str] = []
        """Answers that no webhook of this run should have had."""

    def places(self) -> Iterator[int]:
        """Replicas to try one after the other, beginning with any of them."""
        return itertools.count(self._chance.randrange(len(self._urls)))

    async def deliver(self, body: bytes, place: int) -> bool:
        """One attempt; whether it was acknowledged."""
        outcome = await self._outcome(body, place)
        self.outcomes[outcome] += 1
        return outcome == "accepted"

    async def forward(self, body: bytes) -> bool:
        """A delivery report: not counted among the attempts."""
        for place in itertools.islice(self.places(), FORWARD_ATTEMPTS):
            if await self._outcome(body, place) == "accepted":
                return True
        return False

    async def _outcome(self, body: bytes, place: int) -> Outcome:
        url = f"{self._urls[place % len(self._urls)]}/webhook/msg91"
        try:
            async with self._session.post(url, data=body, headers=self._headers, timeout=self._timeout) as answer:
                return self._judged(answer.status, await answer.text())
        except aiohttp.ClientConnectorError:
            return "refused connection"
        except TimeoutError:
            return "no answer in time"
        except (aiohttp.ClientError, OSError):
            return "broken connection"

    def _judged(self, status: int, text: str) -> Outcome:
        if status == 503:
            return "503"
        if status == 200 and '"quarantined":0' in text:
            return "accepted"
        self.odd.append(f"{status} {text[:200]}")
        return "another answer"


def forwarder(balancer: Balancer) -> web.Application:
    """The one address the provider knows for delivery reports."""

    async def receive(request: web.Request) -> web.Response:
        taken = await balancer.forward(await request.read())
        return web.Response(status=200 if taken else 503)

    async def ping(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_post("/webhook/msg91", receive)
    app.router.add_get("/webhook/msg91", ping)
    return app


class Crowd:
    """Customers who write at `rate` messages a second together."""

    def __init__(self, balancer: Balancer, *, customers: int, rate: float, seed: int) -> None:
        self.asked: list[Asked] = []
        """Every message, in the order in which they were first tried; of one customer that is the order of writing."""
        self._balancer = balancer
        self._chance = random.Random(f"{seed} traffic")
        self._phones = [f"9198{number:08d}" for number in range(customers)]
        self._think = customers / rate / (1 - AT_ONCE)
        self._ending = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.repeated = 0
        """Webhooks delivered once more although they had been acknowledged."""

    def start(self) -> None:
        for phone in self._phones:
            self._spawn(self._live(phone))

    def end(self) -> None:
        """Nobody begins another message."""
        self._ending.set()

    async def ended(self, seconds: float) -> None:
        """Return when everything that was begun is acknowledged, or after `seconds`."""
        end = time.monotonic() + seconds
        while self._tasks and time.monotonic() < end:
            await asyncio.wait(set(self._tasks), timeout=end - time.monotonic())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _live(self, phone: str) -> None:
        said: list[bytes] = []
        await self._rest(self._chance.uniform(0, self._think))
        while not self._ending.is_set():
            one = Asked(phone, len(said), time.time())
            self.asked.append(one)
            said.append(body_of(one))
            await self._say(one, said[-1])
            if self._chance.random() < AGAIN:
                self._spawn(self._again(self._chance.choice(said)))
            if self._chance.random() >= AT_ONCE:
                await self._rest(self._chance.uniform(0.3, 1.7) * self._think)

    async def _say(self, one: Asked, body: bytes) -> None:
        if self._chance.random() < TWICE:
            self._spawn(self._again(body))
        pause = FIRST_PAUSE
        for place in self._balancer.places():
            one.attempts += 1
            if await self._balancer.deliver(body, place):
                one.acked = time.time()
                return
            await asyncio.sleep(pause * self._chance.uniform(0.5, 1.0))
            pause = min(pause * 2, MOST_PAUSE)

    async def _again(self, body: bytes) -> None:
        """Delivered once more; whether anybody takes it does not matter."""
        self.repeated += 1
        await self._balancer.deliver(body, next(self._balancer.places()))

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        except TimeoutError:
            return

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def body_of(one: Asked) -> bytes:
    """The webhook of a message: the same bytes however often it is delivered."""
    return orjson.dumps(
        {
            "from": one.phone,
            "text": one.text,
            "messageId": f"chaos-{one.phone}-{one.number}",
            "timestamp": str(int(one.tried)),
            "type": "text",
        }
    )
