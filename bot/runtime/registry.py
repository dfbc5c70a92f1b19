"""Finds or makes the actor of a customer and moves every actor from one wait to the next (P3, P4).

An actor has no task of its own. It is told of letters by a plain call, steps when the loop comes round, and from there
is carried by groups: seats (lease and snapshot, or the stored state), reads (letters that are only in the journal) and
commits. So a message costs no task and no timer, and an actor cannot retire between being found and being told.

What is here may be lost at any moment: the journal and the version in the store decide.
"""

import logging
from collections import deque
from collections.abc import Sequence

import msgspec

from bot import metrics
from bot.core.book import Book
from bot.core.conversation import Step, needs_flow
from bot.core.ids import CustomerId, JournalSeq
from bot.core.state import Conversation
from bot.ports.directory import Directory
from bot.ports.journal import Journal
from bot.ports.keys import Vault
from bot.ports.parking import KEY, STATE, Parking
from bot.ports.seats import Seat, Seats
from bot.ports.store import Loaded, Store
from bot.runtime.actor import UNKNOWN, Actor
from bot.runtime.around import Around
from bot.runtime.clock import Clock
from bot.runtime.committer import Attempt, Committer
from bot.runtime.dormant import Dormant
from bot.runtime.letters import Letter
from bot.runtime.reading import Newer, Reading, Unopened
from bot.runtime.seating import Seating
from bot.runtime.setbacks import Setbacks
from bot.runtime.stored import Unreadable, opened
from bot.runtime.tasks import Tasks
from bot.runtime.watching import Watching
from bot.runtime.writer import Writer

STEPS_AT_ONCE = 32
"""Letters of one customer applied in one commit."""
ACTORS_AT_ONCE = 128
"""Actors stepped before the event loop gets its turn."""

log = logging.getLogger(__name__)


class Registry:
    def __init__(
        self,
        *,
        store: Store,
        journal: Journal,
        seats: Seats,
        directory: Directory,
        parking: Parking,
        vault: Vault,
        clock: Clock,
        tasks: Tasks,
        around: Around,
        lease_seconds: float,
        mailbox_limit: int,
        commit_most: int,
    ) -> None:
        """`mailbox_limit`: letters in one mailbox; `commit_most`: conversations in one statement."""
        self._directory = directory
        self._vault = vault
        self._clock = clock
        self._tasks = tasks
        self._around = around
        self._mailbox_limit = mailbox_limit
        self._writer = Writer(vault, lambda: around.telling.wanted)
        self._actors: dict[CustomerId, Actor] = {}
        self._ready: deque[Actor] = deque()
        self._scheduled = False
        self._closed = False
        self.watching = Watching()
        self._seating = Seating(
            seats=seats,
            store=store,
            clock=clock,
            seated=self._seated,
            taken_over=around.taken_over,
            lease_seconds=lease_seconds,
            most=commit_most,
        )
        self._dormant = Dormant(self._actors, seating=self._seating, clock=clock)
        self._reading = Reading(journal=journal, vault=vault, clock=clock, have_read=self._have_read, most=commit_most)
        self._setbacks = Setbacks(
            parking=parking,
            clock=clock,
            tasks=tasks,
            go_on=self._go_on,
            drop=self._drop,
            leave=self._seating.leave,
            lease_seconds=lease_seconds,
        )
        self._committer = Committer(store=store, clock=clock, committed=self._committed, most=commit_most)

    # --- told from outside -------------------------------------------------------------------------------------------

    def tell(self, customer: CustomerId, letter: Letter) -> None:
        """A letter is in the journal; it will be applied after all that were accepted before it."""
        actor = self._actor(customer)
        actor.put(letter, self._mailbox_limit)
        self._wake(actor)

    def wake(self, customer: CustomerId, first: JournalSeq = UNKNOWN) -> None:
        """Something of this customer may wait in the journal, perhaps the letter `first`; also an actor on its way
        looks again, because it may have read before that was there.
        """
        actor = self._actor(customer)
        actor.look_again(first)
        self._wake(actor)

    def is_committing(self, customer: CustomerId) -> bool:
        actor = self._actors.get(customer)
        return actor is not None and actor.phase == "committing"

    def __len__(self) -> int:
        return len(self._actors) + len(self._dormant)

    @property
    def letters(self) -> int:
        """Letters in mailboxes."""
        return sum(len(actor.mailbox) for actor in self._actors.values())

    async def retire(self, idle_seconds: float) -> None:
        """Let go of conversations that nothing happened to for a while; before that they sleep."""
        await self._dormant.retire(idle_seconds)

    async def forget(self, customers: Sequence[CustomerId]) -> bool:
        """Drop erased customers with all that is known of them, here and at their seats; False while one is on its
        way.
        """
        actors = [self._actors[customer] for customer in customers if customer in self._actors]
        if any(actor.phase not in {"idle", "resting"} for actor in actors):
            return False
        for actor in actors:
            actor.forget()
            self._drop(actor)
        self._dormant.forget(customers)
        await self._seating.forget(customers)
        return True

    async def drained(self) -> None:
        """Return when no actor is on its way; those that rest after a failure are the sweep's."""
        while self._ready or len(self._seating) or len(self._reading) or len(self._committer):
            await self._clock.sleep(0.005)
        await self._seating.drained()

    async def leave(self) -> None:
        """Give every seat back for good: another replica may go on at once, and nobody here sits down again."""
        self._closed = True
        left = [*self._actors, *self._dormant.let_all_go()]
        self._actors.clear()
        self._ready.clear()
        await self._seating.close(left)

    # --- moving ------------------------------------------------------------------------------------------------------

    def _actor(self, customer: CustomerId) -> Actor:
        actor = self._actors.pop(customer, None) or self._dormant.wake(customer) or Actor(customer)
        self._actors[customer] = actor
        actor.touched_at = self._clock.monotonic()
        return actor

    def _wake(self, actor: Actor) -> None:
        if actor.phase != "idle" or self._closed:
            return
        actor.phase = "ready"
        self._ready.append(actor)
        self._schedule()

    def _schedule(self) -> None:
        if self._ready and not self._scheduled:
            self._scheduled = True
            self._clock.later(0, self._run)

    def _run(self) -> None:
        self._scheduled = False
        for _ in range(min(len(self._ready), ACTORS_AT_ONCE)):
            actor = self._ready.popleft()
            actor.phase = "idle"
            self._move(actor)
        self._schedule()

    def _move(self, actor: Actor) -> None:
        """Send the actor to its next wait; one with nothing to do stays idle."""
        if not actor.mailbox and not actor.read_again:
            return
        if self._seating.needed(actor):
            actor.phase = "seating"
            self._seating.take(actor)
        elif actor.mailbox:
            self._step(actor)
        else:
            actor.phase = "reading"
            self._reading.read(actor)

    def _go_on(self, actor: Actor) -> None:
        actor.phase = "idle"
        if actor.mailbox or actor.read_again:
            self._wake(actor)

    def _drop(self, actor: Actor) -> None:
        """Forget the actor; its letters are in the journal."""
        actor.phase = "resting"
        actor.mailbox.clear()
        if self._actors.get(actor.customer) is actor:
            del self._actors[actor.customer]

    # --- seat and state ----------------------------------------------------------------------------------------------

    def _seated(self, actor: Actor, answer: Seat | Loaded | Exception | None) -> None:
        match answer:
            case Exception():
                self._setbacks.rest(actor)
            case None:
                log.error("a journalled customer is unknown", extra={"customer": actor.customer})
                self._drop(actor)
            case Seat(granted=False, owner=owner):
                first = actor.mailbox[0].seq if actor.mailbox else actor.hinted
                self._around.elsewhere(owner, actor.customer, first, self.watching.keys(actor.customer))
                self._drop(actor)
            case Seat(snapshot=snapshot):
                self._seating.renewed(actor)
                newest = _newer(actor.loaded, snapshot)
                if newest is None or (newest is actor.loaded and actor.conversation is not None):
                    self._go_on(actor)
                else:
                    self._take_over(actor, newest)
            case Loaded(merged_into=kept) if kept is not None:
                self._drop(actor)
                self._tasks.spawn(self._redirect(actor.customer, kept), "redirect")
            case Loaded(erased=True):
                self._drop(actor)
                self._around.erased(actor.customer)
            case Loaded(parked=True):
                self._drop(actor)
            case Loaded():
                self._seating.renewed(actor)
                self._take_over(actor, answer)

    def _take_over(self, actor: Actor, loaded: Loaded) -> None:
        """Open the state. One that no key opens is never begun anew: it is parked. A newer release's is left to it."""
        try:
            actor.sealer, actor.conversation = opened(self._vault, loaded)
        except msgspec.ValidationError:
            metrics.newer_total.labels("state").inc()
            self._setbacks.left_to_newer(actor, STATE, "this release does not know what is in the state")
            return
        except Unreadable as problem:
            known, actor.doubted = actor.doubted, max(actor.doubted, loaded.version)
            if problem.what == KEY and known < loaded.version:  # Redis may have the key as it was before a rotation
                actor.conversation = actor.loaded = None
                self._seating.take(actor)
                return
            metrics.sealed_bad_total.labels("state").inc()
            self._setbacks.failed(actor, problem.what, str(problem))
            return
        actor.loaded = loaded
        actor.data_key = loaded.data_key
        actor.version = loaded.version
        actor.sealed_identities = {}
        self._go_on(actor)

    async def _redirect(self, absorbed: CustomerId, kept: CustomerId) -> None:
        """Letters that were accepted for an absorbed customer go on to the one they were merged into."""
        self._around.merged()
        await self._directory.redirect(absorbed, kept)
        self.wake(kept)

    def _have_read(self, actor: Actor, problem: Exception | None) -> None:
        match problem:
            case None:
                self._go_on(actor)
            case Newer(seq=seq):
                self._setbacks.left_to_newer(actor, seq, str(problem))
            case Unopened(seq=seq):
                self._setbacks.failed(actor, seq, str(problem))
            case _:
                self._setbacks.rest(actor)

    # --- steps and commits -------------------------------------------------------------------------------------------

    def _step(self, actor: Actor) -> None:
        conversation = actor.conversation
        if conversation is None:
            return
        book = self._around.book()
        missing = needs_flow(conversation, book)
        if missing is not None:
            actor.phase = "fetching"
            self._around.fetch_flow(missing, lambda: self._go_on(actor))
            return
        steps = self._steps(actor, conversation, book)
        if steps:
            self._commit(actor, steps)

    def _steps(self, actor: Actor, conversation: Conversation, book: Book) -> tuple[Step, ...]:
        """Step through the mailbox. A step that raises ends the row; as the first it is the actor's failure.

        A write knows the conversation before it and the one after it, so a third one begins a row of its own. After a
        failure each letter stands alone, until it is clear whose failure it is.
        """
        steps: list[Step] = []
        first = conversation.id
        for letter in tuple(actor.mailbox)[: 1 if actor.failures else STEPS_AT_ONCE]:
            try:
                done = self._around.step(conversation, letter.envelope, book)
            except Exception as problem:
                metrics.step_failures_total.inc()
                log.exception("a step failed", extra={"customer": actor.customer, "seq": letter.seq})
                if not steps:
                    self._setbacks.failed(actor, letter.seq, f"{type(problem).__name__} in the step")
                break
            if first != conversation.id != done.conversation.id:
                break
            conversation = done.conversation
            steps.append(done)
        return tuple(steps)

    def _commit(self, actor: Actor, steps: tuple[Step, ...]) -> None:
        letters = tuple(actor.mailbox)[: len(steps)]
        after = steps[-1].conversation
        effects = steps[0].effects if len(steps) == 1 else tuple(effect for one in steps for effect in one.effects)
        claims = self._around.claims(actor.customer)
        try:
            write = self._writer.write(
                actor,
                letters,
                after,
                effects,
                steps=steps,
                claims=claims,
                commit_id=self._clock.seed() >> 1,
                at=letters[-1].envelope.at,
            )
        except Exception as problem:
            log.exception("a write could not be made", extra={"customer": actor.customer, "seq": letters[0].seq})
            self._setbacks.failed(actor, letters[0].seq, f"{type(problem).__name__} in the write")
            return
        del actor.mailbox[: len(letters)]
        actor.phase = "committing"
        self._committer.commit(
            Attempt(
                actor=actor,
                write=write,
                letters=letters,
                steps=steps,
                conversation=after,
                effects=effects,
                claims=claims,
            )
        )

    def _committed(self, attempt: Attempt, result: bool | Exception) -> None:
        actor = attempt.actor
        if isinstance(result, Exception):
            actor.forget()
            self._setbacks.failed(
                actor, attempt.letters[0].seq, f"the store refuses the write: {type(result).__name__}"
            )
            return
        if result:
            self._take_effect(actor, attempt)
        else:
            metrics.stale_total.inc()
            actor.forget()
        self._go_on(actor)

    def _take_effect(self, actor: Actor, attempt: Attempt) -> None:
        actor.version += 1
        actor.failures = 0
        actor.puzzled_at = None
        actor.conversation = attempt.conversation
        metrics.steps_total.inc(len(attempt.steps))
        self._seating.renewed(actor)
        actor.loaded = Loaded(version=actor.version, state=attempt.write.state, data_key=actor.data_key)
        self._seating.keep(actor.customer, actor.loaded)
        for one in attempt.steps:
            for what in one.counted:
                metrics.flow_troubles_total.labels(what).inc()
        if attempt.write.announcements:
            self._around.telling.wake()
        self._around.publish(actor.customer, attempt.conversation, attempt.effects, attempt.claims)
        self.watching.applied(attempt.letters, attempt.steps)


def _newer(known: Loaded | None, snapshot: Loaded | None) -> Loaded | None:
    if known is None or (snapshot is not None and snapshot.version > known.version):
        return snapshot
    return known
