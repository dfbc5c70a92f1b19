"""One customer's actor: a mailbox and one thing under way at a time. It holds; the registry moves it."""

from typing import Literal

from bot.core.ids import CustomerId, JournalSeq
from bot.core.state import Conversation
from bot.ports.keys import Sealer
from bot.ports.store import Loaded
from bot.runtime.letters import Letter

Phase = Literal["idle", "ready", "seating", "reading", "fetching", "committing", "resting"]
"""`ready`: will step soon; `resting`: waits after a failure; the others wait for the store."""


UNKNOWN = JournalSeq(0)
"""No letter in particular: numbers begin at 1."""


class Actor:
    """Mutable, and touched only by the registry and what it calls."""

    __slots__ = (
        "conversation",
        "customer",
        "data_key",
        "doubted",
        "failures",
        "hinted",
        "lease_until",
        "loaded",
        "mailbox",
        "phase",
        "puzzled_at",
        "read_again",
        "sealed_identities",
        "sealer",
        "touched_at",
        "version",
    )

    def __init__(self, customer: CustomerId) -> None:
        self.customer = customer
        self.phase: Phase = "idle"
        self.mailbox: list[Letter] = []
        self.read_again = False
        """Letters may lie in the journal that come after those in the mailbox: read when it is empty."""
        self.conversation: Conversation | None = None
        self.loaded: Loaded | None = None
        """The same as it is sealed; without `conversation` it has not been opened yet."""
        self.version = 0
        self.doubted = -1
        """The store turned this version away: a snapshot that is not newer is not to be believed."""
        self.data_key = b""
        self.sealer: Sealer | None = None
        self.sealed_identities: dict[str, bytes] = {}
        self.lease_until = 0.0
        self.touched_at = 0.0
        self.failures = 0
        self.puzzled_at: float | None = None
        """When (monotonic) it first met something that only a newer release knows."""
        self.hinted = UNKNOWN
        """A letter that another replica passed on, for whoever has the seat if it is not ours."""

    @property
    def busy(self) -> bool:
        return self.phase != "idle" or bool(self.mailbox) or self.read_again

    @property
    def calm(self) -> bool:
        """Whether there is nothing to do, and nothing to remember but the state."""
        return not self.busy and not self.failures and self.puzzled_at is None

    def put(self, letter: Letter, limit: int) -> None:
        """Into the mailbox; when it is full the letter stays in the journal and is read from there later."""
        if self.read_again:
            return
        if len(self.mailbox) >= limit:
            self.read_again = True
            return
        if self.mailbox and self.mailbox[-1].seq >= letter.seq:
            self.reread()
            return
        self.mailbox.append(letter)

    def refill(self, letters: list[Letter], *, complete: bool) -> None:
        """Take what the journal holds, the first unread letters in order.

        When that is not all of them, everything else in the mailbox is dropped, because something between is missing.
        What was told since the reading began is in the mailbox, up to the first that it did not take.
        """
        told, self.mailbox = self.mailbox, list(letters)
        if not complete:
            self.read_again = True
            return
        known = {letter.seq for letter in letters}
        last = letters[-1].seq if letters else -1
        for letter in told:
            if letter.seq > last:
                self.mailbox.append(letter)
            elif letter.seq not in known:
                self.read_again = True

    def look_again(self, first: JournalSeq) -> None:
        """There may be letters in the journal that the mailbox was not told of. Whoever knows of one that comes before
        the mailbox's last spares a commit that would be refused.
        """
        self.hinted = first
        if first != UNKNOWN and self.mailbox and first < self.mailbox[-1].seq:
            self.mailbox.clear()
        self.read_again = True

    def reread(self) -> None:
        """The mailbox is not the beginning of what is unread: the journal has it all in order."""
        self.mailbox.clear()
        self.read_again = True

    def forget(self) -> None:
        """Know nothing of the state any more: somebody else was first."""
        self.doubted = self.version
        self.conversation = None
        self.loaded = None
        self.sealer = None
        self.sealed_identities = {}
        self.lease_until = 0.0
        self.mailbox.clear()
        self.read_again = True
