"""Customers and people at the desk: what they do comes from the seed, and what they hear is written down.

A customer's message goes to the provider, which posts it to one replica after another until one says 200, and now and
then once more, up to minutes later. A person at the desk repeats a request under the same key until they know.
"""

import asyncio
from collections.abc import Callable, Sequence

from bot.core.events import AgentAssigned, AgentReplied, ConversationResolved, EscalationRequested, ReturnedToBot
from bot.core.ids import ConversationId
from bot.core.messages import Text
from bot.ports.failures import Unavailable
from bot.records import Deed
from tests.runtime.memory.tables import Tables
from tests.runtime.replica import NUMBER
from tests.simulation.chance import Chance
from tests.simulation.clock import EPOCH
from tests.simulation.flows import WORDS
from tests.simulation.history import Act, History, Post
from tests.simulation.loop import SimulatedLoop
from tests.simulation.replica import Broken, Replica
from tests.simulation.trace import Trace

PATIENCE = 6.0
"""Seconds the provider waits for an answer to a webhook, and a browser for one of the desk."""
PAUSE_MOST = 5.0
"""Seconds between two tries at the most."""
KEY_USED = "this key was used before"
"""The desk's answer when a deed is in the journal already: repeating would tell no more."""
TALK = ("order", "42", "More", "Done", "ask", "what is this", "person", "menu", "stop", "start", "agent", "hello")
"""What talkative customers say beside echoes."""


class Courier:
    """Brings webhooks to the service. `choose` is the load balancer."""

    def __init__(self, loop: SimulatedLoop, chance: Chance, trace: Trace, choose: Callable[[], Replica | None]) -> None:
        self._loop, self._chance, self._trace, self._choose = loop, chance, trace, choose
        self.under_way = 0
        self.repeating = 0.0
        """Share of the webhooks that come again although they were taken."""
        self.late = 30.0
        """Seconds after which they do, on average."""

    def post(self, body: object, taken: Callable[[], None] = lambda: None) -> None:
        """Deliver `body`, however long it takes; `taken` hears of the first 200."""
        self._loop.begin(self._loop.outside, self._deliver(body, taken), "webhook")

    async def _deliver(self, body: object, taken: Callable[[], None]) -> None:
        self.under_way += 1
        await self._until_taken(body)
        taken()
        while self._chance.happens(self.repeating):
            self._trace.note("webhook again")
            await asyncio.sleep(self._chance.soon(self.late))
            await self._until_taken(body)
        self.under_way -= 1

    async def _until_taken(self, body: object) -> None:
        pause = 0.2
        while await self._try(body) != 200:
            await asyncio.sleep(pause * (0.5 + self._chance.random()))
            pause = min(PAUSE_MOST, pause * 2)

    async def _try(self, body: object) -> int:
        replica = self._choose()
        if replica is None:
            return 0
        try:
            status = await replica.ask(lambda: replica.take_webhook(body), patience=PATIENCE)
        except Broken:
            self._trace.note("webhook unanswered", replica.name)
            return 0
        if status != 200:
            self._trace.note(f"webhook {status}", replica.name)
        return status


class Customer:
    """Writes one message after another. `identities`: which they may write under."""

    def __init__(
        self,
        loop: SimulatedLoop,
        chance: Chance,
        trace: Trace,
        history: History,
        courier: Courier,
        *,
        identities: Sequence[tuple[str, str]],
        talkative: bool,
    ) -> None:
        self._loop, self._chance, self._trace = loop, chance, trace
        self._history, self._courier = history, courier
        self._identities = identities
        self._talkative = talkative
        self._said = 0

    async def live(self, messages: int, pause: float) -> None:
        """Write `messages`, with `pause` seconds between two on average; some wait until the one before was taken."""
        for _ in range(messages):
            taken = self._write(self._words())
            if self._chance.happens(0.5):
                await taken.wait()
            if not self._chance.happens(0.3):  # else: the next one at once
                await asyncio.sleep(self._chance.soon(pause))

    def _words(self) -> str:
        self._said += 1
        if self._talkative and self._chance.happens(0.6):
            word = self._chance.choice(TALK)
            return f"{word} {self._said}" if word in {"order", "ask", "what is this", "person"} else word
        return f"{self._chance.choice(tuple(WORDS))} {self._said}"

    def _write(self, text: str) -> asyncio.Event:
        phone, user_id = self._chance.choice(self._identities)
        wamid = f"wamid.in.{len(self._history.posts) + 1}"
        post = Post(wamid=wamid, phone=phone, user_id=user_id, text=text, sent=self._loop.time())
        self._history.posts.append(post)
        self._trace.note("customer writes", f"{phone or user_id} {text!r} {wamid}")
        taken = asyncio.Event()

        def acknowledged() -> None:
            post.acked = self._loop.time()
            self._trace.note("acknowledged", wamid)
            taken.set()

        self._courier.post(self._body(post), acknowledged)
        return taken

    def _body(self, post: Post) -> dict[str, object]:
        return {
            "messageId": post.wamid,
            "from": post.phone,
            "user_id": post.user_id,
            "to": NUMBER,
            "type": "text",
            "text": post.text,
            "timestamp": int(EPOCH + post.sent),
        }


class Desk:
    """A few people who take conversations over, answer them, and give them back."""

    def __init__(
        self,
        loop: SimulatedLoop,
        chance: Chance,
        trace: Trace,
        history: History,
        tables: Tables,
        choose: Callable[[], Replica | None],
    ) -> None:
        self._loop, self._chance, self._trace = loop, chance, trace
        self._history, self._tables, self._choose = history, tables, choose
        self.under_way = 0

    async def work(self, deeds: int, pause: float) -> None:
        """Do `deeds` things to conversations that are open, some of them at the same time."""
        for _ in range(deeds):
            await asyncio.sleep(self._chance.soon(pause))
            open_ones = self.open_ones()
            if open_ones:
                self._loop.begin(self._loop.outside, self._act(*self._choice_of(open_ones)), "deed")

    def open_ones(self, *statuses: str) -> list[ConversationId]:
        """What the desk's list shows: conversations that are not completed, in one of `statuses` if any are named."""
        rows = self._tables.conversations.values()
        return [row.id for row in rows if row.completed_at is None and (not statuses or row.status in statuses)]

    async def close_held(self) -> None:
        """At the end of the day: what a person holds is given back to the bot."""
        for conversation in self.open_ones("queue", "agent"):
            await self._act(conversation, ReturnedToBot(by="agent 0"), "")

    def _choice_of(self, open_ones: Sequence[ConversationId]) -> tuple[ConversationId, Deed, str]:
        conversation = self._chance.choice(open_ones)
        agent = f"agent {self._chance.randint(1, 2)}"
        text = f"desk {len(self._history.acts) + 1}"
        deeds: tuple[Deed, ...] = (
            AgentReplied(agent=agent, content=Text(text=text)),
            AgentAssigned(agent=agent),
            EscalationRequested(by=agent, reason="look"),
            ConversationResolved(by=agent),
            ReturnedToBot(by=agent),
            ReturnedToBot(by=agent),
        )
        deed = self._chance.choice(deeds)
        return conversation, deed, text if isinstance(deed, AgentReplied) else ""

    async def _act(self, conversation: ConversationId, deed: Deed, text: str) -> None:
        self.under_way += 1
        act = Act(key=f"key {len(self._history.acts) + 1}", conversation=conversation, deed=deed, text=text)
        self._history.acts.append(act)
        self._trace.note("deed", f"{type(deed).__name__} {conversation} {act.key}")
        while not await self._try(act):  # noqa: ASYNC110 - people look again now and then
            await asyncio.sleep(self._chance.soon(1.0))
        self._trace.note(f"deed {act.status}", act.key)
        self.under_way -= 1

    async def _try(self, act: Act) -> bool:
        """Ask once; whether all is known that can be known."""
        replica = self._choose()
        if replica is None:
            return False
        desk, conversation = replica.engine.desk, ConversationId(act.conversation)
        try:
            result = await replica.ask(lambda: desk.act(conversation, act.deed, key=act.key), patience=PATIENCE)
        except (Broken, Unavailable):
            return False
        act.status = result.status
        return result.status != "pending" or result.reason == KEY_USED
