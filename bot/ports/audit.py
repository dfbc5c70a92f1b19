"""Who did what, and to whom: a line for every deed that changes something and that no conversation's step writes."""

from typing import Protocol

from bot.core.ids import ConversationId, CustomerId


class Audit(Protocol):
    """Lines are added and never changed. What a step does is audited by its own commit, not here."""

    async def record(
        self,
        action: str,
        *,
        by: str,
        customer: CustomerId | None = None,
        conversation: ConversationId | None = None,
        detail: str = "",
    ) -> None:
        """Durable when it returns. `action` is past tense such as `flows_reloaded`.

        `detail` is stored in clear: ids, counts and names of things, never a customer's words, name or number.
        """
        ...
