"""Fulfils `bot.ports.webhooks.Webhooks` in memory, and receivers that answer as they are told."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from bot.core.ids import ConversationId, CustomerId
from bot.ports.journal import Backlog
from bot.ports.store import Write
from bot.ports.webhooks import (
    Answered,
    Attempted,
    Claimed,
    DeliveryRow,
    DeliveryStatus,
    Disabled,
    Endpoint,
    EndpointChanges,
    EndpointId,
    NewEndpoint,
    Patience,
)
from bot.runtime.clock import Clock
from tests.runtime.memory.link import Link
from tests.runtime.memory.tables import Hook, HookDelivery, Tables


def announce(tables: Tables, write: Write) -> None:
    """Make the deliveries of a write that takes effect."""
    for row in write.announcements:
        for endpoint in sorted(tables.hooks):
            hook = tables.hooks[endpoint]
            if hook.active and row.type in hook.events:
                _insert(tables, endpoint, row.id, row.type, row.sealed, row.at, write.customer, row.conversation)


def _insert(
    tables: Tables,
    endpoint: str,
    event: str,
    kind: str,
    sealed: bytes,
    at: float,
    customer: CustomerId | None = None,
    conversation: ConversationId | None = None,
) -> HookDelivery:
    made = HookDelivery(
        id=tables.number(),
        endpoint=endpoint,
        event=event,
        type=kind,
        customer=customer,
        conversation=conversation,
        sealed=sealed,
        created_at=at,
        next_try_at=0.0,
    )
    tables.hook_deliveries[made.id] = made
    return made


class MemoryWebhooks:
    def __init__(self, tables: Tables, link: Link, clock: Clock) -> None:
        self._tables = tables
        self._link = link
        self._clock = clock

    async def endpoints(self) -> Sequence[Endpoint]:
        """Without any nothing is asked: what is tried about customers is not disturbed by it."""
        if not self._tables.hooks:
            return ()
        return await self._link.call("webhooks.endpoints", self._endpoints)

    async def endpoint(self, endpoint: EndpointId) -> Endpoint | None:
        return next((one for one in await self.endpoints() if one.id == endpoint), None)

    async def make(self, new: NewEndpoint, *, most: int) -> Endpoint | None:
        def work() -> Endpoint | None:
            if len(self._tables.hooks) >= most:
                return None
            made = Hook(
                url=new.url,
                events=new.events,
                description=new.description,
                secret=new.secret,
                created_at=self._clock.now(),
                place=self._tables.number(),
            )
            self._tables.hooks[new.id] = made
            return _shown(new.id, made)

        return await self._link.call("webhooks.make", work)

    async def change(self, endpoint: EndpointId, changes: EndpointChanges) -> Endpoint | None:
        def work() -> Endpoint | None:
            hook = self._tables.hooks.get(endpoint)
            if hook is None:
                return None
            for name in ("url", "events", "description"):
                if getattr(changes, name) is not None:
                    setattr(hook, name, getattr(changes, name))
            if changes.active:
                hook.active, hook.failures, hook.failing_since, hook.hold_until = True, 0, None, None
                hook.disabled_at, hook.disabled_reason = None, ""
            if changes.active is False and hook.active:
                hook.active, hook.disabled_at, hook.disabled_reason = False, self._clock.now(), "by request"
            return _shown(endpoint, hook)

        return await self._link.call("webhooks.change", work)

    async def remove(self, endpoint: EndpointId) -> bool:
        return await self._link.call("webhooks.remove", lambda: self._tables.hooks.pop(endpoint, None) is not None)

    async def rotate(self, endpoint: EndpointId, secret: bytes, *, overlap: float) -> datetime | None:
        def work() -> datetime | None:
            hook = self._tables.hooks.get(endpoint)
            if hook is None:
                return None
            hook.old_secret, hook.secret = hook.secret, secret
            hook.old_secret_until = self._clock.now() + overlap
            return _moment(hook.old_secret_until)

        return await self._link.call("webhooks.rotate", work)

    async def add(self, endpoint: EndpointId, event_id: str, kind: str, sealed: bytes) -> DeliveryRow | None:
        def work() -> DeliveryRow | None:
            if endpoint not in self._tables.hooks:
                return None
            return _row(_insert(self._tables, endpoint, event_id, kind, sealed, self._clock.now()))

        return await self._link.call("webhooks.add", work)

    async def deliveries(
        self, endpoint: EndpointId, *, status: DeliveryStatus | None, after: int | None, limit: int
    ) -> Sequence[DeliveryRow]:
        def work() -> list[DeliveryRow]:
            found = [
                _row(one)
                for one in reversed(self._tables.hook_deliveries.values())
                if one.endpoint == endpoint and status in {None, one.status} and (after is None or one.id < after)
            ]
            return found[:limit]

        return await self._link.call("webhooks.deliveries", work)

    async def redeliver(self, delivery: int) -> DeliveryRow | None:
        def work() -> DeliveryRow | None:
            one = self._tables.hook_deliveries.get(delivery)
            if one is None or one.status == "cancelled" or one.endpoint not in self._tables.hooks:
                return None
            self._begin_anew(one)
            return _row(one)

        return await self._link.call("webhooks.redeliver", work)

    async def redeliver_since(
        self, endpoint: EndpointId, since: datetime, *, status: DeliveryStatus, limit: int
    ) -> int:
        def work() -> int:
            found = [
                one
                for one in self._tables.hook_deliveries.values()
                if (one.endpoint, one.status, one.claimed_by) == (endpoint, status, "")
                and one.created_at >= since.timestamp()
            ][:limit]
            for one in found:
                self._begin_anew(one)
            return len(found)

        return await self._link.call("webhooks.redeliver_since", work)

    async def claim(
        self, me: str, rooms: Mapping[EndpointId, int], *, seconds: float, lets_pass: int, failures: int
    ) -> Sequence[Claimed]:
        def work() -> list[Claimed]:
            return [
                self._claimed(one, me, seconds)
                for endpoint, room in rooms.items()
                for one in self._due(me, endpoint, room, lets_pass, failures)
            ]

        return await self._link.call("webhooks.claim", work)

    async def note(self, me: str, attempts: Sequence[Attempted], patience: Patience) -> Sequence[Disabled]:
        return await self._link.call("webhooks.note", lambda: self._note(me, attempts, patience))

    async def backlog(self) -> Backlog:
        def work() -> Backlog:
            waiting = [one.created_at for endpoint in self._active() for one in self._pending(endpoint)]
            oldest = self._clock.now() - min(waiting) if waiting else 0.0
            return Backlog(count=len(waiting), oldest_seconds=oldest)

        return await self._link.call("webhooks.backlog", work)

    async def forget(self, older_than: float, limit: int) -> int:
        def work() -> int:
            old = [one.id for one in self._tables.hook_deliveries.values() if one.created_at < older_than][:limit]
            for id_ in old:
                del self._tables.hook_deliveries[id_]
            return len(old)

        return await self._link.call("webhooks.forget", work)

    def _endpoints(self) -> list[Endpoint]:
        hooks = sorted(self._tables.hooks.items(), key=lambda item: -item[1].place)
        return [_shown(EndpointId(endpoint), hook) for endpoint, hook in hooks]

    def _active(self) -> list[str]:
        return [endpoint for endpoint, hook in self._tables.hooks.items() if hook.active]

    def _pending(self, endpoint: str) -> list[HookDelivery]:
        found = [one for one in self._tables.hook_deliveries.values() if one.endpoint == endpoint]
        return [one for one in found if one.status == "pending"]

    def _begin_anew(self, one: HookDelivery) -> None:
        one.status, one.finished_at = "pending", None
        if not one.claimed_by:
            one.attempts, one.next_try_at = 0, self._clock.now()

    def _due(self, me: str, endpoint: str, room: int, lets_pass: int, failures: int) -> list[HookDelivery]:
        now = self._clock.now()
        hook = self._tables.hooks.get(endpoint)
        if hook is None or not hook.active or (hook.hold_until or 0.0) > now:
            return []
        live = {*self._tables.live(now), me}
        pending = self._pending(endpoint)
        due = [
            one
            for one in pending
            if one.next_try_at <= now
            and (not one.claimed_by or one.claimed_until <= now or one.claimed_by not in live)
            and not any(_is_before(other, one, lets_pass) for other in pending)
        ]
        due.sort(key=lambda one: (one.next_try_at, one.id))
        return due[: 1 if hook.failures >= failures else room]

    def _claimed(self, one: HookDelivery, me: str, seconds: float) -> Claimed:
        now = self._clock.now()
        one.claimed_by, one.claimed_until = me, now + seconds
        hook = self._tables.hooks[one.endpoint]
        old = hook.old_secret if hook.old_secret_until > now else b""
        return Claimed(
            id=one.id,
            endpoint=EndpointId(one.endpoint),
            url=hook.url,
            secrets=(hook.secret, old) if old else (hook.secret,),
            event_id=one.event,
            customer=one.customer,
            data_key=self._tables.users[one.customer].data_key if one.customer is not None else b"",
            sealed=one.sealed,
            attempts=one.attempts,
        )

    def _note(self, me: str, attempts: Sequence[Attempted], patience: Patience) -> list[Disabled]:
        told: dict[str, list[Attempted]] = {}
        for attempt in attempts:
            one = self._tables.hook_deliveries.get(attempt.id)
            if one is None or one.status != "pending" or (one.claimed_by != me and attempt.status != "delivered"):
                continue
            self._settle(one, attempt)
            told.setdefault(one.endpoint, []).append(attempt)
        disabled = [self._judge(endpoint, noted, patience) for endpoint, noted in sorted(told.items())]
        return [one for one in disabled if one is not None]

    def _settle(self, one: HookDelivery, attempt: Attempted) -> None:
        now = self._clock.now()
        one.status, one.error, one.attempts = attempt.status, attempt.error, one.attempts + attempt.tried
        one.last_status_code = attempt.status_code or one.last_status_code
        one.claimed_by, one.next_try_at = "", now + attempt.delay
        one.finished_at = None if attempt.status == "pending" else now

    def _judge(self, endpoint: str, noted: Sequence[Attempted], patience: Patience) -> Disabled | None:
        now, hook = self._clock.now(), self._tables.hooks.get(endpoint)
        failed = sum(attempt.tried and attempt.status != "delivered" for attempt in noted)
        taken, gone = any(attempt.status == "delivered" for attempt in noted), any(attempt.gone for attempt in noted)
        if hook is None or not hook.active or not (gone or hook.failures or (failed and not taken)):
            return None
        hook.failures = 0 if taken else hook.failures + failed
        hook.failing_since = None if taken else hook.failing_since or now
        over = hook.failures - patience.failures
        hook.hold_until = None if over < 0 else now + min(patience.longest_pause, patience.pause * 2 ** min(over, 30))
        too_long = hook.failing_since is not None and hook.failing_since < now - patience.disable_after
        if not gone and not too_long:
            return None
        hook.active, hook.disabled_at = False, now
        hook.disabled_reason = "the endpoint answered 410: it is gone" if gone else "nothing was taken for too long"
        return Disabled(id=EndpointId(endpoint), reason=hook.disabled_reason)


def _is_before(other: HookDelivery, one: HookDelivery, lets_pass: int) -> bool:
    same = one.customer is not None and other.customer == one.customer
    return same and other.id < one.id and other.attempts < lets_pass


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)


def _shown(endpoint: EndpointId, hook: Hook) -> Endpoint:
    return Endpoint(
        id=endpoint,
        url=hook.url,
        events=hook.events,
        description=hook.description,
        active=hook.active,
        created_at=datetime.fromtimestamp(hook.created_at, UTC),
        disabled_at=_moment(hook.disabled_at),
        disabled_reason=hook.disabled_reason,
        failing_since=_moment(hook.failing_since),
    )


def _row(one: HookDelivery) -> DeliveryRow:
    return DeliveryRow(
        id=one.id,
        webhook_id=EndpointId(one.endpoint),
        event_id=one.event,
        type=one.type,
        conversation_id=one.conversation,
        status=one.status,
        attempts=one.attempts,
        last_status_code=one.last_status_code,
        error=one.error,
        created_at=datetime.fromtimestamp(one.created_at, UTC),
        next_try_at=_moment(one.next_try_at) if one.status == "pending" else None,
        finished_at=_moment(one.finished_at),
    )


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    url: str
    headers: Mapping[str, str]
    body: bytes


class MemoryCourier:
    """Receivers: `answer` says what each post is answered, an exception raised for it included."""

    def __init__(self) -> None:
        self.posts: list[Posted] = []
        self.answer: Callable[[Posted], Answered] = lambda _: Answered(status=204)

    async def deliver(self, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        post = Posted(url=url, headers=headers, body=body)
        self.posts.append(post)
        return self.answer(post)
