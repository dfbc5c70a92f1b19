"""Questions to the models: a bounded pool, spending caps, and outcomes that come back as events (P9)."""

import asyncio
import logging
from collections.abc import Callable, Collection

import msgspec

from bot import metrics
from bot.core.effects import AskModel
from bot.core.events import ModelAnswered, ModelFailed, ModelFailure, ModelUse
from bot.core.ids import CustomerId
from bot.ports.effects import Effects, ModelCall
from bot.ports.failures import Unavailable
from bot.ports.outside import Model
from bot.runtime.clock import Clock

DAY = 86400.0
ACCOUNT_TRIES = 3
"""Tries to record what a call cost; the answer does not wait for more."""

log = logging.getLogger(__name__)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AskModel)


def encode_question(question: AskModel) -> bytes:
    return _encoder.encode(question)


def decode_question(data: bytes) -> AskModel:
    """What `encode_question` wrote. Raises `msgspec.DecodeError` for anything else."""
    return _decoder.decode(data)


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars one conversation and one day (UTC) may cost, questions that may wait, and calls under way at once."""

    conversation_usd: float
    day_usd: float
    waiting: int
    workers: int


Outcome = ModelAnswered | ModelFailed


class Thinking:
    def __init__(
        self,
        *,
        model: Model | None,
        effects: Effects,
        clock: Clock,
        caps: Caps,
        customer_hash: Callable[[CustomerId], str],
        answered: Callable[[CustomerId, Outcome], None],
    ) -> None:
        """`model` is None when no key is configured: every question fails at once and a person is offered."""
        self._model = model
        self._effects = effects
        self._clock = clock
        self._caps = caps
        self._hash = customer_hash
        self._answered = answered
        self._questions: asyncio.Queue[tuple[CustomerId, AskModel]] = asyncio.Queue()
        self._workers: list[asyncio.Task[None]] = []
        self._under_way = 0
        self._day = 0
        self._spent_today = 0.0

    def __len__(self) -> int:
        return self._questions.qsize() + self._under_way

    @property
    def waiting(self) -> int:
        return self._questions.qsize()

    def start(self) -> None:
        self._workers = [
            asyncio.get_running_loop().create_task(self._work(), name=f"model {index}")
            for index in range(self._caps.workers)
        ]

    async def stop(self) -> None:
        """End at once: a question that is under way is an orphan, and asked again by whoever sweeps."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def ask(self, customer: CustomerId, question: AskModel) -> None:
        """Take a committed question. What is over the bound fails at once, so that the customer hears something."""
        if self._questions.qsize() >= self._caps.waiting:
            self._fail(customer, question, "unavailable")
            return
        self._questions.put_nowait((customer, question))

    def forget(self, customers: Collection[CustomerId]) -> None:
        """Drop what waits of erased customers. What is being answered comes back and is heard by nobody."""
        waiting = [self._questions.get_nowait() for _ in range(self._questions.qsize())]
        for customer, question in waiting:
            if customer not in customers:
                self._questions.put_nowait((customer, question))

    async def refresh(self) -> None:
        """Learn from the store what all replicas spent today. Raises `Unavailable`."""
        now = self._clock.now()
        day = int(now // DAY)
        self._spent_today = await self._effects.spent_since(day * DAY)
        self._day = day
        metrics.model_spent_today_usd.set(self._spent_today)

    async def _work(self) -> None:
        while True:
            customer, question = await self._questions.get()
            self._under_way += 1
            try:
                await self._put(customer, question)
            except Exception:
                log.exception("a question failed unexpectedly", extra={"effect": question.id})
                self._fail(customer, question, "unavailable")
            finally:
                self._under_way -= 1

    async def _put(self, customer: CustomerId, question: AskModel) -> None:
        if self._model is None:
            self._fail(customer, question, "unavailable")
            return
        if question.spent_usd >= self._caps.conversation_usd or self._spent() >= self._caps.day_usd:
            self._fail(customer, question, "budget")
            return
        started = self._clock.monotonic()
        outcome = await self._model.answer(question, customer_hash=self._hash(customer))
        metrics.model_seconds.observe(self._clock.monotonic() - started)
        await self._account(customer, question, outcome)
        self._answered(customer, outcome)

    def _fail(self, customer: CustomerId, question: AskModel, failure: ModelFailure) -> None:
        metrics.model_calls_total.labels(failure).inc()
        self._answered(customer, ModelFailed(ask_id=question.id, failure=failure))

    def _spent(self) -> float:
        return self._spent_today if int(self._clock.now() // DAY) == self._day else 0.0

    async def _account(self, customer: CustomerId, question: AskModel, outcome: Outcome) -> None:
        use = outcome.use
        word = "answered" if isinstance(outcome, ModelAnswered) else outcome.failure
        self._count(word, use)
        if not use.attempts:
            return
        call = ModelCall(
            id=question.id,
            customer=customer,
            conversation=question.conversation,
            outcome=word,
            model=use.model,
            prompt_tokens=use.prompt_tokens,
            completion_tokens=use.completion_tokens,
            cost_usd=use.cost_usd,
            estimated=use.estimated,
            attempts=use.attempts,
            seconds=use.seconds,
            generation_id=use.generation_id,
            at=self._clock.now(),
        )
        for _ in range(ACCOUNT_TRIES):
            try:
                await self._effects.account([call])
                return
            except Unavailable:
                await self._clock.sleep(0.5)
            except Exception:
                log.exception("the store refuses an account", extra={"effect": question.id})
                break
        log.error("what a model call cost was not recorded", extra={"effect": question.id, "cost_usd": use.cost_usd})

    def _count(self, word: str, use: ModelUse) -> None:
        self._spent_today += use.cost_usd
        metrics.model_calls_total.labels(word).inc()
        metrics.model_cost_usd_total.inc(use.cost_usd)
        metrics.model_tokens_total.labels("prompt").inc(use.prompt_tokens)
        metrics.model_tokens_total.labels("completion").inc(use.completion_tokens)
