"""The provider that carries messages, and the models: they answer late, lose answers, are down, refuse, and lie.

What the provider took is what reached the customer. It tells of each message by delivery reports, posted to any replica
until one says 200: out of order, more than once, before its answer, or against what it answered.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from bot.core.effects import AskModel
from bot.core.events import ModelAnswered, ModelFailed, ModelFailure, ModelUse
from bot.core.messages import Outbound
from bot.wire.msg91.outcomes import Accepted, Deferred, Rejected, SendOutcome
from tests.simulation.chance import Chance
from tests.simulation.history import Arrival, History
from tests.simulation.loop import OWNER, Process, SimulatedLoop
from tests.simulation.trace import Trace

Mood = Literal["fine", "refusing", "erring", "busy", "silent", "slow"]
"""`refusing`: no connection. `erring`: 5xx. `busy`: 429. `silent`: it may take a message, and never answers."""

SEND = "channel.send"
"""The name of the call that brings a message here."""
TIMEOUT = 4.0
"""Seconds the service waits for an answer to a send."""
MODEL_DEADLINE = 8.0
"""Seconds after which the chain of models gives up, as the real one does by itself."""
FAILURES: tuple[ModelFailure, ...] = ("unavailable", "timeout", "refused", "invalid", "account")
NO_CONNECTION = Deferred(reason="no connection", code=0, retry_after=None, scope="gateway", uncertain=False)
NO_ANSWER = Deferred(reason="connection lost", code=0, retry_after=None, scope="gateway", uncertain=True)
GATEWAY_ERROR = Deferred(reason="HTTP 502", code=0, retry_after=None, scope="gateway", uncertain=True)
SERVER_ERROR = Deferred(reason="try again", code=131000, retry_after=None, scope="gateway", uncertain=False)
TOO_FAST = Deferred(reason="rate limit", code=130429, retry_after=1.0, scope="number", uncertain=False)
PAIR_LIMIT = Deferred(reason="pair rate limit", code=131056, retry_after=None, scope="recipient", uncertain=False)
UNDELIVERABLE = Rejected(reason="Message undeliverable", code=131026, alert=False, opt_out=False)


class Manners(msgspec.Struct, kw_only=True):
    """How often, as shares of calls, the provider misbehaves while it is otherwise fine."""

    lost: float = 0.0
    """The answer is lost after the message was taken, or the call before it was."""
    refused: float = 0.0
    """Refused for good."""
    wait: float = 0.0
    """To be tried later: the pair rate, or a passing error."""
    lying: float = 0.0
    """It takes a message and says that it did not, or takes it and reports that it failed."""
    reporting: float = 1.0
    """Messages of which it tells by reports."""
    repeating: float = 0.0
    """Reports that come twice."""


class Provider:
    """One for all replicas. `post` brings a report to the service, and gives up never."""

    def __init__(
        self, loop: SimulatedLoop, chance: Chance, trace: Trace, history: History, post: Callable[[object], None]
    ) -> None:
        self._loop = loop
        self._chance = chance
        self._trace = trace
        self._history = history
        self._post = post
        self.mood: Mood = "fine"
        self.manners = Manners()
        self._numbers = 0

    async def send(self, content: Outbound, *, number: str, recipient: str, reference: str) -> SendOutcome:
        """As `bot.ports.outside.Channel`, from within a replica."""
        answer: asyncio.Future[SendOutcome] = self._loop.create_future()
        there = self._one_way()
        if self.mood == "refusing":
            self._settle(answer, there, NO_CONNECTION)
        elif self._chance.happens(self.manners.lost) and self._chance.happens(0.5):
            self._settle(answer, TIMEOUT, NO_ANSWER)
        else:
            self._settle(answer, TIMEOUT, NO_ANSWER, quietly=True)
            self._trace.detail(f"{OWNER.get().name} sends {reference}")
            process = OWNER.get()
            self._later(there, lambda: self._receive(process, content, recipient, reference, answer))
        return await answer

    # --- over there --------------------------------------------------------------------------------------------------

    def _receive(
        self,
        process: Process,
        content: Outbound,
        recipient: str,
        reference: str,
        answer: asyncio.Future[SendOutcome],
    ) -> None:
        process.struck(SEND)
        self._numbers += 1
        outcome, taken = self._verdict()
        if taken:
            lied = isinstance(outcome, Rejected) or (isinstance(outcome, Deferred) and not outcome.uncertain)
            self._take(content, recipient, reference, lied=lied)
        if outcome is None or self._chance.happens(self.manners.lost):
            self._trace.note("answer to a send lost", reference)
            return
        if isinstance(outcome, Rejected):
            self._history.told_failed.add(reference)
        self._settle(answer, self._one_way(), outcome)

    def _verdict(self) -> tuple[SendOutcome | None, bool]:
        """What it answers, None for nothing, and whether it takes the message."""
        chance, manners = self._chance, self.manners
        if self.mood == "silent":
            return None, chance.happens(0.5)
        if self.mood == "erring":
            return (GATEWAY_ERROR, chance.happens(0.2)) if chance.happens(0.5) else (SERVER_ERROR, False)
        if self.mood == "busy":
            return TOO_FAST, False
        if chance.happens(manners.refused):
            return UNDELIVERABLE, False
        if chance.happens(manners.wait):
            return (PAIR_LIMIT if chance.happens(0.5) else SERVER_ERROR), False
        if chance.happens(manners.lying):
            return (SERVER_ERROR if chance.happens(0.5) else UNDELIVERABLE), True
        return self._accepted(), True

    def _one_way(self) -> float:
        """Seconds a call or its answer takes."""
        if self.mood == "slow":
            return self._chance.heavy(1.2)
        return min(0.5, self._chance.heavy(0.04))

    def _accepted(self) -> Accepted:
        return Accepted(provider_id=f"wamid.out.{self._numbers}", request_id=f"request-{self._numbers}")

    def _take(self, content: Outbound, recipient: str, reference: str, *, lied: bool) -> None:
        history, at = self._history, self._loop.time()
        history.arrivals.append(
            Arrival(reference=reference, recipient=recipient, content=content, at=at, told_otherwise=lied)
        )
        self._trace.note(
            "message", f"{recipient} {history.arrivals[-1].text!r} {reference}{' (denied)' if lied else ''}"
        )
        if self._chance.happens(self.manners.reporting):
            self._report(reference, recipient)

    # --- reports -----------------------------------------------------------------------------------------------------

    def _report(self, reference: str, recipient: str) -> None:
        chance = self._chance
        lies = chance.happens(self.manners.lying)
        words = ["sent", "failed"] if lies else ["sent", "delivered", "read"][: chance.randint(1, 3)]
        names = {
            "crqid": "" if chance.happens(0.2) else reference,
            "uuid": f"wamid.out.{self._numbers}",
            "requestId": f"request-{self._numbers}",
            "customerNumber": recipient,
            "direction": "1",
        }
        if lies:
            self._history.told_failed.add(reference)
        for word in words:
            reason = "131026 Message undeliverable" if word == "failed" else ""
            for _ in range(2 if chance.happens(self.manners.repeating) else 1):
                self._later_post(chance.heavy(0.2), {**names, "eventName": word, "reason": reason})

    def _later_post(self, delay: float, body: object) -> None:
        self._later(delay, lambda: self._post(body))

    def _settle(
        self, answer: asyncio.Future[SendOutcome], after: float, outcome: SendOutcome, *, quietly: bool = False
    ) -> None:
        if not quietly and not isinstance(outcome, Accepted):
            self._trace.note(f"provider: {outcome.reason}")
        self._later(after, lambda: None if answer.done() else answer.set_result(outcome))

    def _later(self, delay: float, call: Callable[[], Any]) -> None:
        self._loop.call_later(delay, call, context=self._loop.outside.context)


class SimulatedModel:
    """As `bot.ports.outside.Model`, for one replica or all: it keeps its own deadline."""

    def __init__(self, chance: Chance, trace: Trace) -> None:
        self._chance = chance
        self._trace = trace
        self.failing = 0.0
        self.hanging = False

    async def answer(self, question: AskModel, *, customer_hash: str) -> ModelAnswered | ModelFailed:
        seconds = MODEL_DEADLINE if self.hanging else min(MODEL_DEADLINE, self._chance.heavy(0.8))
        failing = self._chance.happens(self.failing)
        failure = self._chance.choice(FAILURES)
        await asyncio.sleep(seconds)
        self._trace.note("model asked", question.id)
        if seconds >= MODEL_DEADLINE:
            return ModelFailed(ask_id=question.id, failure="timeout")
        if failing:
            return ModelFailed(ask_id=question.id, failure=failure)
        use = ModelUse(model="m", prompt_tokens=9, completion_tokens=5, cost_usd=0.001, attempts=1, seconds=seconds)
        return ModelAnswered(ask_id=question.id, text=f"answer to {question.turns[-1].text}", use=use)
