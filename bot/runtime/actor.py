"""One customer's actor: a mailbox and one thing under way at a time. It holds; the registry moves it."""

from collections import deque
from typing import Literal

from bot.core.ids import CustomerId
from bot.core.state import Conversation
from bot.ports import Sealer
from bot.runtime.letters import Letter

Phase = Literal["idle", "ready", "seating", "reading", "fetching", "committing", "resting"]
"""`ready`: will step soon; `resting`: waits after a failure; the others wait for the store."""


class Actor:
    """Mutable, and touched only by the registry and what it calls."""

    __slots__ = (
        "conversation",
        "customer",
        "data_key",
        "failures",
        "lease_until",
        "mailbox",
        "phase",
        "read_again",
        "sealed_identities",
        "sealer",
        "touched_at",
        "version",
    )

    def __init__(self, customer: CustomerId) -> None:
        self.customer = customer
        self.phase: Phase = "idle"
        self.mailbox: deque[Letter] = deque()
        self.read_again = False
        """Letters may lie in the journal that are not in the mailbox: read before stepping."""
        self.conversation: Conversation | None = None
        self.version = 0
        self.data_key = b""
        self.sealer: Sealer | None = None
        self.sealed_identities: dict[str, bytes] = {}
        self.lease_until = 0.0
        self.touched_at = 0.0
        self.failures = 0

    @property
    def busy(self) -> bool:
        return self.phase != "idle" or bool(self.mailbox) or self.read_again

    def put(self, letter: Letter, limit: int) -> None:
        """Into the mailbox; when it is full the letter stays in the journal and is read from there later."""
        if self.read_again and self.phase != "reading":
            return
        if len(self.mailbox) >= limit:
            self.read_again = True
            return
        if self.mailbox and self.mailbox[-1].seq >= letter.seq:
            self.read_again = True
            return
        self.mailbox.append(letter)

    def refill(self, letters: list[Letter], *, complete: bool) -> None:
        """Take what the journal holds, the first unread letters in order.

        When that is not all of them, everything else in the mailbox is dropped, because something between is missing.
        """
        if complete:
            known = {letter.seq for letter in letters}
            last = letters[-1].seq if letters else -1
            letters += [letter for letter in self.mailbox if letter.seq not in known and letter.seq > last]
        self.mailbox = deque(letters)
        self.read_again = not complete

    def forget(self) -> None:
        """Know nothing of the state any more: somebody else was first."""
        self.conversation = None
        self.sealer = None
        self.sealed_identities = {}
        self.lease_until = 0.0
        self.mailbox.clear()
        self.read_again = True
