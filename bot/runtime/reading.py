"""How an actor comes to letters that it was not told of: from the journal, in groups, in order of acceptance (P3)."""

from collections.abc import Callable, Sequence

import msgspec

from bot import metrics
from bot.core.events import decode_envelope
from bot.core.ids import JournalSeq
from bot.ports.journal import Journal, Unread
from bot.ports.keys import Vault
from bot.runtime.actor import Actor
from bot.runtime.clock import Clock
from bot.runtime.group import Group
from bot.runtime.letters import Letter

READ_AT_ONCE = 64
"""Letters of one customer read from the journal in one go."""


class Unopened(Exception):
    """No key opens the journal row `seq`, or what is in it is no envelope."""

    def __init__(self, seq: JournalSeq, told: str = "the journal row cannot be opened") -> None:
        super().__init__(told)
        self.seq = seq


class Newer(Unopened):
    """The journal row `seq` is whole and ours, but this release does not know what it says: a newer one wrote it."""


class Reading:
    def __init__(
        self,
        *,
        journal: Journal,
        vault: Vault,
        clock: Clock,
        have_read: Callable[[Actor, Exception | None], None],
        most: int,
    ) -> None:
        """`have_read` hears None when the letters are in the mailbox, otherwise `Unopened` or why the journal cannot be
        read; the actor has to read again then.
        """
        self._journal = journal
        self._vault = vault
        self._have_read = have_read
        self._group: Group[Actor, Sequence[Unread]] = Group(
            "reads", perform=self._read, settle=self._fill, clock=clock, most=most, patient=True
        )

    def __len__(self) -> int:
        """Actors that are reading."""
        return len(self._group)

    def read(self, actor: Actor) -> None:
        """Refill the mailbox with the first letters that no commit has consumed."""
        actor.read_again = False
        self._group.add(actor)

    def opened(self, row: Unread) -> Letter:
        """The letter in a journal row. Raises `Unopened`."""
        try:
            envelope = decode_envelope(self._vault.open(row.sealed, row.dedup))
        except msgspec.ValidationError:
            metrics.newer_total.labels("journal").inc()
            raise Newer(row.seq, "this release does not know the event in the journal row") from None
        except (ValueError, msgspec.DecodeError):
            metrics.sealed_bad_total.labels("journal").inc()
            raise Unopened(row.seq) from None
        return Letter(seq=row.seq, dedup=row.dedup, envelope=envelope)

    async def _read(self, actors: Sequence[Actor]) -> Sequence[Sequence[Unread]]:
        rows = await self._journal.unread([actor.customer for actor in actors], READ_AT_ONCE)
        return [rows.get(actor.customer, ()) for actor in actors]

    def _fill(self, actor: Actor, rows: Sequence[Unread] | Exception) -> None:
        problem = rows if isinstance(rows, Exception) else self._refill(actor, rows)
        if problem is not None:
            actor.reread()
        self._have_read(actor, problem)

    def _refill(self, actor: Actor, rows: Sequence[Unread]) -> Unopened | None:
        try:
            letters = [self.opened(row) for row in rows]
        except Unopened as problem:
            return problem
        actor.refill(letters, complete=len(rows) < READ_AT_ONCE)
        return None
