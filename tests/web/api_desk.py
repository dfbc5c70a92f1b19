"""`Desk` over the small support desk of `tests/web/api_world.py`: what is done to it changes what it holds."""

from collections.abc import Callable, Sequence

import msgspec

from bot.core.events import (
    AgentAssigned,
    AgentReplied,
    ConversationResolved,
    EscalationRequested,
    PreferencesChanged,
    ReturnedToBot,
)
from bot.core.ids import ConversationId, MessageId
from bot.core.messages import Outbound
from bot.core.modes import Move, moved
from bot.records import ActResult, ConversationRecord, Deed, FlowSummary, Notice, UserRecord
from tests.web.api_world import MemoryRecords, id_at

MOVES: dict[type[Deed], Move] = {
    AgentAssigned: "assign",
    EscalationRequested: "escalate",
    ConversationResolved: "resolve",
    ReturnedToBot: "return",
}


class MemoryDesk:
    """`Desk` over `MemoryRecords`, by the table of modes. While `slow`, everything is pending and stays so."""

    def __init__(self, records: MemoryRecords) -> None:
        self._records = records
        self._results: dict[tuple[str, str], ActResult] = {}
        self.done: list[Deed | PreferencesChanged | Outbound] = []
        self.slow = False
        self.taken = 10_000
        self.problems: tuple[str, ...] = ()
        self.reloads = 0
        self.settled: list[tuple[int, str]] = []

    async def act(self, conversation: ConversationId, deed: Deed, *, key: str) -> ActResult:
        talk = await self._records.conversation(conversation)
        if talk is None:
            return ActResult(status="not_found")
        return self._once(conversation, key, deed, lambda: self._act(talk, deed))

    async def change(self, phone: str, preferences: PreferencesChanged, *, key: str) -> ActResult:
        user = await self._records.user(phone)
        if user is None:
            return ActResult(status="not_found")
        return self._once(phone, key, preferences, lambda: self._change(user, preferences))

    async def send(self, phone: str, content: Outbound, *, by: str, key: str) -> ActResult:
        user = await self._records.user(phone)
        if user is not None and user.opted_out:
            return ActResult(status="refused", reason="The customer opted out.")
        sent = ActResult(status="done", messages=(MessageId(id_at(60)),))
        return self._once(phone, key, content, lambda: sent)

    async def send_many(self, notices: Sequence[Notice], *, by: str, key: str) -> Sequence[ActResult | None]:
        """Only so many are taken as `taken` says."""
        return [
            await self.send(notice.phone, notice.content, by=by, key=f"{key} {notice.content}")
            if place < self.taken
            else None
            for place, notice in enumerate(notices)
        ]

    async def reload_flows(self) -> Sequence[str]:
        self.reloads += 1
        return self.problems

    def flows(self) -> Sequence[FlowSummary]:
        return (FlowSummary(flow_id="support", version=1, priority=10, steps=9, digest="d1"),)

    async def retry_parked(self, parked: int, *, by: str = "operator") -> bool:
        self.settled.append((parked, by))
        return any(one.id == parked for one in self._records.scene.parked)

    async def discard_parked(self, parked: int, *, by: str = "operator") -> bool:
        return await self.retry_parked(parked, by=by)

    def _once(
        self, subject: str, key: str, deed: Deed | PreferencesChanged | Outbound, effect: Callable[[], ActResult]
    ) -> ActResult:
        if self.slow:
            return ActResult(status="pending")
        if (subject, key) not in self._results:
            self._results[subject, key] = effect()
            self.done.append(deed)
        return self._results[subject, key]

    def _act(self, talk: ConversationRecord, deed: Deed) -> ActResult:
        if isinstance(deed, AgentReplied):
            made = (MessageId(id_at(61)),)
            refused = ActResult(status="refused", reason="Nobody answers a closed conversation.")
            return refused if talk.status == "closed" else ActResult(status="done", messages=made)
        mode = moved(talk.status, MOVES[type(deed)])
        if mode is None:
            return ActResult(status="refused", reason=f"A conversation in mode {talk.status} cannot do this.")
        self._replace(talk, msgspec.structs.replace(talk, status=mode))
        return ActResult(status="done")

    def _change(self, user: UserRecord, wanted: PreferencesChanged) -> ActResult:
        given = {"name": wanted.name, "language": wanted.language, "opted_out": wanted.opted_out}
        changed = msgspec.structs.replace(user, **{name: value for name, value in given.items() if value is not None})
        scene = self._records.scene
        users = tuple(changed if one is user else one for one in scene.users)
        self._records.scene = msgspec.structs.replace(scene, users=users)
        return ActResult(status="done")

    def _replace(self, old: ConversationRecord, new: ConversationRecord) -> None:
        scene = self._records.scene
        talks = tuple(new if one is old else one for one in scene.conversations)
        self._records.scene = msgspec.structs.replace(scene, conversations=talks)
