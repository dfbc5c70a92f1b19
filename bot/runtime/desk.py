"""What people do, as events: journalled like everything else, then awaited until they were applied."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from bot.core.events import Event, NoticeRequested, PreferencesChanged, Sender
from bot.core.ids import ConversationId, CustomerId
from bot.core.messages import Outbound
from bot.ports.directory import Directory
from bot.ports.failures import Unavailable
from bot.ports.parking import OPERATOR, Parking
from bot.records import ActResult, Deed, FlowSummary, Notice
from bot.runtime.bulk import Bulk
from bot.runtime.clock import Clock
from bot.runtime.flows import Bookshelf
from bot.runtime.intake import Intake
from bot.runtime.letters import event_key
from bot.runtime.recollection import Recollection
from bot.runtime.registry import Registry
from bot.runtime.tasks import Tasks
from bot.runtime.watching import Outcome, Told

WAIT_SECONDS = 5.0
"""How long a caller waits for a deed to be applied before it is told that this is pending."""
REMEMBERED = 10_000
"""Results kept for callers that use a key again."""


class UnderWay(msgspec.Struct, kw_only=True):
    """A deed that was posted: the result to come, and what watches for it, here or at the replica with the seat.

    `repeated`: the journal had it already.
    """

    done: asyncio.Future[ActResult]
    told: Told
    repeated: bool = False


class Acting:
    """The port `bot.records.Desk`."""

    def __init__(
        self,
        *,
        intake: Intake,
        registry: Registry,
        directory: Directory,
        parking: Parking,
        recollection: Recollection,
        shelf: Bookshelf,
        tasks: Tasks,
        clock: Clock,
        asked: Callable[[CustomerId, bytes], None] | None = None,
    ) -> None:
        """`asked` hears of each event that a caller asks for, and the key it is journalled under."""
        self._asked = asked
        self._intake = intake
        self._registry = registry
        self._directory = directory
        self._parking = parking
        self._recollection = recollection
        self._shelf = shelf
        self._tasks = tasks
        self._clock = clock
        self._bulk = Bulk(resolve=self._customers, do=self._do, clock=clock)
        self._results: dict[bytes, ActResult] = {}
        self._under_way: dict[bytes, UnderWay] = {}

    async def act(self, conversation: ConversationId, deed: Deed, *, key: str) -> ActResult:
        customer = await self._directory.holder(conversation)
        if customer is None:
            return ActResult(status="not_found")
        event = msgspec.structs.replace(deed, conversation=conversation)
        return await self._do(customer, event, event_key("deed", conversation, key))

    async def change(self, phone: str, preferences: PreferencesChanged, *, key: str) -> ActResult:
        customer = await self._directory.known(Sender(phone=phone))
        if customer is None:
            return ActResult(status="not_found")
        return await self._do(customer, preferences, event_key("change", phone, key))

    async def send(self, phone: str, content: Outbound, *, by: str, key: str) -> ActResult:
        customer = await self._intake.resolve(Sender(phone=phone))
        event = NoticeRequested(by=by, content=content, phone=phone)
        return await self._do(customer, event, event_key("notice", phone, key))

    async def send_many(self, notices: Sequence[Notice], *, by: str, key: str) -> Sequence[ActResult | None]:
        return await self._bulk.send(notices, by=by, key=key)

    async def reload_flows(self) -> Sequence[str]:
        return await self._shelf.reload()

    def flows(self) -> Sequence[FlowSummary]:
        return [
            FlowSummary(
                flow_id=flow.flow_id,
                version=flow.version,
                priority=flow.priority,
                steps=len(flow.ops),
                digest=flow.digest,
            )
            for flow in self._shelf.book().flows.values()
        ]

    async def retry_parked(self, parked: int, *, by: str = OPERATOR) -> bool:
        return await self._release(parked, discard=False, by=by)

    async def discard_parked(self, parked: int, *, by: str = OPERATOR) -> bool:
        return await self._release(parked, discard=True, by=by)

    async def _release(self, parked: int, *, discard: bool, by: str) -> bool:
        customer = await self._parking.release(parked, discard=discard, by=by, at=self._clock.now())
        if customer is None:
            return False
        self._registry.wake(customer)
        return True

    async def _customers(self, phones: Sequence[str]) -> Sequence[CustomerId]:
        return await self._intake.resolve_all([Sender(phone=phone) for phone in phones])

    async def _do(self, customer: CustomerId, event: Event, key: bytes) -> ActResult:
        """Callers that come with the same key at the same time wait for the same result."""
        if key in self._results:
            return self._results[key]
        under_way = self._under_way.get(key) or self._begin(customer, event, key)
        try:
            return await asyncio.wait_for(asyncio.shield(under_way.done), WAIT_SECONDS)
        except TimeoutError:
            known = await self._recalled(key) if under_way.repeated else None
            return known or ActResult(status="pending")
        finally:
            self._registry.watching.unwatch(key, under_way.told)
            self._under_way.pop(key, None)

    def _begin(self, customer: CustomerId, event: Event, key: bytes) -> UnderWay:
        done: asyncio.Future[ActResult] = asyncio.get_running_loop().create_future()

        def settle(result: ActResult) -> None:
            if not done.done():
                done.set_result(result)
                self._remember(key, result)

        def journalled(result: bool | Exception) -> None:
            if isinstance(result, Exception):  # what the journal refuses will never be applied
                settle(ActResult(status="refused", reason="the store does not take this"))
            elif not result:
                under_way.repeated = True
                self._tasks.spawn(self._look_back(customer, key, settle), "look back")

        under_way = self._under_way[key] = UnderWay(done=done, told=lambda outcome: settle(_result(outcome)))
        self._registry.watching.watch(customer, key, under_way.told)
        if self._asked is not None:
            self._asked(customer, key)
        self._intake.post(customer, event, key=key, done=journalled)
        return under_way

    async def _look_back(self, customer: CustomerId, key: bytes, settle: Callable[[ActResult], None]) -> None:
        """An event that was journalled before is not applied again: it was, or is now by whoever has the seat."""
        known = await self._recalled(key)
        if known is not None:
            settle(known)
        else:
            self._registry.wake(customer)

    async def _recalled(self, key: bytes) -> ActResult | None:
        try:
            return await self._recollection.result(key)
        except Unavailable:
            return None

    def _remember(self, key: bytes, result: ActResult) -> None:
        if len(self._results) >= REMEMBERED:
            self._results.clear()
        self._results[key] = result


def _result(outcome: Outcome) -> ActResult:
    if outcome.refusal:
        return ActResult(status="refused", reason=outcome.refusal, messages=outcome.messages)
    return ActResult(status="done", messages=outcome.messages)
