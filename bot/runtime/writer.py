"""From a step to a write: the state, its projection and everything the effects say, sealed under the customer's key."""

from collections.abc import Callable, Sequence

from bot.core.announcements import Announcement, announcements, encode_announcement
from bot.core.conversation import Step
from bot.core.effects import (
    AskModel,
    CloseConversation,
    Effect,
    RecordMessage,
    SendMessage,
    StartTimer,
    StopTimer,
    WithholdMessage,
    WriteAudit,
)
from bot.core.events import Envelope, ModelAnswered, ModelFailed, ModelUse, TimerFired
from bot.core.ids import EffectId, TimerId
from bot.core.messages import Inbound, Outbound, Text, encode_content
from bot.core.search import search_words
from bot.core.state import Conversation, Customer, encode_conversation
from bot.ports.keys import Sealer, Vault
from bot.ports.store import (
    AnnouncementRow,
    AuditRow,
    ConversationRow,
    CustomerFacts,
    EffectRow,
    MessageRow,
    TimerRow,
    Write,
)
from bot.runtime.actor import Actor
from bot.runtime.letters import Letter
from bot.runtime.thinking import encode_question

STATE_CONTEXT = b"state"
IDENTITY_CONTEXT = b"identity"
NAME_CONTEXT = b"name"
REASON_CONTEXT = b"reason"
NOTE_CONTEXT = b"note"


def message_context(message_id: str) -> bytes:
    """What binds a sealed content to its row: the 16 bytes of the message's UUID."""
    return bytes.fromhex(message_id.replace("-", ""))


class Claims:
    """Who performs what a write asks for: this replica, or whoever sweeps first when it has no room.

    `confirmations`: how often this replica had asked by then what is still its own.
    """

    def __init__(self, *, message: str, head_status: str, effect: str, confirmations: int = 0) -> None:
        self.message = message
        self.head_status = head_status
        self.effect = effect
        self.confirmations = confirmations


class Writer:
    def __init__(self, vault: Vault, wanted: Callable[[], frozenset[str]]) -> None:
        """`wanted`: the types of event that somebody is to be told of; empty where nobody is."""
        self._vault = vault
        self._wanted = wanted

    def write(
        self,
        actor: Actor,
        letters: Sequence[Letter],
        conversation: Conversation,
        effects: Sequence[Effect],
        *,
        steps: Sequence[Step],
        claims: Claims,
        commit_id: int,
        at: float,
    ) -> Write:
        """The write of one or several steps in a row of `actor`, whose state before them was `actor.conversation`."""
        if actor.sealer is None or actor.conversation is None:
            raise ValueError("an actor without a state cannot write")
        rows = _Rows(actor, actor.sealer, conversation, claims)
        for effect in effects:
            rows.add(effect)
        before = actor.conversation
        return Write(
            customer=actor.customer,
            version=actor.version,
            commit_id=commit_id,
            state=actor.sealer.seal(encode_conversation(conversation), STATE_CONTEXT),
            consumed=tuple(letter.seq for letter in letters),
            at=at,
            conversations=_projections(actor.sealer, before, conversation, rows.closed, at),
            messages=tuple(rows.messages),
            effects=tuple(rows.effects),
            done_effects=tuple(_answered(letter.envelope) for letter in letters if _answered(letter.envelope)),
            timers=tuple(rows.timers.values()),
            stopped_timers=(*rows.stopped, *_fired(letters)),
            audit=tuple(rows.audit),
            facts=self._facts(actor.sealer, before.customer, conversation.customer, first=actor.version == 0),
            announcements=_announced(actor.sealer, before, letters, steps, self._wanted()),
        )

    def _facts(self, sealer: Sealer, before: Customer, after: Customer, *, first: bool) -> CustomerFacts | None:
        if not first and before == after:
            return None
        return CustomerFacts(
            name=sealer.seal(after.name.encode(), NAME_CONTEXT),
            language=after.language,
            opted_out=after.opted_out,
            search=tuple(self._vault.fingerprint("search", word) for word in search_words(after.phone, after.name)),
        )


def _announced(
    sealer: Sealer, before: Conversation, letters: Sequence[Letter], steps: Sequence[Step], wanted: frozenset[str]
) -> tuple[AnnouncementRow, ...]:
    if not wanted:
        return ()
    rows: list[AnnouncementRow] = []
    for letter, step in zip(letters, steps, strict=True):
        told = announcements(before, letter.envelope, step, wanted)
        rows += [_announcement(sealer, one, letter.envelope.at) for one in told]
        before = step.conversation
    return tuple(rows)


def _announcement(sealer: Sealer, told: Announcement, at: float) -> AnnouncementRow:
    sealed = sealer.seal(encode_announcement(told), message_context(told.id))
    return AnnouncementRow(id=told.id, type=told.type, conversation=told.conversation, sealed=sealed, at=at)


def _answered(envelope: Envelope) -> EffectId:
    event = envelope.event
    return event.ask_id if isinstance(event, ModelAnswered | ModelFailed) else EffectId("")


def _fired(letters: Sequence[Letter]) -> list[TimerId]:
    return [letter.envelope.event.timer_id for letter in letters if isinstance(letter.envelope.event, TimerFired)]


class _Rows:
    """The rows that effects become."""

    def __init__(self, actor: Actor, sealer: Sealer, conversation: Conversation, claims: Claims) -> None:
        self._actor = actor
        self._sealer = sealer
        self._customer = conversation.customer
        self._claims = claims
        self._head = claims.head_status
        self.messages: list[MessageRow] = []
        self.effects: list[EffectRow] = []
        self.timers: dict[TimerId, TimerRow] = {}
        self.stopped: list[TimerId] = []
        self.audit: list[AuditRow] = []
        self.closed: dict[str, CloseConversation] = {}
        self._conversation = conversation.id

    def add(self, effect: Effect) -> None:
        match effect:
            case SendMessage():
                self.messages.append(self._sent(effect))
            case RecordMessage():
                self.messages.append(self._received(effect))
            case WithholdMessage():
                self.messages.append(self._withheld(effect))
            case AskModel():
                sealed = self._sealer.seal(encode_question(effect), message_context(effect.id))
                row = EffectRow(id=effect.id, kind="ask_model", sealed=sealed, claimed_by=self._claims.effect)
                self.effects.append(row)
            case StartTimer():
                self.timers[effect.id] = TimerRow(id=effect.id, kind=effect.kind, due=effect.due)
            case StopTimer():
                if self.timers.pop(effect.id, None) is None:
                    self.stopped.append(effect.id)
            case CloseConversation():
                self.closed[effect.conversation] = effect
            case WriteAudit():
                self.audit.append(
                    AuditRow(
                        action=effect.action,
                        by=effect.by,
                        at=effect.at,
                        detail=effect.detail,
                        conversation=self._conversation or None,
                        note=_sealed(self._sealer, effect.note, NOTE_CONTEXT),
                    )
                )

    def _content(self, message_id: str, content: Inbound | Outbound) -> bytes:
        return self._sealer.seal(encode_content(content), message_context(message_id))

    def _identity(self, identity: str) -> bytes:
        """Sealed once per actor: the same words under the same key need no second sealing."""
        sealed = self._actor.sealed_identities.get(identity)
        if sealed is None:
            sealed = self._sealer.seal(identity.encode(), IDENTITY_CONTEXT)
            self._actor.sealed_identities[identity] = sealed
        return sealed

    def _theirs(self) -> bytes:
        return self._identity(self._customer.phone or self._customer.user_id)

    def _sent(self, effect: SendMessage) -> MessageRow:
        status, self._head = self._head, "pending"
        use = effect.use
        return MessageRow(
            id=effect.id,
            conversation=effect.conversation,
            direction="outbound",
            message_type=_type_of(effect.content),
            content=self._content(effect.id, effect.content),
            sender_number=self._identity(effect.number),
            recipient_number=self._theirs(),
            delivery_status=status,
            kind=effect.kind,
            at=effect.at,
            caused_at=effect.caused_at,
            number=effect.number,
            claimed_by=self._claims.message,
            agent=effect.agent,
            is_from_llm=use is not None,
            llm_model_used=use.model if use else "",
            llm_cost=use.cost_usd if use else None,
            llm_cost_estimated=use.estimated if use else False,
        )

    def _received(self, effect: RecordMessage) -> MessageRow:
        return MessageRow(
            id=effect.id,
            conversation=effect.conversation,
            direction="inbound",
            message_type=_type_of(effect.content),
            content=self._content(effect.id, effect.content),
            sender_number=self._theirs(),
            recipient_number=self._identity(effect.number),
            delivery_status="received",
            kind="customer",
            at=effect.at,
            caused_at=effect.at,
            provider_id=effect.provider_id,
            number=effect.number,
            unanswered=effect.unanswered,
        )

    def _withheld(self, effect: WithholdMessage) -> MessageRow:
        use: ModelUse = effect.use
        return MessageRow(
            id=effect.id,
            conversation=effect.conversation,
            direction="outbound",
            message_type="text",
            content=self._content(effect.id, Text(text=effect.text)),
            sender_number=self._identity(""),
            recipient_number=self._theirs(),
            delivery_status="withheld",
            kind="model",
            at=effect.at,
            caused_at=effect.at,
            is_from_llm=True,
            llm_model_used=use.model,
            llm_cost=use.cost_usd,
            llm_cost_estimated=use.estimated,
        )


def _type_of(content: Inbound | Outbound) -> str:
    kind = getattr(content, "kind", "")
    return str(kind) if kind else type(content).__name__.lower()


def _projections(
    sealer: Sealer, before: Conversation, after: Conversation, closed: dict[str, CloseConversation], at: float
) -> tuple[ConversationRow, ...]:
    rows = [_row(sealer, before, closed[before.id], at)] if before.id != after.id and before.id in closed else []
    if after.id:
        rows.append(_row(sealer, after, closed.get(after.id), at))
    return tuple(rows)


def _row(sealer: Sealer, state: Conversation, closed: CloseConversation | None, at: float) -> ConversationRow:
    by_person = closed is not None and closed.by != "timeout"
    return ConversationRow(
        id=state.id,
        session_id=state.session,
        status="closed" if closed else state.mode,
        current_flow=state.flow.flow_id if state.flow and not closed else "",
        current_step=state.flow.step_id if state.flow and not closed else "",
        language=state.customer.language,
        escalation_reason=_sealed(sealer, state.reason, REASON_CONTEXT),
        department=state.department,
        agent=state.agent,
        number=state.number,
        created_at=state.started_at,
        updated_at=at,
        heard_at=state.heard_at or state.started_at,
        completed_at=closed.at if closed else None,
        resolution_time=closed.at - state.started_at if closed and by_person else None,
    )


def _sealed(sealer: Sealer, text: str, context: bytes) -> bytes:
    """Free text beside the messages; most rows have none."""
    return sealer.seal(text.encode(), context) if text else b""
