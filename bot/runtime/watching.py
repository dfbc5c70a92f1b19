"""Who waits for what a letter comes to: callers of this replica, and others that passed their letter on to its seat.

An outcome that nobody waits for yet is remembered for a while, because a letter that was read from the journal may have
been applied before the hint came that asks for it.
"""

from collections.abc import Callable, Sequence

import msgspec

from bot.core.conversation import Step
from bot.core.effects import SendMessage
from bot.core.events import MessageReceived
from bot.core.ids import CustomerId, MessageId
from bot.runtime.letters import Letter

REMEMBERED = 1_000
"""Outcomes kept for those who ask late."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a letter came to: why it was refused, if it was, and the messages it made."""

    refusal: str
    messages: tuple[MessageId, ...]


Told = Callable[[Outcome], None]


class Watched(msgspec.Struct, kw_only=True):
    """A letter that somebody waits for."""

    customer: CustomerId
    told: list[Told]


class Watching:
    """Nobody asks what a customer's own message came to, so those cost a look at their type and nothing else."""

    def __init__(self) -> None:
        self._watched: dict[bytes, Watched] = {}
        self._recent: dict[bytes, Outcome] = {}

    def watch(self, customer: CustomerId, key: bytes, told: Told) -> None:
        """Tell once what the letter with this dedup key comes to, here or elsewhere."""
        self._watched.setdefault(key, Watched(customer=customer, told=[])).told.append(told)

    def unwatch(self, key: bytes, told: Told) -> None:
        """Nobody waits there any more."""
        watched = self._watched.get(key)
        if watched is None or told not in watched.told:
            return
        watched.told.remove(told)
        if not watched.told:
            del self._watched[key]

    def keys(self, customer: CustomerId) -> tuple[bytes, ...]:
        """What is watched of this customer; few letters ever are at one time."""
        return tuple(key for key, watched in self._watched.items() if watched.customer == customer)

    def recent(self, key: bytes) -> Outcome | None:
        """What a letter came to that was applied here a moment ago."""
        return self._recent.get(key)

    def applied(self, letters: Sequence[Letter], steps: Sequence[Step]) -> None:
        """These letters were committed here."""
        for letter, step in zip(letters, steps, strict=True):
            if type(letter.envelope.event) is not MessageReceived:
                messages = tuple(effect.id for effect in step.effects if isinstance(effect, SendMessage))
                outcome = Outcome(refusal=step.refusal, messages=messages)
                self._remember(letter.dedup, outcome)
                self.settle(letter.dedup, outcome)

    def settle(self, key: bytes, outcome: Outcome) -> None:
        """Tell all who wait for this letter."""
        watched = self._watched.pop(key, None)
        for told in watched.told if watched is not None else ():
            told(outcome)

    def _remember(self, key: bytes, outcome: Outcome) -> None:
        if len(self._recent) >= REMEMBERED:
            del self._recent[next(iter(self._recent))]
        self._recent[key] = outcome
