"""A compiled flow: a flat tuple of operations that the interpreter walks by index, and a conversation's position in it.

Nested `steps` are flattened: a conditional becomes a `Branch` with the index where its `else_steps` begin, and a `Jump`
over them. Targets are indexes, so a position is one small number; it stays right because a conversation is pinned to
the digest of the version it started with.
"""

from typing import Literal, Protocol

import msgspec

from bot.core.expressions import Condition
from bot.core.messages import Value

Scalar = str | int | float | bool
Localised = dict[str, str]
"""A text by language code; the key `""` holds a text that was written without languages."""


def in_language(text: Localised, language: str, default: str) -> str:
    """The text in `language`, else in the language it is a kind of (`en` for `en-IN`), else in the default one."""
    for code in (language, language.partition("-")[0], default, ""):
        if code in text:
            return text[code]
    return next(iter(text.values()), "")


class Pattern(Protocol):
    """A compiled linear-time regular expression (RE2)."""

    def fullmatch(self, text: str) -> object | None: ...
    def search(self, text: str) -> object | None: ...


class Op(msgspec.Struct, frozen=True, kw_only=True):
    """The root of the operations. `step_id` is the id the flow file gives the step."""

    step_id: str


class Say(Op, frozen=True, kw_only=True):
    text: Localised


AnswerType = Literal["", "email", "phone", "number", "date"]


class Validation(msgspec.Struct, frozen=True, kw_only=True):
    """What the whole answer must be. Exactly one of the two is set."""

    pattern: Pattern | None = None
    type: AnswerType = ""


class Reminder(msgspec.Struct, frozen=True, kw_only=True):
    """What is said once when a question stays without an answer for `after` seconds."""

    after: float
    text: Localised


Remind = Reminder | Literal["default", "none"]
"""What a step that waits has to say of it: a reminder of its own, that of the rules, or that there is none."""


class Ask(Op, frozen=True, kw_only=True):
    """An `input` step: put the question, wait, validate, store. `otherwise` is an index, or None to escalate."""

    text: Localised
    variable: str
    validate: Validation | None
    retry: Localised
    attempts: int
    otherwise: int | None
    remind: Remind = "default"


class Goto(msgspec.Struct, frozen=True, kw_only=True):
    target: int


class SwitchFlow(msgspec.Struct, frozen=True, kw_only=True):
    flow_id: str


class HandOver(msgspec.Struct, frozen=True, kw_only=True):
    department: str = "general"
    reason: str = ""


class Continue(msgspec.Struct, frozen=True, kw_only=True):
    """A reply without an action: go on with the step after the menu."""


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """A reply that ends the flow."""


Action = Goto | SwitchFlow | HandOver | Continue | Finish


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One choice of a menu. `id` is the payload sent with it, unique in the flow; `value` is stored in place of the
    title where it is not empty, so that conditions need not know every language.
    """

    id: str
    title: Localised
    description: Localised
    action: Action
    value: str = ""


class Menu(Op, frozen=True, kw_only=True):
    """A `quick_replies` step. The title chosen is stored in `variable` when one is named."""

    text: Localised
    replies: tuple[Reply, ...]
    variable: str
    retry: Localised
    attempts: int
    otherwise: int | None
    remind: Remind = "default"


class Branch(Op, frozen=True, kw_only=True):
    """Go on with the next operation when `condition` holds, else at `otherwise`."""

    condition: Condition
    otherwise: int


class Jump(Op, frozen=True, kw_only=True):
    target: int


class SetValues(Op, frozen=True, kw_only=True):
    """Text values are templates; other scalars are kept as they are."""

    values: dict[str, Scalar]


class AskModelStep(Op, frozen=True, kw_only=True):
    """A model answers the customer's last message; its reply is also stored in `variable` when one is named."""

    instruction: str
    variable: str = ""


class Escalate(Op, frozen=True, kw_only=True):
    department: str
    reason: str
    text: Localised


class End(Op, frozen=True, kw_only=True):
    text: Localised


Operation = Say | Ask | Menu | Branch | Jump | SetValues | AskModelStep | Escalate | End


class Keyword(msgspec.Struct, frozen=True, kw_only=True):
    """Whole words (one or several in a row) anywhere in the message, case and accent folded."""

    values: tuple[str, ...]


class Exact(msgspec.Struct, frozen=True, kw_only=True):
    """The whole message, case and accent folded."""

    value: str


class Matching(msgspec.Struct, frozen=True, kw_only=True):
    pattern: Pattern


class FirstMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The customer was not seen in this session yet."""


Trigger = Keyword | Exact | Matching | FirstMessage


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one flow, ready to run. `digest` names the version: the hash of its source."""

    flow_id: str
    version: int
    digest: str
    priority: int
    triggers: tuple[Trigger, ...]
    ops: tuple[Operation, ...]
    closing: Localised
    source: str


class FlowPosition(Value, frozen=True, kw_only=True):
    """Where a conversation is in a flow. `pc` is the index of the operation that waits; `attempts` counts bad answers
    to it.
    """

    flow_id: str
    digest: str
    pc: int
    step_id: str
    variables: dict[str, Scalar] = {}
    attempts: int = 0
