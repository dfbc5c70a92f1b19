"""A conversation in a test: every step is taken twice, written down, read back and held against what must be so.

State is never made by hand: what a test starts from is what events have made of it.
"""

import re

import msgspec

from bot.core.book import Book, Rules
from bot.core.conversation import Step, step
from bot.core.effects import AskModel, Effect, SendMessage, StartTimer, StopTimer, WithholdMessage
from bot.core.events import (
    Envelope,
    Event,
    MessageReceived,
    ModelAnswered,
    ModelFailed,
    ModelFailure,
    ModelUse,
    Sender,
    TimerFired,
    TimerKind,
    decode_envelope,
    encode_envelope,
)
from bot.core.expressions import compile_condition
from bot.core.fitting import (
    BODY_LIMIT,
    BUTTON_TITLE_LIMIT,
    BUTTONS_LIMIT,
    DESCRIPTION_LIMIT,
    LIST_BUTTON_LIMIT,
    PAYLOAD_LIMIT,
    ROW_TITLE_LIMIT,
    ROWS_LIMIT,
    TEXT_LIMIT,
)
from bot.core.flow import (
    Ask,
    AskModelStep,
    Branch,
    Continue,
    Escalate,
    Exact,
    Finish,
    FirstMessage,
    Flow,
    HandOver,
    Jump,
    Keyword,
    Matching,
    Menu,
    Operation,
    Reply,
    Say,
    SetValues,
    Trigger,
)
from bot.core.ids import EffectId, TimerId
from bot.core.messages import Buttons, Inbound, ListMenu, Outbound, Text, spoken
from bot.core.modes import held_by_person
from bot.core.state import Conversation, decode_conversation, encode_conversation

PHONE = "919876543210"
MONDAY = 1_742_792_400.0
"""Monday 2025-03-24 05:00 UTC."""

_effects = msgspec.msgpack.Encoder()


def flow(flow_id: str, *ops: Operation, triggers: tuple[Trigger, ...], closing: str = "") -> Flow:
    return Flow(
        flow_id=flow_id,
        version=1,
        digest=f"digest-{flow_id}",
        priority=0,
        triggers=triggers,
        ops=ops,
        closing={"": closing} if closing else {},
        source="",
    )


def words(*values: str) -> tuple[Trigger, ...]:
    return (Keyword(values=values),)


def _reply(title: str, id_: str, action: Continue | Finish | HandOver) -> Reply:
    return Reply(id=id_, title={"": title}, description={}, action=action)


PICK = Menu(
    step_id="pick",
    text={"en": "What next?", "hi": "आगे क्या?"},
    replies=(
        _reply("Go on", "pick:go", Continue()),
        _reply("Stop", "pick:stop", Finish()),
        _reply("Agent", "pick:agent", HandOver(department="sales", reason="chosen")),
    ),
    variable="next",
    retry={"": "Please choose."},
    attempts=2,
    otherwise=None,
)
NAME = Ask(
    step_id="name", text={"": "Your name?"}, variable="name", validate=None, retry={}, attempts=3, otherwise=None
)
FLOWS = (
    flow("pick", PICK, Say(step_id="on", text={"": "On we go."}), triggers=words("pick"), closing="Bye."),
    flow("name", NAME, Say(step_id="hello", text={"": "Hello {name}."}), triggers=words("name")),
    flow(
        "think",
        AskModelStep(step_id="ask", instruction="Answer {message}.", variable="said"),
        Say(step_id="after", text={"": "I said: {said}"}),
        triggers=words("think"),
    ),
    flow(
        "person",
        Escalate(step_id="out", department="sales", reason="they want {message}", text={"": "Somebody comes."}),
        triggers=words("person"),
    ),
    flow("circle", Jump(step_id="round", target=0), triggers=words("circle")),
    flow("long", Say(step_id="much", text={"": "All work and no play. " * 400}), triggers=words("long")),
    flow("speak", SetValues(step_id="tongue", values={"language": "hi"}), PICK, triggers=words("speak")),
    flow(
        "unsure",
        Branch(step_id="if", condition=compile_condition("text > 5"), otherwise=1),
        Say(step_id="so", text={"": "So be it."}),
        triggers=words("unsure"),
    ),
    flow("odd", Say(step_id="odd", text={"": "Odd."}), triggers=(Matching(pattern=re.compile("^odd")),)),
)
WELCOME = flow("welcome", Say(step_id="hi", text={"": "Welcome!"}), triggers=(FirstMessage(), Exact(value="hi")))


def book(*flows: Flow, **rules: object) -> Book:
    """The flows of this file, or those given. `rules` change the usual ones."""
    used = flows or FLOWS
    return Book(
        version="1",
        rules=msgspec.structs.replace(Rules(), **rules),
        flows={flow.flow_id: flow for flow in used},
        versions={flow.digest: flow for flow in used},
    )


class Talk:
    """Applies events; `sent` is all that was said to the customer, `last` the latest step."""

    def __init__(self, rules: Book | None = None, *, at: float = MONDAY) -> None:
        self.book = rules or book()
        self.at = at
        self.state = Conversation()
        self.history: list[Envelope] = []
        self.effects: list[Effect] = []
        self.running: dict[TimerId, TimerKind] = {}
        self.ids: set[str] = set()
        self.last = Step(conversation=self.state, effects=())
        self._numbers = 0

    # --- what happens ------------------------------------------------------------------------------------------------

    def apply(self, event: Event, *, after: float = 1.0) -> Step:
        """Let `after` seconds pass and `event` happen."""
        self.at += after
        self._numbers += 1
        envelope = Envelope(event=event, at=self.at, seed=self._numbers * 0x9E3779B97F4A7C15 % 2**64)
        envelope = decode_envelope(encode_envelope(envelope))
        before, done = self.state, step(self.state, envelope, self.book)
        again = step(before, envelope, self.book)
        assert _bytes(again) == _bytes(done), "the same step came out differently"
        self.history.append(envelope)
        self.effects += done.effects
        self.state = decode_conversation(encode_conversation(done.conversation))
        assert self.state == done.conversation
        self.last = done
        self._check(before, done)
        return done

    def hear(self, content: str | Inbound, *, after: float = 1.0, **changes: object) -> Step:
        """The customer writes."""
        said = Text(text=content) if isinstance(content, str) else content
        event = MessageReceived(provider_id=f"wamid.{self._numbers}", sender=Sender(phone=PHONE), content=said)
        return self.apply(msgspec.structs.replace(event, **changes), after=after)

    def fire(self, kind: TimerKind) -> Step:
        """The running timer of this kind fires when it is due."""
        timer = self.state.timers[kind]
        due = next(e.due for e in self.effects if isinstance(e, StartTimer) and e.id == timer)
        return self.apply(TimerFired(timer_id=timer, kind=kind), after=max(0.0, due - self.at))

    def answered(self, text: str, *, ask_id: EffectId | None = None, cost: float = 0.01) -> Step:
        use = ModelUse(model="m", cost_usd=cost, attempts=1)
        return self.apply(ModelAnswered(ask_id=self.ask_id if ask_id is None else ask_id, text=text, use=use))

    def failed(self, failure: ModelFailure, *, ask_id: EffectId | None = None) -> Step:
        return self.apply(ModelFailed(ask_id=self.ask_id if ask_id is None else ask_id, failure=failure))

    # --- what came of it ---------------------------------------------------------------------------------------------

    @property
    def ask_id(self) -> EffectId:
        """The id of the question that waits for an answer."""
        assert self.state.asking is not None
        return self.state.asking.ask_id

    @property
    def asked(self) -> list[AskModel]:
        return [effect for effect in self.effects if isinstance(effect, AskModel)]

    @property
    def said(self) -> list[str]:
        """What the last step said to the customer."""
        return [spoken(effect.content) for effect in self.last.effects if isinstance(effect, SendMessage)]

    @property
    def sent(self) -> list[str]:
        return [spoken(effect.content) for effect in self.effects if isinstance(effect, SendMessage)]

    def of(self, kind: type[Effect]) -> list[Effect]:
        """The effects of one kind in the last step."""
        return [effect for effect in self.last.effects if isinstance(effect, kind)]

    def replayed(self) -> tuple[Conversation, list[Effect]]:
        """The whole history once more from the beginning."""
        state, effects = Conversation(), list[Effect]()
        for envelope in self.history:
            done = step(state, envelope, self.book)
            state = done.conversation
            effects += done.effects
        return state, effects

    # --- what must always be so --------------------------------------------------------------------------------------

    def _check(self, before: Conversation, done: Step) -> None:
        after, sends = done.conversation, [e for e in done.effects if isinstance(e, SendMessage)]
        for effect in done.effects:
            self._check_timer(effect)
            if isinstance(effect, SendMessage | WithholdMessage | AskModel):
                assert effect.id not in self.ids, "an id was used twice"
                self.ids.add(effect.id)
        assert set(after.timers.values()) == set(self.running), "timers differ from those started and not stopped"
        for send in sends:
            check_fits(send.content)
            assert send.conversation == after.id
        _check_silence(before, after, sends, self.history[-1].event)
        _check_questions(after, [e for e in done.effects if isinstance(e, AskModel)])
        _check_shape(after, self.book.rules)

    def _check_timer(self, effect: Effect) -> None:
        match effect:
            case StartTimer(id=id_, kind=kind):
                assert kind not in self.running.values(), "two timers of one kind"
                self.running[id_] = kind
            case StopTimer(id=id_):
                assert id_ in self.running, "a timer was stopped that does not run"
                del self.running[id_]
            case _:
                pass


def _check_silence(before: Conversation, after: Conversation, sends: list[SendMessage], event: Event) -> None:
    opted = before.customer.opted_out != after.customer.opted_out
    nobody_came = before.mode == "queue" and isinstance(event, TimerFired) and event.kind == "no_agent"
    if held_by_person(before.mode) and not opted and not nobody_came:
        assert all(send.kind == "agent" for send in sends), "the bot spoke while a person holds the conversation"
    if before.customer.opted_out and after.customer.opted_out:
        assert not sends, "a customer who opted out was written to"
    if after.customer.opted_out and not before.customer.opted_out:
        assert all(send.kind == "system" for send in sends)
        assert len(sends) <= 1


def _check_questions(after: Conversation, asked: list[AskModel]) -> None:
    assert len(asked) <= 1
    if asked:
        assert after.asking is not None
        assert after.asking.ask_id == asked[0].id
    if held_by_person(after.mode) or after.mode == "closed" or after.customer.opted_out:
        assert after.asking is None, "a question outlived the holder who asked it"
        assert after.flow is None
    waits = after.asking is not None and not after.asking.ask_id
    assert waits == ("quiet" in after.timers), "a question waits for its quiet moment without a timer, or the reverse"


def _check_shape(after: Conversation, rules: Rules) -> None:
    if after.mode == "closed":
        assert not after.timers
    else:
        assert after.id
        assert after.session
        assert {"session", "conversation"} & set(after.timers), "nothing will ever end this conversation"
    if after.flow is not None:
        assert after.mode == "bot"
    if "reminder" in after.timers:
        assert after.flow is not None, "a reminder outlived the question"
    if "no_agent" in after.timers:
        assert after.mode == "queue", "somebody took the conversation, and the customer would hear that nobody did"
    assert len(after.turns) <= rules.history_turns
    assert all(len(turn.text) <= rules.history_characters for turn in after.turns)


def check_fits(content: Outbound) -> None:
    """Raise when WhatsApp would refuse `content`."""
    match content:
        case Text(text=text):
            assert 0 < len(text) <= TEXT_LIMIT
        case Buttons(text=text, buttons=buttons):
            assert 0 < len(text) <= BODY_LIMIT
            assert 1 <= len(buttons) <= BUTTONS_LIMIT
            _check_titles([(b.id, b.title) for b in buttons], BUTTON_TITLE_LIMIT)
        case ListMenu(text=text, button=button, rows=rows):
            assert 0 < len(text) <= BODY_LIMIT
            assert 0 < len(button) <= LIST_BUTTON_LIMIT
            assert 1 <= len(rows) <= ROWS_LIMIT
            _check_titles([(r.id, r.title) for r in rows], ROW_TITLE_LIMIT)
            assert all(len(row.description) <= DESCRIPTION_LIMIT for row in rows)
        case _:
            pass


def _check_titles(choices: list[tuple[str, str]], limit: int) -> None:
    assert all(0 < len(id_) <= PAYLOAD_LIMIT for id_, _ in choices)
    assert all(0 < len(title) <= limit for _, title in choices)
    assert len({title for _, title in choices}) == len(choices)


def _bytes(done: Step) -> tuple[bytes, bytes, str, tuple[str, ...]]:
    return encode_conversation(done.conversation), _effects.encode(done.effects), done.refusal, done.counted
