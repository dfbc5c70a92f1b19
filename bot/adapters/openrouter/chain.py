"""The chain of models: the first that answers wins, under one deadline, with one retry loop for everything.

Each turn of the loop makes at most one call. What it proved goes to the breakers, what it cost to the sum, and the row
of `bot.wire.openrouter.failures.TABLE` says what comes next: the same model again, the next one, or the end. A model
gets an even share of the time that is left, so that one that hangs leaves time for its fallbacks. Never raises but for
cancellation: a customer who asked is owed an answer or a person.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import aiohttp

from bot.adapters.openrouter.client import Client, NotFetched
from bot.adapters.openrouter.crowd import Crowd
from bot.adapters.openrouter.errand import Errand
from bot.adapters.openrouter.guards import Guards
from bot.adapters.openrouter.prices import PriceList
from bot.adapters.openrouter.retries import Plan, again
from bot.core.effects import AskModel
from bot.core.events import ModelAnswered, ModelFailed
from bot.runtime.breaker import Breaker, BreakerState, ignore_change
from bot.wire.openrouter.answers import Answer, Verdict
from bot.wire.openrouter.failures import Failure, FailureKind
from bot.wire.openrouter.keys import read_key
from bot.wire.openrouter.requests import build_request

KEY_SECONDS: Final = 10.0
LEAST_PART: Final = 1 / 30
"""When less than this part of the whole time is left, no call is begun: it would end unfinished and blame the model."""
_ALERTING: Final[frozenset[FailureKind]] = frozenset(
    {"credits", "key_limit", "budget", "unauthorized", "unaffordable", "misconfigured", "invalid", "blocked"}
)
"""Failures that last until somebody does something."""

log = logging.getLogger(__name__)


class OpenRouter:
    """A `Model`. `models` are tried in order; `timeout` is seconds for the whole chain.

    The session is shared and stays its owner's to close. `wall` gives unix seconds, `clock` seconds that never go back.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        base_url: str,
        api_key: str,
        models: Sequence[str],
        max_tokens: int = 500,
        timeout: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        on_change: Callable[[str, BreakerState], None] = ignore_change,
    ) -> None:
        self._models = tuple(dict.fromkeys(models))
        self._max_tokens = max_tokens
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._client = Client(session, base_url=base_url, api_key=api_key, wall=wall)
        self._prices = PriceList(self._client, clock=clock)
        self._guards = Guards(self._models, clock=clock, on_change=on_change)
        self._crowd = Crowd()
        self._thinkers: set[str] = set()

    @property
    def stopped_reason(self) -> str:
        """Why no model is called at all (money or key), safe to show; empty when they are."""
        return self._guards.stopped_reason

    def breakers(self) -> Mapping[str, Breaker]:
        """By name: one for each model, `openrouter` for the way there, `openrouter account` for money and key."""
        return self._guards.breakers()

    async def refresh_prices(self) -> None:
        """Fetch list prices for estimates; otherwise it happens at the first answer that needs one."""
        await self._prices.refresh()

    async def close(self) -> None:
        """End what goes on in the background."""
        await self._prices.close()

    async def answer(self, question: AskModel, *, customer_hash: str) -> ModelAnswered | ModelFailed:
        """What the first model that could said, or why none did. `customer_hash` must not reveal the customer."""
        errand = self._errand(question)
        try:
            return await self._through(errand, customer_hash)
        except Exception:
            log.exception("model chain broke", extra={"ask_id": question.id})
            return errand.failed("unavailable", self._clock())

    async def check_key(self) -> str:
        """One line on the key's state for an operator. Raises `ValueError` with a sentence when it does not serve."""
        try:
            status, body = await self._client.fetch("/key", within=KEY_SECONDS)
        except NotFetched as problem:
            raise ValueError(f"OpenRouter cannot be reached at {self._client.base_url}: {problem}.") from problem
        return read_key(status, body)

    def _errand(self, question: AskModel) -> Errand:
        now = self._clock()
        plan = Plan(turns=question.turns, max_tokens=self._max_tokens)
        return Errand(question, self._models, plan=plan, started=now, deadline=now + self._timeout)

    async def _through(self, errand: Errand, customer_hash: str) -> ModelAnswered | ModelFailed:
        while errand.left and not self._late(errand):
            verdict = await self._one_call(errand, customer_hash)
            if isinstance(verdict, Answer):
                return errand.answered(verdict, self._clock())
            if verdict is None:
                errand.skip_model()
            elif not await self._goes_on(errand, verdict):
                break
        return self._given_up(errand)

    async def _one_call(self, errand: Errand, customer_hash: str) -> Verdict | None:
        """The verdict of the model in turn, with all that follows from it; None when it may not be called."""
        model = errand.model
        if not await self._crowd.enter(within=self._share(errand)):
            return None
        try:
            verdict = await self._guarded(errand, customer_hash)
            if verdict is not None:
                self._learn(model, verdict)
        finally:
            self._crowd.leave()
        if verdict is not None:
            errand.note(verdict, self._prices.of(verdict.model, model))
            if errand.estimated():
                self._prices.want()
        return verdict

    async def _guarded(self, errand: Errand, customer_hash: str) -> Verdict | None:
        model = errand.model
        if self._late(errand) or not self._guards.admit(model):
            return None
        verdict: Verdict | None = None
        try:
            verdict = await self._client.complete(self._body(errand, customer_hash), within=self._share(errand))
        finally:
            if verdict is None:
                self._guards.release(model)
        self._guards.settle(model, verdict)
        return verdict

    def _body(self, errand: Errand, customer_hash: str) -> bytes:
        return build_request(
            model=errand.model,
            system=errand.question.system,
            turns=errand.plan.turns,
            max_tokens=errand.plan.max_tokens,
            user=customer_hash,
            little_reasoning=errand.plan.little_reasoning or errand.model in self._thinkers,
        )

    def _learn(self, model: str, verdict: Verdict) -> None:
        if isinstance(verdict, Answer):
            self._crowd.grow()
        elif verdict.kind == "in_flight":
            self._crowd.shrink()
        elif verdict.kind == "starved":
            self._thinkers.add(model)

    async def _goes_on(self, errand: Errand, failure: Failure) -> bool:
        """Prepare the next call after `failure`; False when there is none."""
        self._tell(errand, failure)
        if failure.row.fatal != "none":
            return False
        repeat = again(failure, errand.plan, share=self._room_to_wait(errand, failure), jitter=self._chance())
        if repeat is not None:
            errand.plan = repeat.plan
            await self._sleep(repeat.wait)
            return True
        errand.next_model()
        return failure.row.next_model

    def _given_up(self, errand: Errand) -> ModelFailed:
        if errand.unaffordable():
            self._guards.stop_account("no model is affordable any more")
        outcome = errand.outcome(account_stopped=bool(self._guards.stopped_reason), late=self._late(errand))
        return errand.failed(outcome, self._clock())

    def _late(self, errand: Errand) -> bool:
        return errand.deadline - self._clock() < self._timeout * LEAST_PART

    def _room_to_wait(self, errand: Errand, failure: Failure) -> float:
        """Where no other model would help, the wait for this one may take all the time there is."""
        return self._share(errand) if failure.row.next_model else errand.deadline - self._clock()

    def _share(self, errand: Errand) -> float:
        return errand.share(self._clock(), self._guards.may_serve)

    def _tell(self, errand: Errand, failure: Failure) -> None:
        log.log(
            logging.ERROR if failure.kind in _ALERTING else logging.WARNING,
            "model call failed",
            extra={
                "ask_id": errand.question.id,
                "asked_model": errand.model,
                "failure": failure.kind,
                "reason": failure.reason,
                "provider": failure.provider,
                "generation_id": failure.generation_id,
                "retry_after": failure.retry_after,
            },
        )
