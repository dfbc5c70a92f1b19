"""What can be told of a flow from its shape: steps nothing leads to, loops that never wait, dead ends, unset variables.

All of it is about paths through the operations, and none of it stops a flow from running: these are warnings.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from bot.adapters.yaml_flows.compiler import Compiled
from bot.adapters.yaml_flows.document import Block
from bot.adapters.yaml_flows.language import CONDITION_NAMES, OWN_NAMES
from bot.core.expressions import free_names
from bot.core.flow import (
    Ask,
    AskModelStep,
    Branch,
    Continue,
    End,
    Escalate,
    Finish,
    Goto,
    HandOver,
    Jump,
    Localised,
    Menu,
    Operation,
    Remind,
    Reminder,
    Say,
    SetValues,
    SwitchFlow,
)
from bot.core.template import placeholders

Names = frozenset[str]


def inspect(flows: Sequence[Compiled]) -> None:
    """Note the warnings of each flow in its report; they are looked at together because flows lead to each other."""
    entries = _names_at_entry(flows)
    offered = _entered_with_offer(flows)
    for compiled in flows:
        _warn_unreached(compiled)
        _warn_loops(compiled)
        _warn_unset(compiled, entries[compiled.flow.flow_id])
        if compiled.flow.flow_id not in offered:
            _warn_dead_ends(compiled)


def successors(op: Operation, pc: int) -> tuple[int, ...]:
    """The operations that may follow `op` at `pc` within its flow; the number of operations stands for the end."""
    match op:
        case Say() | SetValues() | AskModelStep():
            return (pc + 1,)
        case Jump(target=target):
            return (target,)
        case Branch(otherwise=otherwise):
            return (pc + 1, otherwise)
        case Ask(otherwise=otherwise):
            return (pc + 1,) if otherwise is None else (pc + 1, otherwise)
        case Menu(otherwise=otherwise):
            return (*_chosen(op, pc), *(() if otherwise is None else (otherwise,)))
        case Escalate() | End():
            return ()


def _chosen(menu: Menu, pc: int) -> Iterator[int]:
    for reply in menu.replies:
        if isinstance(reply.action, Continue):
            yield pc + 1
        if isinstance(reply.action, Goto):
            yield reply.action.target


def _reached(ops: Sequence[Operation], passes: Callable[[Operation], bool]) -> set[int]:
    """The operations that can be reached from the first one going on only from those that `passes` lets through."""
    found, waiting = {0}, [0]
    while waiting:
        pc = waiting.pop()
        if pc >= len(ops) or not passes(ops[pc]):
            continue
        fresh = set(successors(ops[pc], pc)) - found
        found |= fresh
        waiting += fresh
    return found


def _warn_unreached(compiled: Compiled) -> None:
    reached = _reached(compiled.flow.ops, lambda _: True)
    seen: set[int] = set()
    for pc, block in enumerate(compiled.blocks):
        if id(block) not in seen and pc not in reached:
            block.warn("nothing leads to this step; add a 'goto' or a reply to it, or remove it", "id")
        seen.add(id(block))


def _warn_loops(compiled: Compiled) -> None:
    ops = compiled.flow.ops
    running = {
        pc
        for pc in _reached(ops, lambda _: True)
        if pc < len(ops) and isinstance(ops[pc], Say | SetValues | Jump | Branch)
    }
    after = {pc: set(successors(ops[pc], pc)) & running for pc in running}
    before: dict[int, set[int]] = {pc: set() for pc in running}
    for pc, following in after.items():
        for other in following:
            before[other].add(pc)
    unsorted = _trimmed(running, after, before) & _trimmed(running, before, after)
    while unsorted:
        start = min(unsorted)
        loop = _along(start, after, unsorted) & _along(start, before, unsorted)
        if start in loop:
            compiled.blocks[start].warn("this loop never waits for the customer; put a step that waits into it", "id")
        unsorted -= loop | {start}


def _trimmed(nodes: set[int], onward: Mapping[int, set[int]], back: Mapping[int, set[int]]) -> set[int]:
    """`nodes` without those from which no endless path along `onward` starts; `back` are the same edges turned."""
    left = {node: len(onward[node]) for node in nodes}
    ends = [node for node, count in left.items() if not count]
    kept = set(nodes)
    while ends:
        node = ends.pop()
        kept.discard(node)
        for other in back[node]:
            left[other] -= 1
            if not left[other]:
                ends.append(other)
    return kept


def _along(start: int, edges: Mapping[int, set[int]], among: set[int]) -> set[int]:
    """The nodes that one or more `edges` away from `start` can be reached; `start` itself only by a loop."""
    found: set[int] = set()
    waiting = [start]
    while waiting:
        fresh = (edges[waiting.pop()] & among) - found
        found |= fresh
        waiting += fresh
    return found


def _offers_person(op: Operation) -> bool:
    match op:
        case Escalate() | Ask(otherwise=None) | Menu(otherwise=None):
            return True
        case Menu(replies=replies):
            return any(isinstance(reply.action, HandOver) for reply in replies)
        case _:
            return False


def _entered_with_offer(flows: Sequence[Compiled]) -> Names:
    """Flows that only menus lead to which offered a person themselves."""
    doors: dict[str, list[bool]] = {}
    for compiled in flows:
        for op in compiled.flow.ops:
            for target in _switches(op):
                doors.setdefault(target, []).append(_offers_person(op))
    triggered = {compiled.flow.flow_id for compiled in flows if compiled.flow.triggers}
    return frozenset(flow_id for flow_id, offers in doors.items() if all(offers) and flow_id not in triggered)


def _switches(op: Operation) -> list[str]:
    if not isinstance(op, Menu):
        return []
    return [reply.action.flow_id for reply in op.replies if isinstance(reply.action, SwitchFlow)]


def _warn_dead_ends(compiled: Compiled) -> None:
    ops = compiled.flow.ops
    for pc in sorted(_reached(ops, lambda op: not _offers_person(op))):
        if pc < len(ops) and not _offers_person(ops[pc]) and _ends(ops[pc], pc, len(ops)):
            compiled.blocks[pc].warn(
                "the flow can end here without having offered a person; add an 'escalate' step or reply", "id"
            )


def _ends(op: Operation, pc: int, end: int) -> bool:
    if isinstance(op, Menu) and any(isinstance(reply.action, Finish) for reply in op.replies):
        return True
    return isinstance(op, End) or end in successors(op, pc)


def _names_at_entry(flows: Sequence[Compiled]) -> dict[str, Names]:
    """For each flow the variables that the flows leading to it may have set."""
    entries: dict[str, Names] = {compiled.flow.flow_id: frozenset() for compiled in flows}
    changed = True
    while changed:
        changed = False
        for compiled in flows:
            for target, names in _carried(compiled, entries[compiled.flow.flow_id]):
                if not names <= entries.get(target, names):
                    entries[target] |= names
                    changed = True
    return entries


def _carried(compiled: Compiled, at_entry: Names) -> Iterator[tuple[str, Names]]:
    for pc, names in _names_before(compiled, at_entry).items():
        op = compiled.flow.ops[pc]
        yield from ((target, names | _sets(op)) for target in _switches(op))


def _names_before(compiled: Compiled, at_entry: Names) -> dict[int, Names]:
    """For each operation that can be reached the variables that may be set by then."""
    ops = compiled.flow.ops
    before: dict[int, Names] = {0: at_entry} if ops else {}
    waiting = list(before)
    while waiting:
        pc = waiting.pop()
        after = before[pc] | _sets(ops[pc])
        for following in successors(ops[pc], pc):
            known = before.get(following)
            if following < len(ops) and (known is None or not after <= known):
                before[following] = after | (known or frozenset())
                waiting.append(following)
    return before


def _sets(op: Operation) -> Names:
    match op:
        case Ask(variable=variable) | Menu(variable=variable) | AskModelStep(variable=variable):
            return frozenset({variable})
        case SetValues(values=values):
            return frozenset(values)
        case _:
            return frozenset()


def _warn_unset(compiled: Compiled, at_entry: Names) -> None:
    for pc, names in sorted(_names_before(compiled, at_entry).items()):
        for name in sorted(_uses(compiled.flow.ops[pc]) - names - OWN_NAMES):
            _warn_name(compiled.blocks[pc], name)


def _warn_name(block: Block, name: str) -> None:
    block.warn(f"{name!r} is used here, but no step before sets it; it will be empty", "id")


def _uses(op: Operation) -> Names:
    if isinstance(op, Branch):
        return frozenset(free_names(op.condition)) - CONDITION_NAMES
    return frozenset(name for text in _templates(op) for name in placeholders(text))


def _templates(op: Operation) -> Iterator[str]:
    match op:
        case Say(text=text) | End(text=text):
            yield from text.values()
        case Ask(text=text, retry=retry, remind=remind):
            yield from _localised(text, retry, _reminder_text(remind))
        case Menu(text=text, retry=retry, replies=replies, remind=remind):
            yield from _localised(text, retry, _reminder_text(remind))
            for reply in replies:
                yield from _localised(reply.title, reply.description)
        case AskModelStep(instruction=instruction):
            yield instruction
        case SetValues(values=values):
            yield from (value for value in values.values() if isinstance(value, str))
        case Escalate(text=text, reason=reason):
            yield from (*text.values(), reason)
        case _:
            return


def _reminder_text(remind: Remind) -> Localised:
    return remind.text if isinstance(remind, Reminder) else {}


def _localised(*texts: Localised) -> Iterator[str]:
    for text in texts:
        yield from text.values()
