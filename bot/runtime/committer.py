"""Grouped commits: the writes of many conversations in one statement, each guarded by its own version (P4)."""

from collections.abc import Callable, Sequence

import msgspec

from bot import metrics
from bot.core.conversation import Step
from bot.core.effects import Effect
from bot.core.state import Conversation
from bot.ports.failures import Unavailable
from bot.ports.store import Store, Write
from bot.runtime.actor import Actor
from bot.runtime.clock import Clock
from bot.runtime.group import Group
from bot.runtime.letters import Letter
from bot.runtime.writer import Claims


class Attempt(msgspec.Struct, kw_only=True):
    """A write on its way, with what has to happen once it has taken effect."""

    actor: Actor
    write: Write
    letters: tuple[Letter, ...]
    steps: tuple[Step, ...]
    conversation: Conversation
    effects: tuple[Effect, ...]
    claims: Claims


class Committer:
    """Repeats while the store is away; a repeated write recognises itself by its commit id."""

    def __init__(
        self, *, store: Store, clock: Clock, committed: Callable[[Attempt, bool | Exception], None], most: int
    ) -> None:
        """`committed` hears True, False (stale: somebody else was first) or why the store refuses the write."""
        self._store = store
        self._group: Group[Attempt, bool] = Group(
            "commits", perform=self._commit, settle=committed, clock=clock, most=most, patient=True
        )

    def __len__(self) -> int:
        return len(self._group)

    def commit(self, attempt: Attempt) -> None:
        self._group.add(attempt)

    async def drained(self) -> None:
        await self._group.drained()

    async def _commit(self, attempts: Sequence[Attempt]) -> Sequence[bool]:
        metrics.commits_total.inc()
        metrics.committed_total.inc(len(attempts))
        try:
            return await self._store.commit([attempt.write for attempt in attempts])
        except Unavailable:
            metrics.store_errors_total.labels("commit").inc()
            raise
