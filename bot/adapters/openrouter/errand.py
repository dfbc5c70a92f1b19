"""One question on its way through the chain: which models are left, how much time, what it has cost so far."""

from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec

from bot.adapters.openrouter.retries import Plan
from bot.core.effects import AskModel
from bot.core.events import ModelAnswered, ModelFailed, ModelFailure, ModelUse
from bot.core.prompt import whole_sentences
from bot.wire.openrouter.answers import Answer, Verdict
from bot.wire.openrouter.failures import Failure, FailureKind
from bot.wire.openrouter.pricing import Price, Usage, cost_of, guessed_usage

_REFUSED: frozenset[FailureKind] = frozenset({"moderated", "guardrail", "relayed_refusal"})
_OUR_FAULT: frozenset[FailureKind] = frozenset({"invalid", "misconfigured", "too_long", "too_many_tokens"})


class Errand:
    """`deadline` is on the chain's clock. The first of `left` is the model that is being asked."""

    def __init__(
        self, question: AskModel, models: Iterable[str], *, plan: Plan, started: float, deadline: float
    ) -> None:
        self.question = question
        self.left = deque(models)
        self.plan = plan
        self.deadline = deadline
        self.kinds: list[FailureKind] = []
        self._first_plan = plan
        self._skipped = False
        self._started = started
        self._cost = Decimal(0)
        self._use = ModelUse()

    @property
    def model(self) -> str:
        return self.left[0]

    def next_model(self) -> None:
        """Go on with the model after this one, asked as the first one was at first."""
        self.left.popleft()
        self.plan = self._first_plan

    def skip_model(self) -> None:
        """Go on without having asked this one."""
        self._skipped = True
        self.next_model()

    def share(self, now: float, may_serve: Callable[[str], bool]) -> float:
        """Seconds for the model in turn: the same for each that may still serve, so the last has all that remains."""
        others = sum(may_serve(model) for model in list(self.left)[1:])
        return max(0.0, self.deadline - now) / (1 + others)

    def note(self, verdict: Verdict, price: Price | None) -> None:
        """Add what one call took. A call that broke off was paid for all the same: its highest cost is added."""
        if isinstance(verdict, Failure):
            self.kinds.append(verdict.kind)
        usage = verdict.usage or self._guess(verdict)
        cost, estimated = cost_of(usage, price) if usage else (Decimal(0), False)
        counted = usage if usage and not _unseen(verdict) else Usage()
        self._cost += cost
        self._use = msgspec.structs.replace(
            self._use,
            model=verdict.model or self.model,
            prompt_tokens=self._use.prompt_tokens + counted.prompt_tokens,
            completion_tokens=self._use.completion_tokens + counted.completion_tokens,
            estimated=self._use.estimated or estimated,
            attempts=self._use.attempts + 1,
            generation_id=verdict.generation_id or self._use.generation_id,
        )

    def estimated(self) -> bool:
        return self._use.estimated

    def answered(self, answer: Answer, now: float) -> ModelAnswered:
        text = whole_sentences(answer.text) if answer.finish_reason == "length" else answer.text
        return ModelAnswered(ask_id=self.question.id, text=text, use=self._sum(now))

    def failed(self, failure: ModelFailure, now: float) -> ModelFailed:
        return ModelFailed(ask_id=self.question.id, failure=failure, use=self._sum(now))

    def outcome(self, *, account_stopped: bool, late: bool) -> ModelFailure:
        """The one word for all that went wrong: what the desk has to know first."""
        if account_stopped:
            return "account"
        if _REFUSED.intersection(self.kinds):
            return "refused"
        if self.kinds and _OUR_FAULT.issuperset(self.kinds):
            return "invalid"
        return "timeout" if late or self.kinds[-1:] == ["hung"] else "unavailable"

    def unaffordable(self) -> bool:
        """Every model said that the balance does not pay for the question."""
        return not self._skipped and set(self.kinds) == {"unaffordable"}

    def _sum(self, now: float) -> ModelUse:
        return msgspec.structs.replace(self._use, cost_usd=float(self._cost), seconds=max(0.0, now - self._started))

    def _guess(self, verdict: Verdict) -> Usage | None:
        prompt = len(self.question.system) + sum(len(turn.text) for turn in self.plan.turns)
        if isinstance(verdict, Answer):
            return guessed_usage(prompt, len(verdict.text))
        if not _unseen(verdict):
            return None
        return msgspec.structs.replace(guessed_usage(prompt, 0), completion_tokens=self.plan.max_tokens)


def _unseen(verdict: Verdict) -> bool:
    """Whether a model may have answered in full without our seeing it."""
    return isinstance(verdict, Failure) and verdict.usage is None and verdict.kind in {"hung", "cut"}
