"""The smaller constructs of a flow file: triggers, validations, conditions, patterns, departments."""

import re

import re2

from bot.adapters.yaml_flows.document import Block
from bot.adapters.yaml_flows.language import (
    ATTEMPTS,
    ATTEMPTS_LIMIT,
    ID_PATTERN,
    NO_REMINDER,
    REMIND_KEYS,
    SILENCE_LIMIT,
    TRIGGER_KEYS,
    TYPE_KEY,
    VALIDATE_KEYS,
    VALIDATION_TYPES,
)
from bot.adapters.yaml_flows.problems import suggestion
from bot.core.expressions import BadExpression, Condition, compile_condition
from bot.core.fitting import TEXT_LIMIT
from bot.core.flow import Exact, FirstMessage, Keyword, Matching, Pattern, Remind, Reminder, Trigger, Validation
from bot.core.interpreter import DEFAULT_DEPARTMENT
from bot.core.words import fold

PATTERN_LIMIT = 500
"""Characters of one regular expression."""
KEYWORD_LIMIT = 100


def read_triggers(root: Block) -> tuple[tuple[Trigger, Block], ...]:
    """Every trigger of a flow with the block it stands in."""
    found: list[tuple[Trigger, Block]] = []
    for block in root.blocks("triggers", may_be_empty=True):
        kind = block.string("type")
        if kind in TRIGGER_KEYS:
            block.refuse_unknown({"type": TYPE_KEY, **TRIGGER_KEYS[kind]}, f"a trigger of type {kind!r}")
            found += [(trigger, block) for trigger in _triggers(kind, block)]
        elif kind:
            block.error(f"there is no trigger type {kind!r}; {suggestion(kind, TRIGGER_KEYS)}", "type")
        elif "type" not in block.entries:
            block.error(f"a trigger needs 'type'; {suggestion('', TRIGGER_KEYS)}")
    return tuple(found)


def _triggers(kind: str, block: Block) -> list[Trigger]:
    if kind == "first_message":
        return [FirstMessage()]
    values = block.strings("values") + block.strings("value")
    if not values and not {"value", "values"} & block.entries.keys():
        block.error(f"a trigger of type {kind!r} needs 'value' or 'values'")
    if kind == "pattern":
        patterns = [read_pattern(block, "value", value, ignore_case=True) for value in values]
        return [Matching(pattern=pattern) for pattern in patterns if pattern is not None]
    if any(len(value) > KEYWORD_LIMIT for value in values):
        block.error(f"a word to look for has more than {KEYWORD_LIMIT} characters")
    if any(not fold(value) for value in values):
        block.error("a word to look for has nothing that can be seen")
    if kind == "keyword":
        return [Keyword(values=values)] if values else []
    return [Exact(value=value) for value in values]


def read_pattern(block: Block, key: str, source: str, *, ignore_case: bool = False) -> Pattern | None:
    """The compiled regular expression, or None with the reason noted."""
    if len(source) > PATTERN_LIMIT:
        block.error(f"the pattern is longer than {PATTERN_LIMIT} characters", key)
        return None
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        pattern: Pattern = re2.compile(source, options)
    except re2.error as error:
        block.error(f"the pattern cannot be used (RE2): {_reason(error)}", key)
        return None
    return pattern


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


def read_validation(step: Block) -> Validation | None:
    """The `validate` of an `input` step."""
    block = step.block("validate")
    if block is None:
        return None
    block.refuse_unknown(VALIDATE_KEYS, "'validate'")
    if len(block.entries.keys() & VALIDATE_KEYS.keys()) != 1:
        block.error("'validate' takes either 'pattern' or 'type'")
    source = block.string("pattern")
    pattern = read_pattern(block, "pattern", source) if source else None
    named = block.string("type")
    if named and named not in VALIDATION_TYPES:
        block.error(f"there is no type {named!r} of answers; {suggestion(named, VALIDATION_TYPES)}", "type")
    return Validation(pattern=pattern, type=VALIDATION_TYPES.get(named, ""))


def read_condition(step: Block) -> Condition | None:
    """The `condition` of a `conditional` step."""
    source = step.string("condition")
    if not source:
        return None
    try:
        return compile_condition(source)
    except BadExpression as error:
        step.error(f"the condition cannot be used (CEL): {error}", "condition")
        return None


def read_remind(step: Block) -> Remind:
    """The `remind` of a step that waits."""
    word = step.word("remind")
    if word == NO_REMINDER:
        return "none"
    if word:
        step.error(f"'remind' takes 'after' and 'text', or the word {NO_REMINDER}, and not {word!r}", "remind")
        return "default"
    return read_reminder(step) or "default"


def read_reminder(block: Block) -> Reminder | None:
    """The reminder under `remind`, if there is one."""
    inner = block.block("remind")
    if inner is None:
        return None
    inner.refuse_unknown(REMIND_KEYS, "'remind'")
    return Reminder(after=silence(inner), text=inner.text("text", TEXT_LIMIT))


def warn_if_late(block: Block, remind: Remind | None, session_timeout: float) -> None:
    """Warn of a reminder that never comes, because the session and its flow end before."""
    if isinstance(remind, Reminder) and remind.after >= session_timeout:
        block.warn(
            f"this reminder never comes: after {session_timeout:.0f} seconds of silence (SESSION_TIMEOUT) "
            "the flow is over",
            "remind",
        )


def silence(block: Block) -> int:
    """The `after` of something that is said when nothing happened: seconds."""
    return block.integer("after", SILENCE_LIMIT, 1, SILENCE_LIMIT)


def attempts(step: Block) -> int:
    return step.integer("attempts", ATTEMPTS, 1, ATTEMPTS_LIMIT)


def department(block: Block) -> str:
    name = block.string("department", DEFAULT_DEPARTMENT)
    if not re.fullmatch(ID_PATTERN, name):
        block.error(f"{name!r} cannot be a department: up to 64 letters, digits, - and _", "department")
    return name
