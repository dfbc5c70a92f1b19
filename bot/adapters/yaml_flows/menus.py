"""The `quick_replies` step: its choices, their actions, and what WhatsApp allows of them."""

import re
from collections.abc import Callable, Sequence

import msgspec

from bot.adapters.yaml_flows.document import Block
from bot.adapters.yaml_flows.language import ACTION_KEYS, REPLY_KEYS
from bot.adapters.yaml_flows.problems import suggestion
from bot.adapters.yaml_flows.reading import attempts, department, read_remind
from bot.core.fitting import (
    BODY_LIMIT,
    BUTTON_TITLE_LIMIT,
    BUTTONS_LIMIT,
    DESCRIPTION_LIMIT,
    PAYLOAD_LIMIT,
    ROW_TITLE_LIMIT,
    ROWS_LIMIT,
    TEXT_LIMIT,
)
from bot.core.flow import Action, Continue, Finish, Goto, HandOver, Localised, Menu, Reply, SwitchFlow
from bot.core.words import fold, whole


class ReadMenu(msgspec.Struct, frozen=True, kw_only=True):
    """A menu, the flows it leads to and the payloads it uses, each with the block that says so."""

    menu: Menu
    switches: tuple[tuple[str, Block], ...]
    payloads: tuple[tuple[str, Block], ...]


def read_menu(
    block: Block, *, flow_id: str, variable: str, otherwise: int | None, target_of: Callable[[Block], int]
) -> ReadMenu:
    """The menu of the step `block`; `target_of` finds the step that a reply goes to."""
    blocks = block.blocks("replies")
    replies = tuple(_reply(reply, flow_id, len(blocks), target_of) for reply in blocks)
    body_limit = BODY_LIMIT if len(blocks) <= BUTTONS_LIMIT else TEXT_LIMIT
    menu = Menu(
        step_id=block.step,
        text=block.text("text", body_limit),
        replies=replies,
        variable=variable,
        retry=block.text("retry", body_limit),
        attempts=attempts(block),
        otherwise=otherwise,
        remind=read_remind(block),
    )
    if len(blocks) > ROWS_LIMIT:
        block.warn(f"{len(blocks)} replies are sent as a numbered text; a list takes {ROWS_LIMIT}", "replies")
    _refuse_equal_titles(blocks, replies)
    switches = [
        (reply.action.flow_id, where)
        for reply, where in zip(replies, blocks, strict=True)
        if isinstance(reply.action, SwitchFlow)
    ]
    payloads = [(reply.id, where) for reply, where in zip(replies, blocks, strict=True)]
    return ReadMenu(menu=menu, switches=tuple(switches), payloads=tuple(payloads))


def _reply(block: Block, flow_id: str, count: int, target_of: Callable[[Block], int]) -> Reply:
    block.refuse_unknown(REPLY_KEYS, "a reply")
    title = block.text("text", _title_limit(count))
    return Reply(
        id=block.string("id") or _payload(flow_id, block.step, title),
        title=title,
        description=block.text("description", DESCRIPTION_LIMIT),
        action=_action(block, target_of),
        value=block.string("value"),
    )


def _title_limit(count: int) -> int:
    if count <= BUTTONS_LIMIT:
        return BUTTON_TITLE_LIMIT
    return ROW_TITLE_LIMIT if count <= ROWS_LIMIT else BODY_LIMIT


def _payload(flow_id: str, step_id: str, title: Localised) -> str:
    """A payload that says where it comes from, and that stays when replies are added or change places."""
    name = re.sub(r"\s+", "-", whole(next(iter(title.values()), "")))
    return f"{flow_id}:{step_id}:{name}"[:PAYLOAD_LIMIT]


def _action(block: Block, target_of: Callable[[Block], int]) -> Action:
    name = block.string("action", "continue")
    if name not in ACTION_KEYS:
        block.error(f"there is no action {name!r}; {suggestion(name, ACTION_KEYS)}", "action")
        return Continue()
    _check_action_keys(block, name)
    match name:
        case "goto":
            return Goto(target=target_of(block))
        case "flow":
            return SwitchFlow(flow_id=block.string("target"))
        case "escalate":
            return HandOver(department=department(block), reason=block.string("reason"))
        case "end":
            return Finish()
        case _:
            return Continue()


def _check_action_keys(block: Block, action: str) -> None:
    taken = ACTION_KEYS[action]
    for key in ("target", "department", "reason"):
        if key in block.entries and key not in taken:
            block.error(f"the action {action!r} takes no {key!r}; remove it or change the action", key)
    if "target" in taken and "target" not in block.entries:
        block.error(f"the action {action!r} needs 'target'", "action")


def _refuse_equal_titles(blocks: Sequence[Block], replies: Sequence[Reply]) -> None:
    languages = sorted({language for reply in replies for language in reply.title})
    for language in languages:
        seen: dict[str, int] = {}
        for block, reply in zip(blocks, replies, strict=True):
            title = fold(reply.title.get(language, reply.title.get("", "")))
            if title and title in seen:
                block.error(f"the title is the same as at line {seen[title]}; give each reply its own", "text")
            seen.setdefault(title, block.line)
