"""The provider and the models in memory: they take everything, or what a test tells them to answer."""

import asyncio
from collections import deque

import msgspec

from bot.core.effects import AskModel
from bot.core.events import ModelAnswered, ModelFailed, ModelUse
from bot.core.messages import Outbound, spoken
from bot.wire.msg91.outcomes import Accepted, Deferred, Rejected, SendOutcome

LOST = Deferred(reason="no answer", code=0, retry_after=None, scope="gateway", uncertain=True)
BUSY = Deferred(reason="busy", code=0, retry_after=None, scope="message", uncertain=False)
DOWN = Deferred(reason="down", code=0, retry_after=None, scope="gateway", uncertain=False)
REFUSED = Rejected(reason="no such number", code=131026, alert=False, opt_out=False)


class Sent(msgspec.Struct, frozen=True):
    """One call that reached the provider."""

    reference: str
    recipient: str
    number: str
    content: Outbound
    at: float = 0.0

    @property
    def text(self) -> str:
        return spoken(self.content)


class MemoryChannel:
    """`outcomes` are answered first, one for each call; an exception among them is raised. `gate` holds every call."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.outcomes: deque[SendOutcome | Exception] = deque()
        self.gate: asyncio.Event | None = None
        self.under_way = 0
        self.most_under_way = 0

    async def send(self, content: Outbound, *, number: str, recipient: str, reference: str) -> SendOutcome:
        self.sent.append(Sent(reference, recipient, number, content))
        place = len(self.sent)
        outcome = self.outcomes.popleft() if self.outcomes else None
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(0)
            if self.gate is not None:
                await self.gate.wait()
        finally:
            self.under_way -= 1
        if isinstance(outcome, Exception):
            raise outcome
        return outcome or Accepted(provider_id=f"wamid.{place}", request_id=f"request-{place}")

    @property
    def texts(self) -> list[str]:
        return [sent.text for sent in self.sent]


class MemoryModel:
    """Answers `answer`, or fails; `gate` holds every question."""

    def __init__(self) -> None:
        self.asked: list[AskModel] = []
        self.answers: deque[str | ModelFailed | Exception] = deque()
        self.gate: asyncio.Event | None = None
        self.cost = 0.01

    async def answer(self, question: AskModel, *, customer_hash: str) -> ModelAnswered | ModelFailed:
        self.asked.append(question)
        answer = self.answers.popleft() if self.answers else f"Answer to: {question.turns[-1].text}"
        await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, ModelFailed):
            return msgspec.structs.replace(answer, ask_id=question.id)
        use = ModelUse(model="m", prompt_tokens=10, completion_tokens=5, cost_usd=self.cost, attempts=1, seconds=0.5)
        return ModelAnswered(ask_id=question.id, text=answer, use=use)
