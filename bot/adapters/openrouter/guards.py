"""Who may be called: a breaker for each model, one for the way to OpenRouter, one that stops the whole account.

A model's breaker counts what the model or its provider did. The gateway's counts failures to connect, which all models
share. The account's opens at the first answer that says the money or the key is gone: then nothing is called for
minutes and after that one call probes. A day's limit of free models rests all models whose name ends in `:free`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bot.runtime.breaker import Breaker, BreakerState
from bot.wire.openrouter.answers import Answer, Verdict
from bot.wire.openrouter.failures import Failure

MODEL_FAILURES: Final = 5
MODEL_REST: Final = 30.0
GATEWAY_FAILURES: Final = 5
GATEWAY_REST: Final = 10.0
ACCOUNT_STOP: Final = 300.0
"""Seconds without any call after the account was refused. Its limit may end much later, but somebody may pay sooner."""
MISCONFIGURED_REST: Final = 600.0
"""Seconds without a call of a model that does not exist or that our settings exclude."""
LONGEST_REST: Final = 600.0
"""A longer `Retry-After` of one provider is not believed: others may serve the model sooner."""
FREE_REST: Final = 3600.0
"""Seconds without free models when the end of their daily limit is not told."""
LONGEST_FREE_REST: Final = 86_400.0

GATEWAY: Final = "openrouter"
ACCOUNT: Final = "openrouter account"


class Guards:
    """Every `admit` that answered True must be followed by one `settle` or one `release`."""

    def __init__(
        self, models: Sequence[str], *, clock: Callable[[], float], on_change: Callable[[str, BreakerState], None]
    ) -> None:
        def breaker(name: str, failures: int, rest: float) -> Breaker:
            return Breaker(name, fail_max=failures, reset_timeout=rest, clock=clock, on_change=on_change)

        self._clock = clock
        self._account = breaker(ACCOUNT, 1, ACCOUNT_STOP)
        self._gateway = breaker(GATEWAY, GATEWAY_FAILURES, GATEWAY_REST)
        self._models = {model: breaker(model, MODEL_FAILURES, MODEL_REST) for model in models}
        self._reason = ""
        self._free_from = float("-inf")

    @property
    def stopped_reason(self) -> str:
        """Why the account is stopped, safe to show; empty when it is not."""
        return "" if self._account.state == "closed" else self._reason

    def breakers(self) -> Mapping[str, Breaker]:
        return {ACCOUNT: self._account, GATEWAY: self._gateway, **self._models}

    def may_serve(self, model: str) -> bool:
        """Whether `model` is worth keeping time for. It does not take a place."""
        return not self._resting_free(model) and self._models[model].state != "open"

    def admit(self, model: str) -> bool:
        """Whether `model` may be called now; all three breakers have to agree."""
        if self._resting_free(model):
            return False
        taken: list[Breaker] = []
        for breaker in self._on_the_way(model):
            if not breaker.admit():
                for earlier in taken:
                    earlier.abandoned()
                return False
            taken.append(breaker)
        return True

    def release(self, model: str) -> None:
        """The call was cancelled."""
        for breaker in self._on_the_way(model):
            breaker.abandoned()

    def settle(self, model: str, verdict: Verdict) -> None:
        """Let each breaker hear what the call proved."""
        if isinstance(verdict, Answer):
            for breaker in self._on_the_way(model):
                breaker.succeeded()
            return
        self._settle_account(verdict)
        self._settle_gateway(verdict)
        self._settle_model(self._models[model], verdict)

    def stop_account(self, reason: str) -> None:
        """Nothing is affordable any more; the next probe is `ACCOUNT_STOP` seconds away."""
        self._reason = reason
        self._account.failed()

    def _settle_account(self, failure: Failure) -> None:
        if failure.row.fatal != "account":
            self._account.abandoned()
            return
        self._reason = failure.reason
        limit_ends = ACCOUNT_STOP if failure.retry_after is None else failure.retry_after
        self._account.failed(open_for=min(ACCOUNT_STOP, limit_ends))

    def _settle_gateway(self, failure: Failure) -> None:
        if failure.row.breaker == "gateway":
            self._gateway.failed()
        elif failure.kind == "hung":
            self._gateway.abandoned()
        else:
            self._gateway.succeeded()

    def _settle_model(self, breaker: Breaker, failure: Failure) -> None:
        if failure.kind == "free_daily":
            rest = FREE_REST if failure.retry_after is None else failure.retry_after
            self._free_from = self._clock() + min(rest, LONGEST_FREE_REST)
        if failure.kind == "misconfigured":
            breaker.failed(open_for=MISCONFIGURED_REST)
        elif failure.row.breaker == "model":
            breaker.failed(open_for=_rest(failure))
        else:
            breaker.abandoned()

    def _on_the_way(self, model: str) -> tuple[Breaker, ...]:
        return self._account, self._gateway, self._models[model]

    def _resting_free(self, model: str) -> bool:
        return model.endswith(":free") and self._clock() < self._free_from


def _rest(failure: Failure) -> float | None:
    """How long a provider asked to be left alone; None lets the breaker count."""
    return None if not failure.retry_after else min(failure.retry_after, LONGEST_REST)
