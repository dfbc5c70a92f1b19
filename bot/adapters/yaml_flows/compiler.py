"""From the blocks of one file to a flow that can run. What cannot run, or what WhatsApp would refuse, is an error here.

Two passes: the first lays the steps out flat and learns where each id stands, the second makes the operations, so that
a target may stand before or after the step that names it.
"""

import hashlib
import re
from collections.abc import Sequence

import msgspec

from bot.adapters.yaml_flows.document import Block, read_document
from bot.adapters.yaml_flows.language import (
    CONDITION_NAMES,
    ESCALATE,
    FLOW_KEYS,
    ID_PATTERN,
    OWN_NAMES,
    STEP_KEYS,
    TYPE_KEY,
    VARIABLE_PATTERN,
)
from bot.adapters.yaml_flows.menus import read_menu
from bot.adapters.yaml_flows.problems import Report, suggestion
from bot.adapters.yaml_flows.reading import (
    attempts,
    department,
    read_condition,
    read_remind,
    read_triggers,
    read_validation,
)
from bot.core.fitting import TEXT_LIMIT
from bot.core.flow import (
    Ask,
    AskModelStep,
    Branch,
    End,
    Escalate,
    Flow,
    Jump,
    Operation,
    Say,
    SetValues,
    Trigger,
)

VERSION_LIMIT = 1_000_000
PRIORITY_LIMIT = 1_000_000
DIGEST_LENGTH = 32
_NOWHERE = 0
"""The index that stands for a target that was not found; the flow is refused anyway."""


class Entry(msgspec.Struct, kw_only=True):
    """One operation to be: where it was written, and where a branch or jump leads, as far as the layout knows."""

    block: Block
    kind: str
    leads_to: int = _NOWHERE


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """A flow with the block each operation comes from, for messages about it.

    `switches` are the flows that replies lead to, each with the block that says so.
    """

    flow: Flow
    root: Block
    blocks: tuple[Block, ...]
    triggers: tuple[tuple[Trigger, Block], ...]
    switches: tuple[tuple[str, Block], ...]


class Outline(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a file even if it does not compile."""

    flow_id: str
    compiled: Compiled | None


def digest_of(source: str) -> str:
    """The name of a version: the hash of its source."""
    return hashlib.sha256(source.encode()).hexdigest()[:DIGEST_LENGTH]


def compile_flow(source: str, report: Report) -> Outline:
    """The flow that `source` holds; everything wrong with it by itself is noted in `report`."""
    root = read_document(source, report)
    if root is None:
        return Outline(flow_id="", compiled=None)
    report.flow = root.string("flow_id")
    _check_name(root, "flow_id", ID_PATTERN)
    root.refuse_unknown(FLOW_KEYS, "a flow")
    compiled = _Compiler(root, report, source).compiled()
    return Outline(flow_id=report.flow, compiled=None if report.is_broken() else compiled)


class _Compiler:
    def __init__(self, root: Block, report: Report, source: str) -> None:
        self.root = root
        self.report = report
        self.source = source
        self.entries: list[Entry] = []
        self.labels: dict[str, int] = {}
        self.declared: dict[str, int] = {}
        self.payloads: dict[str, int] = {}
        self.switches: list[tuple[str, Block]] = []

    def compiled(self) -> Compiled:
        self._lay(self.root.blocks("steps"))
        triggers = read_triggers(self.root)
        ops = tuple(op for entry in self.entries if (op := self._operation(entry)) is not None)
        flow = Flow(
            flow_id=self.report.flow,
            version=self.root.integer("version", 1, 1, VERSION_LIMIT),
            digest=digest_of(self.source),
            priority=self.root.integer("priority", 0, -PRIORITY_LIMIT, PRIORITY_LIMIT),
            triggers=tuple(trigger for trigger, _ in triggers),
            ops=ops,
            closing=self.root.text("closing", TEXT_LIMIT),
            source=self.source,
        )
        self.root.string("description")
        blocks = tuple(entry.block for entry in self.entries)
        return Compiled(flow=flow, root=self.root, blocks=blocks, triggers=triggers, switches=tuple(self.switches))

    def _lay(self, blocks: Sequence[Block]) -> None:
        for block in blocks:
            self._declare(block)
            kind = block.string("type")
            if kind not in STEP_KEYS:
                if not self.report.full:
                    self._refuse_type(block, kind)
                continue
            block.refuse_unknown({"type": TYPE_KEY, **STEP_KEYS[kind]}, f"a step of type {kind!r}")
            if kind == "conditional":
                self._lay_conditional(block)
            else:
                self.entries.append(Entry(block=block, kind=kind))

    def _lay_conditional(self, block: Block) -> None:
        branch = Entry(block=block, kind="conditional")
        self.entries.append(branch)
        alternatives = block.blocks("else_steps", may_be_empty=True)
        self._lay(block.blocks("steps", may_be_empty=bool(alternatives)))
        if alternatives:
            jump = Entry(block=block, kind="jump")
            self.entries.append(jump)
            branch.leads_to = len(self.entries)
            self._lay(alternatives)
            jump.leads_to = len(self.entries)
        else:
            branch.leads_to = len(self.entries)

    def _declare(self, block: Block) -> None:
        block.step = block.string("id")
        _check_name(block, "id", ID_PATTERN)
        if block.step in self.labels:
            block.error(f"the id is used before, at line {self.declared[block.step]}; choose another", "id")
        elif block.step:
            self.labels[block.step] = len(self.entries)
            self.declared[block.step] = block.line

    @staticmethod
    def _refuse_type(block: Block, kind: str) -> None:
        if "type" not in block.entries:
            block.error(f"a step needs 'type'; {suggestion('', STEP_KEYS)}")
        elif kind:
            block.error(f"there is no step type {kind!r}; {suggestion(kind, STEP_KEYS)}", "type")

    def _operation(self, entry: Entry) -> Operation | None:
        block, step_id = entry.block, entry.block.step
        match entry.kind:
            case "message":
                return Say(step_id=step_id, text=block.text("text", TEXT_LIMIT))
            case "input":
                return self._ask(block)
            case "quick_replies":
                return self._menu(block)
            case "conditional":
                return _branch(block, entry.leads_to)
            case "jump":
                return Jump(step_id=step_id, target=entry.leads_to)
            case "goto":
                return Jump(step_id=step_id, target=self._target(block, block.string("target"), "target"))
            case _:
                return self._plain_operation(entry.kind, block)

    def _plain_operation(self, kind: str, block: Block) -> Operation:
        match kind:
            case "model":
                variable = self._variable(block)
                return AskModelStep(step_id=block.step, instruction=block.string("instruction"), variable=variable)
            case "set":
                return self._set(block)
            case "escalate":
                text = block.text("text", TEXT_LIMIT)
                return Escalate(
                    step_id=block.step, department=department(block), reason=block.string("reason"), text=text
                )
            case _:
                return End(step_id=block.step, text=block.text("text", TEXT_LIMIT))

    def _ask(self, block: Block) -> Ask:
        return Ask(
            step_id=block.step,
            text=block.text("text", TEXT_LIMIT),
            variable=self._variable(block),
            validate=read_validation(block),
            retry=block.text("retry", TEXT_LIMIT),
            attempts=attempts(block),
            otherwise=self._otherwise(block),
            remind=read_remind(block),
        )

    def _menu(self, block: Block) -> Operation:
        read = read_menu(
            block,
            flow_id=self.report.flow,
            variable=self._variable(block),
            otherwise=self._otherwise(block),
            target_of=lambda reply: self._target(reply, reply.string("target"), "target"),
        )
        self.switches += read.switches
        for payload, reply in read.payloads:
            if payload in self.payloads:
                reply.error(f"the payload {payload!r} is used before, at line {self.payloads[payload]}; add an 'id'")
            self.payloads.setdefault(payload, reply.line)
        return read.menu

    def _set(self, block: Block) -> SetValues:
        values = block.scalars("values")
        for name in values:
            check_variable(block, name, "values")
        return SetValues(step_id=block.step, values=values)

    def _variable(self, block: Block) -> str:
        name = block.string("variable")
        if name:
            check_variable(block, name, "variable")
        return name

    def _otherwise(self, block: Block) -> int | None:
        target = block.string("otherwise", ESCALATE)
        if target == ESCALATE and target not in self.labels:
            return None
        return self._target(block, target, "otherwise")

    def _target(self, block: Block, target: str, key: str) -> int:
        if target and target not in self.labels and not self.report.full:
            block.error(f"no step has the id {target!r}; {suggestion(target, self.labels)}", key)
        return self.labels.get(target, _NOWHERE)


def _branch(block: Block, otherwise: int) -> Branch | None:
    condition = read_condition(block)
    if condition is None:
        return None
    return Branch(step_id=block.step, condition=condition, otherwise=otherwise)


def check_variable(block: Block, name: str, key: str) -> None:
    """Note a name that cannot be used for a variable, or that hides what templates know by themselves."""
    if not re.fullmatch(VARIABLE_PATTERN, name):
        block.error(f"{name!r} cannot be a variable: letters, digits and _ only, not a digit first", key)
    if name in CONDITION_NAMES:
        block.error(f"{name!r} cannot be a variable: conditions know something else by that name", key)
    if name in OWN_NAMES - {"language"}:
        block.warn(f"the variable hides the {name!r} that templates know; choose another name", key)


def _check_name(block: Block, key: str, pattern: str) -> None:
    name = block.string(key)
    if name and not re.fullmatch(pattern, name):
        block.error(f"{name!r} cannot be an id: up to 64 letters, digits, - and _", key)
