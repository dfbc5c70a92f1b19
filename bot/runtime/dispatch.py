"""After the commit: gives each effect to whoever performs it, and says beforehand who that will be."""

from collections.abc import Sequence

from bot import metrics
from bot.core.effects import AskModel, Effect, SendMessage, StartTimer, StopTimer, WriteAudit
from bot.core.ids import CustomerId
from bot.core.state import Conversation
from bot.runtime.outbox import Delivery
from bot.runtime.thinking import Thinking
from bot.runtime.timers import TimerWheel
from bot.runtime.writer import Claims

NOBODY = "-"
"""The claim of a replica that never lives: whoever sweeps first takes it."""


class Dispatch:
    def __init__(self, *, me: str, delivery: Delivery, thinking: Thinking, wheel: TimerWheel) -> None:
        self._delivery = delivery
        self._thinking = thinking
        self._wheel = wheel
        self._me = me
        self._unclaimed = Claims(message=NOBODY, head_status="pending", effect=me)

    def claims(self, customer: CustomerId) -> Claims:
        """What a commit of this customer may promise in this replica's name."""
        if not self._delivery.room(customer):
            self._delivery.spilled.add(customer)
            return self._unclaimed
        return Claims(
            message=self._me,
            head_status="sending" if self._delivery.idle(customer) else "pending",
            effect=self._me,
            confirmations=self._delivery.gate.confirmations,
        )

    def publish(
        self, customer: CustomerId, conversation: Conversation, effects: Sequence[Effect], claims: Claims
    ) -> None:
        """Perform the effects of one commit, whose rows were written with `claims`."""
        known = conversation.customer
        marked = claims.head_status == "sending"
        if claims is self._unclaimed:
            self._delivery.spilled.add(customer)  # anew: a sweep that ran beside the commit did not see its messages
        for effect in effects:
            match effect:
                case SendMessage():
                    if self._is_doubtful(customer, claims):
                        self._delivery.spilled.give_up(customer, effect.id)
                    elif claims is not self._unclaimed:
                        self._delivery.send(customer, known.phone or known.user_id, effect, marked=marked)
                    marked = False
                case AskModel():
                    self._thinking.ask(customer, effect)
                case StartTimer():
                    self._wheel.start(customer, effect.id, effect.kind, effect.due)
                case StopTimer():
                    self._wheel.stop(effect.id)
                case WriteAudit(action="escalated"):
                    metrics.escalations_total.inc()
                case _:
                    pass

    def _is_doubtful(self, customer: CustomerId, claims: Claims) -> bool:
        """Around the commit this replica was silent for so long that others may have taken over what it promised, or
        messages that come before it.
        """
        if claims is self._unclaimed:
            return False
        gate, spilled = self._delivery.gate, self._delivery.spilled
        return gate.asking or claims.confirmations != gate.confirmations or customer in spilled.since
