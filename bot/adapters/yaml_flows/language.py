"""The flow language, construct by construct, as one table: the compiler refuses what is not in it, the JSON Schema for
editors is made from it, and so the two cannot disagree.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from bot.core.book import DEFAULT_TEXTS, DEFAULT_WORDS
from bot.core.flow import AnswerType

Kind = Literal[
    "id", "variable", "text", "line", "lines", "condition", "pattern", "integer", "attempts", "validate", "values",
    "replies", "steps", "triggers", "step", "department", "action", "validation", "target",
    "languages", "language", "words", "texts", "hours", "openings", "zone", "remind", "seconds", "no_agent", "then",
]  # fmt: skip

ID_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}"
VARIABLE_PATTERN = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
LANGUAGE_PATTERN = r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*"
ATTEMPTS = 3
ATTEMPTS_LIMIT = 20
SILENCE_LIMIT = 23 * 3600
"""Seconds of silence after which something may be said at the latest: WhatsApp takes it for 24 hours."""
NO_REMINDER = "none"
"""The word that `remind` takes in a step for which the reminder of the rules is not meant."""
THEN: Mapping[str, Literal["wait", "return_to_bot"]] = {"wait": "wait", "return_to_bot": "return_to_bot"}
ESCALATE = "escalate"
"""The word that `otherwise` takes in place of a step: hand over to a person."""

OWN_NAMES = frozenset({"user_name", "phone", "message", "language"})
"""Names that templates know without any step setting them."""
CONDITION_NAMES = frozenset({"user", "session", "now"})
VALIDATION_TYPES: Mapping[str, AnswerType] = {"email": "email", "phone": "phone", "number": "number", "date": "date"}


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a mapping: what it takes, whether it must be there, and what it is for."""

    kind: Kind
    about: str
    required: bool = False


Keys = Mapping[str, Key]


def _key(kind: Kind, about: str, *, required: bool = False) -> Key:
    return Key(kind=kind, about=about, required=required)


TYPE_KEY = _key("line", "Which kind of thing this is.", required=True)
FLOW_KEYS: Keys = {
    "flow_id": _key("id", "The name of the flow, unique among all files.", required=True),
    "version": _key("integer", "The version of the flow, counted up by whoever changes it. Default 1."),
    "description": _key("line", "What the flow is for; for readers only."),
    "priority": _key("integer", "Which flow wins when the triggers of several match: the higher one. Default 0."),
    "triggers": _key("triggers", "What starts the flow. Without any, only another flow can start it."),
    "steps": _key("steps", "The steps, in the order in which they run.", required=True),
    "closing": _key("text", "Said when the flow ends, unless the `end` step says something of its own."),
}

_ID = _key("id", "The name of the step, unique in the flow.", required=True)
_RETRY = _key("text", "Said after an answer that does not fit. Default: the question again.")
_ATTEMPTS = _key("attempts", f"How many answers may fail before `otherwise` is taken. Default {ATTEMPTS}.")
_OTHERWISE = _key("target", f"The step to go to after the last attempt. Default `{ESCALATE}`: a person.")
_REMIND = _key("remind", "Said once when no answer comes. Default: what `rules.yaml` says; `none`: nothing.")
_DEPARTMENT = _key("department", "Who is to take over. Default `general`.")
_REASON = _key("line", "What the person should know; a template.")

STEP_KEYS: Mapping[str, Keys] = {
    "message": {"id": _ID, "text": _key("text", "What the bot says.", required=True)},
    "input": {
        "id": _ID,
        "text": _key("text", "The question.", required=True),
        "variable": _key("variable", "Where the answer is kept.", required=True),
        "validate": _key("validate", "What the whole answer must be."),
        "retry": _RETRY,
        "attempts": _ATTEMPTS,
        "otherwise": _OTHERWISE,
        "remind": _REMIND,
    },
    "quick_replies": {
        "id": _ID,
        "text": _key("text", "The question.", required=True),
        "replies": _key(
            "replies", "The choices: up to 3 are buttons, up to 10 a list, more a numbered text.", required=True
        ),
        "variable": _key("variable", "Where the choice is kept: its `value`, or the title as the customer read it."),
        "retry": _RETRY,
        "attempts": _ATTEMPTS,
        "otherwise": _OTHERWISE,
        "remind": _REMIND,
    },
    "conditional": {
        "id": _ID,
        "condition": _key("condition", "A CEL expression over variables, `user`, `session` and `now`.", required=True),
        "steps": _key("steps", "Run when the condition holds.", required=True),
        "else_steps": _key("steps", "Run when it does not."),
    },
    "model": {
        "id": _ID,
        "instruction": _key("line", "What the model should keep to in this answer; a template.", required=True),
        "variable": _key("variable", "Where the model's reply is kept."),
    },
    "set": {"id": _ID, "values": _key("values", "Variables and their values; texts are templates.", required=True)},
    "goto": {"id": _ID, "target": _key("step", "The step to go on with.", required=True)},
    "escalate": {
        "id": _ID,
        "department": _DEPARTMENT,
        "reason": _REASON,
        "text": _key("text", "Said before the person takes over."),
    },
    "end": {"id": _ID, "text": _key("text", "Said at the end, in place of the flow's `closing`.")},
}

_TITLE = _key("text", "What the customer taps: up to 20 characters on a button, 24 in a list.", required=True)
REPLY_KEYS: Keys = {
    "text": _TITLE,
    "id": _key("id", "The payload of the tap. Default: made from the flow, the step and the title."),
    "value": _key("line", "Kept in the step's variable in place of the title."),
    "description": _key("text", "A second line under the title, in a list; up to 72 characters."),
    "action": _key("action", "What the choice does. Default `continue`: the step after the menu."),
    "target": _key("line", "The step (`goto`) or the flow (`flow`) to go on with."),
    "department": _DEPARTMENT,
    "reason": _REASON,
}
ACTION_KEYS: Mapping[str, tuple[str, ...]] = {
    "continue": (),
    "goto": ("target",),
    "flow": ("target",),
    "escalate": ("department", "reason"),
    "end": (),
}
"""The actions of a reply, and the further keys each may have; `target` must be there where it is listed."""

TRIGGER_KEYS: Mapping[str, Keys] = {
    "keyword": {
        "values": _key("lines", "Words, or several in a row, found anywhere in a message but never inside a word."),
        "value": _key("line", "The same for a single one."),
    },
    "exact_match": {
        "value": _key("line", "The whole message."),
        "values": _key("lines", "The same for several."),
    },
    "pattern": {
        "value": _key("pattern", "A regular expression (RE2), found anywhere in the message in any case."),
        "values": _key("lines", "The same for several."),
    },
    "first_message": {},
}
VALIDATE_KEYS: Keys = {
    "pattern": _key("pattern", "A regular expression (RE2) that the whole answer must match."),
    "type": _key("validation", "What the answer must be: email, phone, number or date."),
}

_AFTER = "Seconds of silence, at most 23 hours."
REMIND_KEYS: Keys = {
    "after": _key("seconds", _AFTER, required=True),
    "text": _key("text", "The reminder; a template that knows the variables of the flow.", required=True),
}
NO_AGENT_KEYS: Keys = {
    "after": _key("seconds", "Seconds in the queue, at most 23 hours.", required=True),
    "text": _key("text", "What the customer is told; a template.", required=True),
    "then": _key("then", "`wait` (the default): it stays in the queue. `return_to_bot`: the bot goes on."),
}

RULES_KEYS: Keys = {
    "default_language": _key("language", "The language of a text that is missing in the customer's."),
    "languages": _key("languages", "The languages the flows are written in."),
    "words": _key("words", "Whole messages that work anywhere, for: menu, agent, stop, start."),
    "texts": _key("texts", "What the bot says on its own account."),
    "hours": _key("hours", "When people answer."),
    "remind": _key("remind", "The reminder of every step that waits and says nothing of it. Default: none."),
    "no_agent": _key("no_agent", "What happens when nobody takes a conversation from the queue. Default: nothing."),
    "persona": _key("line", "Who the model is, put before every question to it."),
}
WORD_NAMES = tuple(DEFAULT_WORDS)
TEXT_NAMES = tuple(DEFAULT_TEXTS)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOURS_KEYS: Keys = {
    "zone": _key("zone", "The time zone of the business, such as Asia/Kolkata."),
    **{day: _key("openings", "Openings such as 09:00-18:00; a day that is missing is closed.") for day in WEEKDAYS},
}
