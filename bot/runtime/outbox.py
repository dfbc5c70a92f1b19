"""The way out: one message of a conversation at a time, in order, through a bounded pool (P5, P9).

Every customer with something to send has a lane. The head of a lane is marked `sending` in the store before it goes
out: by the commit that made it when the lane was empty, by a note otherwise. So after a crash the store knows which
messages may have arrived, and only those can double; each is counted. The next message goes when the provider took the
one before, or refused it for good.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from aiolimiter import AsyncLimiter

from bot import metrics
from bot.core.effects import SendMessage
from bot.core.events import SendFailed
from bot.core.ids import CustomerId, MessageId
from bot.core.retries import send_delay
from bot.ports.failures import Unavailable
from bot.ports.outbox import FailedReport, Outbox, SendNote
from bot.ports.outside import Channel
from bot.runtime.breaker import Breaker
from bot.runtime.clock import Clock
from bot.runtime.gate import Gate
from bot.runtime.group import Group
from bot.runtime.pacing import Limits, Pacing
from bot.runtime.parcels import Lane, Parcel
from bot.runtime.proofs import Proofs
from bot.runtime.spilled import Spilled
from bot.runtime.tasks import Tasks
from bot.runtime.turns import Turns
from bot.wire.msg91.outcomes import Accepted, Deferred, Rejected

INTERNAL = Deferred(reason="internal error", code=0, retry_after=None, scope="message", uncertain=False)

log = logging.getLogger(__name__)


class Delivery:
    def __init__(
        self,
        *,
        channel: Channel,
        outbox: Outbox,
        clock: Clock,
        breaker: Breaker,
        limits: Limits,
        failed: Callable[[CustomerId, SendFailed], Awaitable[None]],
        default_number: str,
        me: str,
        most: int,
    ) -> None:
        self._channel, self._store = channel, outbox
        self._clock = clock
        self._breaker = breaker
        self._limits = limits
        self._failed = failed
        self._ending = Tasks()
        self._default_number = default_number
        self._me = me
        self._lanes: dict[CustomerId, Lane] = {}
        self._count = 0
        self._limiter = AsyncLimiter(max(limits.rate, 1), max(1.0, 1 / limits.rate))
        self._turn = Turns(limiter=self._limiter, clock=clock, workers=limits.workers)
        self.gate = Gate(clock=clock, breaker=breaker, let_go=self._turn.put_nowait)
        self.proofs = Proofs(clock=clock, proved=self._proved, unproved=self._retry)
        self.spilled = Spilled(outbox=outbox, clock=clock, me=me)
        self._pacing = Pacing(burst=limits.burst, interval=limits.interval)
        self._workers: list[asyncio.Task[None]] = []
        self._sending = 0
        self._stopping = False
        self._notes: Group[tuple[Lane, tuple[SendNote, ...]], None] = Group(
            "notes", perform=self._note, settle=self._noted, clock=clock, most=most, patient=True
        )

    def start(self) -> None:
        self._workers = [
            asyncio.get_running_loop().create_task(self._work(), name=f"delivery {index}")
            for index in range(self._limits.workers)
        ]

    async def stop(self, seconds: float) -> None:
        """Let what can go out within `seconds` go, note it, and end; what is left is for whoever sweeps."""
        end = self._clock.monotonic() + seconds
        while (self._sending or not self._turn.empty()) and self._clock.monotonic() < end:
            await self._clock.sleep(0.01)
        self._stopping = True
        while self._sending and self._clock.monotonic() < end + self._limits.interval:
            await self._clock.sleep(0.01)
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._unmark()
        await self._notes.drained()

    def _unmark(self) -> None:
        """Heads that were marked and never went out raise no doubt: whoever sweeps sends them for the first time."""
        for lane in self._lanes.values():
            head = lane.parcels[0] if lane.parcels else None
            if head is None or not head.marked or head.uncertain or head.id in self.proofs.tried or self.gate.lapsed:
                continue
            head.marked = False
            note = SendNote(id=head.id, status="pending", at=self._clock.now(), attempts=head.attempts)
            self._notes.add((lane, (note,)))

    async def drained(self) -> None:
        """Return when everything that has ended is noted; it waits for the events of failed sends to be durable."""
        await self._ending.finished()
        await self._notes.drained()

    def __len__(self) -> int:
        """Messages in memory."""
        return self._count

    def idle(self, customer: CustomerId) -> bool:
        """Nothing of this customer waits or is out: the next message may be committed as `sending` at once."""
        return customer not in self._lanes and not self._stopping and not self.gate.shut()

    def room(self, customer: CustomerId) -> bool:
        """Whether this replica takes further messages of the customer; when not, they wait in the store in order."""
        return customer not in self.spilled.since and self._count < self._limits.parcels

    @property
    def free(self) -> int:
        """Messages that may still be taken into memory."""
        return self._limits.parcels - self._count

    async def confirm(self) -> None:
        """After a pause longer than the lease: drop what others have claimed meanwhile, and line up behind it."""
        self.gate.confirmations += 1
        self.gate.asking = True
        try:
            await self._confirm()
        finally:
            self.gate.asking = False

    async def _confirm(self) -> None:
        asked = [parcel.id for lane in self._lanes.values() for parcel in lane.parcels]
        lost = set(asked) - set(await self._store.still_mine(self._me, asked)) if asked else set()
        for message in lost:
            self.proofs.tried.pop(message, None)
        for lane in list(self._lanes.values()):
            kept = deque(parcel for parcel in lane.parcels if parcel.id not in lost)
            if len(kept) < len(lane.parcels):
                self.spilled.add(lane.customer)
            self._count -= len(lane.parcels) - len(kept)
            lane.parcels = kept
            if not kept:
                del self._lanes[lane.customer]

    def send(self, customer: CustomerId, recipient: str, effect: SendMessage, *, marked: bool) -> None:
        """Take a committed message; it lines up behind those of the same customer."""
        self.put(
            Parcel(
                id=effect.id,
                customer=customer,
                recipient=recipient,
                content=effect.content,
                number=effect.number,
                kind=effect.kind,
                caused_at=effect.caused_at,
                created_at=effect.at,
                marked=marked,
            )
        )

    def put(self, parcel: Parcel) -> None:
        """Take a committed message as the store has it; one without a number of ours goes out from the default one.

        What is here already is not taken twice: a claim whose answer was late may bring it again.
        """
        parcel.number = parcel.number or self._default_number
        lane = self._lanes.get(parcel.customer)
        if lane is not None and lane.knows(parcel):
            return
        self._count += 1
        if lane is not None:
            self._turn.line_up(lane, parcel)
            return
        lane = self._lanes[parcel.customer] = Lane(customer=parcel.customer, parcels=deque((parcel,)))
        self._next(lane)

    async def reported_failed(self, failures: Sequence[FailedReport]) -> None:
        """Reports say that these will never arrive. Returns when it is certain that their conversations hear of it."""
        for failure in failures:
            event = SendFailed(message_id=failure.message, reason=failure.reason, code=failure.code)
            await self._failed(failure.customer, event)

    # --- turns -------------------------------------------------------------------------------------------------------

    def _next(self, lane: Lane) -> None:
        """Bring the head of the lane to a worker, as soon as it may go."""
        if not lane.parcels or self._stopping:
            return
        parcel = lane.parcels[0]
        now = self._clock.now()
        wait = max(parcel.not_before - now, self._pacing.wait(parcel.recipient, now))
        if wait > 0:
            self._clock.later(wait, lambda: self._next(lane))
        elif self.gate.shut():
            self.gate.hold(lane)
        elif not parcel.marked:
            self._mark(lane, parcel)
        else:
            self._turn.put_nowait(lane)

    def _mark(self, lane: Lane, parcel: Parcel) -> None:
        parcel.marked = True
        note = SendNote(id=parcel.id, status="sending", at=self._clock.now(), attempts=parcel.attempts)
        self._notes.add((lane, (note,)))

    # --- workers -----------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            lane = await self._turn.get()
            if self._stopping:
                continue
            self._sending += 1
            try:
                await self._attempt(lane)
            except Exception:
                log.exception("a send failed unexpectedly", extra={"customer": lane.customer})
                if lane.parcels:
                    self._retry(lane, lane.parcels[0], INTERNAL)
            finally:
                self._sending -= 1

    async def _attempt(self, lane: Lane) -> None:
        if not lane.parcels:
            return
        if self.gate.shut():
            self.gate.hold(lane)
            return
        parcel = lane.parcels[0]
        if parcel.proven:
            self._proved(lane, parcel.id)
            return
        if not parcel.marked:
            self._mark(lane, parcel)
            return
        if self._gave_up(parcel):
            self._fail(lane, parcel, "not delivered in time", 0)
            return
        if not self._breaker.admit():
            self.gate.hold(lane)
            return
        try:
            await self._limiter.acquire()
            if self.gate.lapsed or not lane.heads(parcel.id):  # the process stood still meanwhile
                self._breaker.abandoned()
                self.gate.hold(lane)
                return
            if parcel.uncertain:
                metrics.uncertain_sends_total.inc()
                parcel.uncertain = False
            self._pacing.used(parcel.recipient, self._clock.now())
            self.proofs.tried[parcel.id] = lane
            started = self._clock.monotonic()
            outcome = await self._channel.send(
                parcel.content, number=parcel.number, recipient=parcel.recipient, reference=parcel.id
            )
        except BaseException:
            self._breaker.abandoned()
            raise
        metrics.send_seconds.observe(self._clock.monotonic() - started)
        parcel.attempts += 1
        match outcome:
            case Accepted():
                self._breaker.succeeded()
                self._accepted(lane, parcel, outcome)
            case Rejected():
                self._breaker.succeeded()
                if outcome.alert:
                    log.error("the provider refuses us", extra={"reason": outcome.reason, "code": outcome.code})
                self._fail(lane, parcel, outcome.reason, outcome.code)
            case Deferred():
                self._deferred(lane, parcel, outcome)

    def _gave_up(self, parcel: Parcel) -> bool:
        return self._clock.now() - parcel.created_at > self._limits.give_up

    # --- outcomes ----------------------------------------------------------------------------------------------------

    def _accepted(self, lane: Lane, parcel: Parcel, outcome: Accepted) -> None:
        metrics.sent_total.inc()
        seconds = max(0.0, (now := self._clock.now()) - parcel.caused_at)
        metrics.reply_seconds_by_kind[parcel.kind].observe(seconds)
        self._done(
            lane,
            SendNote(
                id=parcel.id,
                status="sent",
                at=now,
                provider_id=outcome.provider_id,
                request_id=outcome.request_id,
                attempts=parcel.attempts,
                processing_time=seconds,
            ),
        )

    def _fail(self, lane: Lane, parcel: Parcel, reason: str, code: int) -> None:
        (metrics.given_up_total if code == 0 and self._gave_up(parcel) else metrics.rejected_total).inc()
        self._ending.spawn(self._end_failed(lane, parcel, reason, code), "failed send")

    async def _end_failed(self, lane: Lane, parcel: Parcel, reason: str, code: int) -> None:
        """First the event, then the note: a message that is noted as failed has been told of, also after a crash."""
        await self._failed(parcel.customer, SendFailed(message_id=parcel.id, reason=reason, code=code))
        note = SendNote(
            id=parcel.id, status="failed", at=self._clock.now(), reason=reason, code=code, attempts=parcel.attempts
        )
        self._done(lane, note)

    def _done(self, lane: Lane, note: SendNote) -> None:
        """The head is finished: note it, and in the same breath mark the one behind it.

        An empty lane stays until the note is written: a message that goes out before that could double together with
        this one, and a customer may see at most one twice.
        """
        self.proofs.tried.pop(note.id, None)
        if lane.heads(note.id):  # or else another replica took it over meanwhile
            lane.parcels.popleft()
            self._count -= 1
            head = lane.parcels[0] if lane.parcels else None
            if head is not None and self._may_mark(head, note.at):
                head.marked = True
                self._notes.add((lane, (note, SendNote(id=head.id, status="sending", at=note.at))))
                return
        self._notes.add((lane, (note,)))

    def _may_mark(self, head: Parcel, at: float) -> bool:
        return not (head.marked or self._stopping or self.gate.shut() or self._pacing.wait(head.recipient, at) > 0)

    def _proved(self, lane: Lane, message: MessageId) -> None:
        self._done(lane, SendNote(id=message, status="sent", at=self._clock.now()))

    def _deferred(self, lane: Lane, parcel: Parcel, outcome: Deferred) -> None:
        metrics.deferred_total.inc()
        if outcome.scope == "gateway":
            self._breaker.failed(open_for=outcome.retry_after)
        else:
            self._breaker.succeeded()
        if outcome.scope == "number":
            self.gate.pause(outcome.retry_after)
        if outcome.uncertain:
            self.proofs.wait(lane, parcel, outcome)
        else:
            self._retry(lane, parcel, outcome)

    def _retry(self, lane: Lane, parcel: Parcel, outcome: Deferred) -> None:
        if not lane.heads(parcel.id):  # another replica took it over meanwhile
            self.proofs.tried.pop(parcel.id, None)
            self._next(lane)
            return
        if self._gave_up(parcel):
            self._fail(lane, parcel, outcome.reason, outcome.code)
            return
        delay = send_delay(
            max(1, parcel.attempts),
            recipient=outcome.scope == "recipient",
            retry_after=outcome.retry_after,
            chance=self._clock.seed() / 2**64,
        )
        now = self._clock.now()
        parcel.not_before = now + delay
        parcel.marked = parcel.uncertain or self.gate.lapsed  # another may be sending it: never say that nobody is
        note = SendNote(
            id=parcel.id,
            status="sending" if parcel.marked else "pending",
            at=now,
            reason=outcome.reason,
            code=outcome.code,
            attempts=parcel.attempts,
            retry_at=parcel.not_before,
        )
        self._notes.add((lane, (note,)))

    # --- notes -------------------------------------------------------------------------------------------------------

    async def _note(self, items: Sequence[tuple[Lane, tuple[SendNote, ...]]]) -> Sequence[None]:
        try:
            failed = await self._store.note([note for _, notes in items for note in notes])
        except Unavailable:
            metrics.store_errors_total.labels("notes").inc()
            raise
        await self.reported_failed(failed)
        return [None] * len(items)

    def _noted(self, item: tuple[Lane, tuple[SendNote, ...]], result: Exception | None) -> None:
        lane, _ = item
        if result is not None:
            log.error("an outcome could not be noted", extra={"error": type(result).__name__})
        if self._lanes.get(lane.customer) is not lane:
            return
        if lane.parcels:
            self._next(lane)
        else:
            del self._lanes[lane.customer]
