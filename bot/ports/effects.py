"""Questions to the models that have no answer yet, and what answers cost."""

from collections.abc import Sequence
from typing import Protocol

from bot.core.ids import ConversationId, CustomerId, EffectId
from bot.ports.record import Record


class OrphanEffect(Record, frozen=True, kw_only=True):
    id: EffectId
    customer: CustomerId
    data_key: bytes
    sealed: bytes


class ModelCall(Record, frozen=True, kw_only=True):
    """What one question to the models cost, for accounts and caps."""

    id: EffectId
    customer: CustomerId
    conversation: ConversationId
    outcome: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    estimated: bool
    attempts: int
    seconds: float
    generation_id: str
    at: float


class Effects(Protocol):
    async def orphans(self, me: str, limit: int, *, turn: int, since: int | None = None) -> Sequence[OrphanEffect]:
        """Claim effects of replicas that are gone, skipping what others hold. `turn` and `since` as for messages."""
        ...

    async def account(self, calls: Sequence[ModelCall]) -> None:
        """Record what calls cost; a call is recorded once."""
        ...

    async def spent_since(self, at: float) -> float:
        """US dollars of all calls since `at`."""
        ...
