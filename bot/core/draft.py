"""One step in the making: a mutable copy of the conversation and the effects so far. It never leaves `step`."""

from bot.core.book import Book, OpenHours
from bot.core.effects import (
    AskModel,
    CloseConversation,
    Effect,
    RecordMessage,
    ReplyKind,
    SendMessage,
    StartTimer,
    StopTimer,
    Turn,
    WriteAudit,
)
from bot.core.events import Envelope, ModelUse, TimerKind
from bot.core.flow import FlowPosition, in_language
from bot.core.hours import local, opens_at
from bot.core.ids import ConversationId, EffectId, MessageId, TimerId, new_id
from bot.core.messages import Inbound, Outbound, spoken
from bot.core.modes import Mode, Move, moved
from bot.core.prompt import system_prompt
from bot.core.state import Asking, Conversation, Customer


class Draft:
    """What a step works on. Attributes are those of `Conversation`."""

    def __init__(self, conversation: Conversation, envelope: Envelope, book: Book) -> None:
        self.book = book
        self.rules = book.rules
        self.at = envelope.at
        self.effects: list[Effect] = []
        self.refusal = ""
        self.counted: list[str] = []
        self._seed = envelope.seed
        self._ids = 0
        self.mode: Mode = conversation.mode
        self.customer: Customer = conversation.customer
        self.id = conversation.id
        self.number = conversation.number
        self.started_at = conversation.started_at
        self.session = conversation.session
        self.session_started_at = conversation.session_started_at
        self.heard_at = conversation.heard_at
        self._flow: FlowPosition | None = conversation.flow
        self.asking: Asking | None = conversation.asking
        self.turns = conversation.turns
        self.timers: dict[TimerKind, TimerId] = dict(conversation.timers)
        self.department = conversation.department
        self.reason = conversation.reason
        self.agent = conversation.agent
        self.spent_usd = conversation.spent_usd
        self.outcome = conversation.outcome

    def finished(self) -> Conversation:
        return Conversation(
            mode=self.mode,
            customer=self.customer,
            id=self.id,
            number=self.number,
            started_at=self.started_at,
            session=self.session,
            session_started_at=self.session_started_at,
            heard_at=self.heard_at,
            flow=self._flow,
            asking=self.asking,
            turns=self.turns,
            timers=self.timers,
            department=self.department,
            reason=self.reason,
            agent=self.agent,
            spent_usd=self.spent_usd,
            outcome=self.outcome,
        )

    def fresh(self) -> str:
        """The next id of this step."""
        self._ids += 1
        return new_id(self.at, self._seed, self._ids)

    def refuse(self, reason: str) -> None:
        self.refusal = reason

    def move(self, move: Move) -> bool:
        """Change who holds the conversation; False, and a refusal, when the table has no such move."""
        mode = moved(self.mode, move)
        if mode is None:
            self.refuse(f"{move} is not possible while the conversation is {self.mode}")
            return False
        before, self.mode = self.mode, mode
        self._wait_for_agent(before)
        return True

    @property
    def flow(self) -> FlowPosition | None:
        return self._flow

    @flow.setter
    def flow(self, position: FlowPosition | None) -> None:
        """Go on, or leave the flow: nobody waits any more for the answer that a reminder was to ask for."""
        self._flow = position
        self.stop_timer("reminder")

    # --- the transcript ----------------------------------------------------------------------------------------------

    def record(self, content: Inbound, *, provider_id: str, number: str, unanswered: str = "") -> None:
        """Keep what the customer said, and let a later model see it."""
        self.effects.append(
            RecordMessage(
                id=MessageId(self.fresh()),
                conversation=self.id,
                content=content,
                provider_id=provider_id,
                number=number,
                at=self.at,
                unanswered=unanswered,
            )
        )
        self._remember(Turn(role="user", text=spoken(content)))

    def say(
        self,
        *contents: Outbound,
        kind: ReplyKind,
        use: ModelUse | None = None,
        agent: str = "",
        caused_at: float | None = None,
    ) -> None:
        """Send `contents` in order; a model's cost is noted on the first of them."""
        for content in contents:
            self.effects.append(
                SendMessage(
                    id=MessageId(self.fresh()),
                    conversation=self.id,
                    content=content,
                    kind=kind,
                    at=self.at,
                    caused_at=self.at if caused_at is None else caused_at,
                    number=self.number,
                    use=use,
                    agent=agent,
                )
            )
            self._remember(Turn(role="assistant", text=spoken(content)))
            use = None

    def _remember(self, turn: Turn) -> None:
        limit = self.rules.history_characters
        if len(turn.text) > limit:
            turn = Turn(role=turn.role, text=turn.text[:limit])
        self.turns = (*self.turns, turn)[-self.rules.history_turns :]

    def text(self, name: str) -> str:
        """A text of the rules in the customer's language."""
        return in_language(self.rules.texts[name], self.language, self.rules.default_language)

    @property
    def language(self) -> str:
        return self.customer.language or self.rules.default_language

    @property
    def quiet_since(self) -> float:
        """When the silence began: the customer wrote, or the conversation was begun by us."""
        return max(self.heard_at, self.started_at)

    # --- conversations, sessions, timers -----------------------------------------------------------------------------

    def open_conversation(self) -> None:
        """Begin a conversation and its first session."""
        self.id = ConversationId(self.fresh())
        self.started_at = self.at
        self.spent_usd = 0.0
        self.turns = ()
        self.department = self.reason = self.agent = ""
        self.outcome = ""
        self.open_session()

    def open_session(self) -> None:
        self.session = self.fresh()
        self.session_started_at = self.at
        self.flow = None
        self.drop_question()
        self._arm("session", self.at + self.rules.session_timeout)

    def close_conversation(self, *, by: str, expired: bool) -> None:
        """Complete the conversation; what is known of the customer stays."""
        self.effects.append(CloseConversation(conversation=self.id, at=self.at, by=by))
        self.outcome = "expired" if expired else "resolved"
        self.flow = None
        self.drop_question()
        for kind in tuple(self.timers):
            self.stop_timer(kind)

    def start_timer(self, kind: TimerKind, due: float) -> None:
        """Arm the one timer of this kind anew."""
        self.stop_timer(kind)
        timer = TimerId(self.fresh())
        self.timers[kind] = timer
        self.effects.append(StartTimer(id=timer, kind=kind, due=due))

    def stop_timer(self, kind: TimerKind) -> None:
        timer = self.timers.pop(kind, None)
        if timer is not None:
            self.effects.append(StopTimer(id=timer))

    def _wait_for_agent(self, before: Mode) -> None:
        """In the queue the time runs until somebody takes the conversation; outside business hours it stands still."""
        if self.mode != "queue":
            self.stop_timer("no_agent")
            return
        rule = self.rules.no_agent
        begins = opens_at(self.rules.hours, self.at) if rule else None
        if before != "queue" and rule is not None and begins is not None:
            self.start_timer("no_agent", begins + rule.after)

    def _arm(self, kind: TimerKind, due: float) -> None:
        if kind not in self.timers:
            self.start_timer(kind, due)

    # --- questions to a model ----------------------------------------------------------------------------------------

    def drop_question(self) -> None:
        """Whatever was asked is void; an answer that still comes finds nobody waiting."""
        self.asking = None
        self.stop_timer("quiet")

    def ask(self, *, instruction: str = "", for_flow: bool = False) -> None:
        """Ask a model after the quiet moment; a question that is under way begins anew, a bounded number of times."""
        before = self.asking
        restarts = before.restarts + 1 if before else 0
        self.asking = Asking(
            caused_at=before.caused_at if before else self.at,
            instruction=instruction,
            for_flow=for_flow,
            restarts=restarts,
        )
        if restarts > self.rules.quiet_restarts or self.rules.quiet_moment <= 0:
            self.put_question()
            return
        self.start_timer("quiet", self.at + self.rules.quiet_moment)

    def put_question(self) -> None:
        """The quiet moment is over: the question goes to the chain of models."""
        asking = self.asking
        if asking is None:
            return
        self.stop_timer("quiet")
        ask_id = EffectId(self.fresh())
        self.asking = Asking(
            caused_at=asking.caused_at,
            ask_id=ask_id,
            instruction=asking.instruction,
            for_flow=asking.for_flow,
            restarts=asking.restarts,
        )
        self.effects.append(
            AskModel(
                id=ask_id,
                conversation=self.id,
                system=system_prompt(
                    self.rules,
                    name=self.customer.name,
                    language=self.language,
                    topic=self.flow.flow_id if self.flow else "",
                    instruction=asking.instruction,
                    now_text=_clock_text(self.rules.hours, self.at),
                ),
                turns=self.turns,
                caused_at=asking.caused_at,
                spent_usd=self.spent_usd,
            )
        )

    def audit(self, action: str, *, by: str, detail: str = "", note: str = "") -> None:
        self.effects.append(WriteAudit(action=action, by=by, at=self.at, detail=detail, note=note))


def _clock_text(hours: OpenHours, at: float) -> str:
    """The time as a reader in the zone of `hours` would say it, for a model."""
    return f"{local(hours, at):%A %Y-%m-%d %H:%M} ({hours.zone.key})"
