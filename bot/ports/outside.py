"""The outside: the provider that carries messages and the models that answer."""

from typing import Protocol

from bot.core.effects import AskModel
from bot.core.events import ModelAnswered, ModelFailed
from bot.core.messages import Outbound
from bot.wire.msg91.outcomes import SendOutcome


class Channel(Protocol):
    """The provider that carries messages."""

    async def send(self, content: Outbound, *, number: str, recipient: str, reference: str) -> SendOutcome:
        """One attempt; never raises but for cancellation. `reference` comes back in delivery reports."""
        ...


class Model(Protocol):
    async def answer(self, question: AskModel, *, customer_hash: str) -> ModelAnswered | ModelFailed:
        """The chain of models under one deadline; never raises but for cancellation."""
        ...
