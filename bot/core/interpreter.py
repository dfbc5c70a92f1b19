"""Walks a compiled flow: from a position and what the customer said to what the bot says and where the flow then waits.

Pure: the moment, the customer and the session come in as a `Scene`, everything else from the `Book`. It never raises
for anything a customer can write, and it always ends: what one event may run is bounded by `Rules.step_budget`.
"""

from collections.abc import Mapping
from typing import assert_never

from bot.core.answers import ANSWER_LIMIT, accepted
from bot.core.book import Book
from bot.core.expressions import Condition, judge
from bot.core.fitting import plain, question
from bot.core.flow import (
    Action,
    Ask,
    AskModelStep,
    Branch,
    Continue,
    End,
    Escalate,
    Finish,
    Flow,
    FlowPosition,
    Goto,
    HandOver,
    Jump,
    Localised,
    Menu,
    Operation,
    Reminder,
    Say,
    Scalar,
    SetValues,
    SwitchFlow,
    in_language,
)
from bot.core.hours import is_open, local
from bot.core.menus import choices, chosen_reply
from bot.core.messages import Outbound, Value
from bot.core.template import fill
from bot.core.words import encodable

OUT_OF_BUDGET_MESSAGES = 10
"""Messages still sent by a flow that was stopped: a loop must not flood the customer."""
DEFAULT_DEPARTMENT = "general"


class Scene(Value, frozen=True, kw_only=True):
    """What surrounds one event: who the customer is, what they just wrote, and when. Times are unix seconds."""

    user_name: str
    language: str
    phone: str
    message: str
    at: float
    session_id: str
    session_started_at: float
    mode: str
    opted_out: bool = False


class Heard(Value, frozen=True, kw_only=True):
    """A message of the customer: `choice_id` is the payload when it was a tap, and `text` then the title."""

    text: str
    choice_id: str = ""


class Waiting(Value, frozen=True, kw_only=True, tag="waiting"):
    """The flow waits for the customer."""


class Ended(Value, frozen=True, kw_only=True, tag="ended"):
    """The flow is over."""


class Escalated(Value, frozen=True, kw_only=True, tag="escalated"):
    """The flow is over and a person is to go on. `announced`: the flow told the customer so in words of its own."""

    department: str
    reason: str
    announced: bool = False


class Asking(Value, frozen=True, kw_only=True, tag="asking"):
    """The flow waits for a model to answer the customer's last message under `instruction`."""

    instruction: str


class OutOfBudget(Value, frozen=True, kw_only=True, tag="out_of_budget"):
    """The flow ran more operations than one event may, and was ended at step `step_id`."""

    step_id: str


Outcome = Waiting | Ended | Escalated | Asking | OutOfBudget


class Turnout(Value, frozen=True, kw_only=True):
    """What running a flow came to.

    `position` is None when the flow ended. `language` is set when the flow chose one of the rules' languages for the
    customer (`set` with `language`), to be remembered. `faults` are conditions that could not be evaluated, to be
    counted.
    """

    position: FlowPosition | None
    say: tuple[Outbound, ...]
    outcome: Outcome
    language: str = ""
    faults: tuple[str, ...] = ()


def begin(book: Book, flow: Flow, scene: Scene, variables: Mapping[str, Scalar] | None = None) -> Turnout:
    """Start `flow` at its first step."""
    return _Run(book, flow, scene, variables or {}).go(0)


def answer(book: Book, position: FlowPosition, heard: Heard, scene: Scene) -> Turnout:
    """Go on from `position` with what the customer said.

    `position.digest` should be in `book.versions`; a position that leads nowhere has ended.
    """
    flow, waiting = _waiting(book, position)
    if flow is None or waiting is None:
        return Turnout(position=None, say=(), outcome=Ended())
    run = _Run(book, flow, scene, position.variables)
    match waiting:
        case Ask():
            return run.answered(waiting, position, heard)
        case Menu():
            return run.chosen(waiting, position, heard)
        case _:
            return run.go(position.pc)


def after_model(book: Book, position: FlowPosition, scene: Scene, reply: str) -> Turnout:
    """Go on after the model step at `position`, whose `reply` has been sent."""
    flow, waiting = _waiting(book, position)
    if flow is None or waiting is None:
        return Turnout(position=None, say=(), outcome=Ended())
    run = _Run(book, flow, scene, position.variables)
    if isinstance(waiting, AskModelStep):
        run.store(waiting.variable, reply)
    return run.go(position.pc + 1)


def offers(book: Book, position: FlowPosition, heard: Heard) -> bool:
    """Whether the step that waits at `position` has this word or tap among its choices."""
    _, waiting = _waiting(book, position)
    return (
        isinstance(waiting, Menu) and chosen_reply(waiting, heard.text, heard.choice_id, position.variables) is not None
    )


def reminder(book: Book, position: FlowPosition) -> Reminder | None:
    """What is to be said when the question that waits at `position` stays without an answer."""
    _, waiting = _waiting(book, position)
    if not isinstance(waiting, Ask | Menu) or waiting.remind == "none":
        return None
    return book.rules.remind if waiting.remind == "default" else waiting.remind


def worded(book: Book, text: Localised, scene: Scene, variables: Mapping[str, Scalar]) -> tuple[Outbound, ...]:
    """`text` in the customer's language, filled in as a step of a flow with these variables would fill it."""
    language = _spoken_language(book, scene, variables)
    known = {**_surroundings(scene, language), **variables}
    return plain(fill(in_language(text, language, book.rules.default_language), known))


def _waiting(book: Book, position: FlowPosition) -> tuple[Flow | None, Operation | None]:
    flow = book.versions.get(position.digest)
    if flow is None or not 0 <= position.pc < len(flow.ops):
        return flow, None
    return flow, flow.ops[position.pc]


class _Run:
    """One event's walk through a flow, and through those it switches to, with one budget for all."""

    def __init__(self, book: Book, flow: Flow, scene: Scene, variables: Mapping[str, Scalar]) -> None:
        self.book = book
        self.flow = flow
        self.scene = scene
        self.variables: dict[str, Scalar] = dict(variables)
        self.said: list[Outbound] = []
        self.faults: list[str] = []
        self.language = ""
        self.budget = book.rules.step_budget
        self.known: dict[str, object] = {**_surroundings(scene, self._spoken_language()), **self.variables}

    def go(self, pc: int) -> Turnout:
        """Run from operation `pc` of the present flow until something waits or ends."""
        result: int | Turnout = pc
        while not isinstance(result, Turnout):
            if result >= len(self.flow.ops):
                return self._end({})
            op = self.flow.ops[result]
            if self.budget == 0:
                del self.said[OUT_OF_BUDGET_MESSAGES:]
                return self._turnout(OutOfBudget(step_id=op.step_id), None)
            self.budget -= 1
            result = self._perform(op, result)
        return result

    def answered(self, ask: Ask, position: FlowPosition, heard: Heard) -> Turnout:
        """Take the answer to an `input` step, or ask again."""
        value = accepted(_kept(heard.text or heard.choice_id), ask.validate)
        if value is None:
            return self._again(ask, position)
        self.store(ask.variable, value)
        return self.go(position.pc + 1)

    def chosen(self, menu: Menu, position: FlowPosition, heard: Heard) -> Turnout:
        """Take the choice of a `quick_replies` step, or put it again."""
        reply = chosen_reply(menu, heard.text, heard.choice_id, self.known)
        if reply is None:
            return self._again(menu, position)
        self.store(menu.variable, reply.value or self._text(reply.title))
        return self._act(reply.action, position.pc)

    def store(self, variable: str, value: Scalar) -> None:
        """Keep a value under a name; a step that names no variable keeps nothing."""
        if not variable:
            return
        kept = value[:ANSWER_LIMIT] if isinstance(value, str) else value
        self.variables[variable] = self.known[variable] = kept
        if variable == "language" and kept in self.book.rules.languages:
            self.language = str(kept)
            self.known.pop("user", None)

    def _perform(self, op: Operation, pc: int) -> int | Turnout:
        match op:
            case Say(text=text):
                self.said += plain(self._text(text))
                return pc + 1
            case SetValues(values=values):
                for name, value in values.items():
                    self.store(name, fill(value, self.known) if isinstance(value, str) else value)
                return pc + 1
            case Jump(target=target):
                return target
            case Branch(condition=condition, otherwise=otherwise):
                return pc + 1 if self._holds(condition) else otherwise
            case _:
                return self._stop_at(op, pc)

    def _stop_at(self, op: Ask | Menu | AskModelStep | Escalate | End, pc: int) -> Turnout:
        match op:
            case Ask() | Menu():
                self._put(op, op.text)
                return self._turnout(Waiting(), self._position(op, pc))
            case AskModelStep(instruction=instruction):
                return self._turnout(Asking(instruction=fill(instruction, self.known)), self._position(op, pc))
            case Escalate():
                announcement = plain(self._text(op.text))
                self.said += announcement
                return self._hand_over(op.department, fill(op.reason, self.known), announced=bool(announcement))
            case End(text=text):
                return self._end(text)
            case _:
                assert_never(op)

    def _act(self, action: Action, pc: int) -> Turnout:
        match action:
            case Continue():
                return self.go(pc + 1)
            case Goto(target=target):
                return self.go(target)
            case SwitchFlow(flow_id=flow_id):
                return self._switch(flow_id)
            case HandOver(department=department, reason=reason):
                return self._hand_over(department, fill(reason, self.known))
            case Finish():
                return self._end({})
            case _:
                assert_never(action)

    def _switch(self, flow_id: str) -> Turnout:
        flow = self.book.flows.get(flow_id)
        if flow is None:
            return self._hand_over(DEFAULT_DEPARTMENT, f"the flow {flow_id} is gone")
        self.flow = flow
        return self.go(0)

    def _again(self, op: Ask | Menu, position: FlowPosition) -> Turnout:
        attempts = position.attempts + 1
        if attempts < op.attempts:
            self._put(op, op.retry or op.text)
            return self._turnout(Waiting(), self._position(op, position.pc, attempts))
        if op.otherwise is not None:
            return self.go(op.otherwise)
        return self._hand_over(DEFAULT_DEPARTMENT, f"no usable answer at step {op.step_id}")

    def _put(self, op: Ask | Menu, text: Localised) -> None:
        if isinstance(op, Ask):
            self.said += plain(self._text(text))
            return
        self.said += question(
            self._text(text),
            choices(op, self._text),
            list_button=self._own_text("list_button"),
            numbered_hint=self._own_text("numbered"),
        )

    def _hand_over(self, department: str, reason: str, *, announced: bool = False) -> Turnout:
        over = Escalated(department=department or DEFAULT_DEPARTMENT, reason=reason, announced=announced)
        return self._turnout(over, None)

    def _end(self, text: Localised) -> Turnout:
        self.said += plain(self._text(text or self.flow.closing))
        return self._turnout(Ended(), None)

    def _position(self, op: Operation, pc: int, attempts: int = 0) -> FlowPosition:
        return FlowPosition(
            flow_id=self.flow.flow_id,
            digest=self.flow.digest,
            pc=pc,
            step_id=op.step_id,
            variables=self.variables,
            attempts=attempts,
        )

    def _turnout(self, outcome: Outcome, position: FlowPosition | None) -> Turnout:
        return Turnout(
            position=position,
            say=tuple(self.said),
            outcome=outcome,
            language=self.language,
            faults=tuple(self.faults),
        )

    def _holds(self, condition: Condition) -> bool:
        if "user" not in self.known:
            self.known.update(_condition_values(self.book, self.scene, self._spoken_language()))
        verdict = judge(condition, self.known)
        if verdict.fault:
            self.faults.append(verdict.fault)
        return verdict.holds

    def _spoken_language(self) -> str:
        return _spoken_language(self.book, self.scene, self.variables)

    def _text(self, text: Localised) -> str:
        return fill(in_language(text, self._spoken_language(), self.book.rules.default_language), self.known)

    def _own_text(self, name: str) -> str:
        rules = self.book.rules
        return in_language(rules.texts.get(name, {}), self._spoken_language(), rules.default_language)


def _spoken_language(book: Book, scene: Scene, variables: Mapping[str, Scalar]) -> str:
    """The one that the flow chose, else the customer's."""
    chosen = variables.get("language")
    if isinstance(chosen, str) and chosen in book.rules.languages:
        return chosen
    return scene.language or book.rules.default_language


def _surroundings(scene: Scene, language: str) -> dict[str, object]:
    """What templates know beside the flow's variables."""
    return {
        "user_name": _kept(scene.user_name),
        "language": language,
        "phone": scene.phone,
        "message": _kept(scene.message),
    }


def _condition_values(book: Book, scene: Scene, language: str) -> dict[str, object]:
    hours = book.rules.hours
    moment = local(hours, scene.at)
    return {
        "user": {
            "name": _kept(scene.user_name),
            "phone": scene.phone,
            "language": language,
            "opted_out": scene.opted_out,
        },
        "session": {"id": scene.session_id, "started_at": scene.session_started_at, "mode": scene.mode},
        "now": {
            "hour": moment.hour,
            "minute": moment.minute,
            "weekday": moment.weekday(),
            "date": moment.date().isoformat(),
            "timestamp": int(scene.at),
            "open": is_open(hours, scene.at),
        },
    }


def _kept(text: str) -> str:
    return encodable(text[:ANSWER_LIMIT])
