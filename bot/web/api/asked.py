"""What callers may ask: parameters and bodies as structs, from which both the checks and the OpenAPI document come.

A parameter whose name stands in braces in the route's path comes from there, every other from the query.
Unknown fields are refused: a misspelt field that is silently ignored is a wrong answer.
"""

from typing import Annotated
from uuid import UUID

import msgspec

from bot.core.modes import Mode
from bot.ports.tokens import NAME_PATTERN
from bot.web.api.cursor import LARGEST_KEY

PAGE = 50
LONGEST_PAGE = 200
LONGEST_MESSAGE = 16_384
"""Characters of a text to send; what is longer than one WhatsApp message (4096) goes out as several."""
LINE_PATTERN = r"^(?![\s\S]*[\u0000-\u001f\u007f])"
TEXT_PATTERN = r"^(?![\s\S]*\u0000)(?=[\s\S]*\S)"
LANGUAGE_PATTERN = r"^[a-z]{2,3}([_-][A-Za-z]{2,4})?$"
PART_PATTERN = r"^(header_1|(body|button)_[1-9][0-9]?)$"

FIXES = {
    LINE_PATTERN: "Write one line without control characters.",
    TEXT_PATTERN: "Write a text that is not blank and has no NUL character.",
    LANGUAGE_PATTERN: "Write a language code such as en, hi or pt_BR.",
    NAME_PATTERN: "Begin with a letter; letters, digits, dots, dashes and underscores, 64 at most.",
    PART_PATTERN: "Name variables header_1, body_1 to body_99 or button_1 to button_99.",
}
"""What to do about a value that does not match a pattern."""

Line = Annotated[str, msgspec.Meta(max_length=200, pattern=LINE_PATTERN)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=80, pattern=LINE_PATTERN)]
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_MESSAGE, pattern=TEXT_PATTERN)]
Language = Annotated[str, msgspec.Meta(max_length=8, pattern=LANGUAGE_PATTERN)]
Variable = Annotated[str, msgspec.Meta(max_length=2048, pattern=TEXT_PATTERN)]
Part = Annotated[str, msgspec.Meta(pattern=PART_PATTERN)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=LONGEST_PAGE, description="How many items at most.")]
Cursor = Annotated[str, msgspec.Meta(max_length=200, description="`next` of the page before.")]
Moment = Annotated[str, msgspec.Meta(max_length=40, description="ISO 8601 date or time; UTC unless it names a zone.")]
Phone = Annotated[
    str,
    msgspec.Meta(max_length=40, description="10 to 15 digits with country code; `+`, blanks, dots and dashes pass."),
]
By = Annotated[
    Name | None,
    msgspec.Meta(description="Who does it, for the transcript and the audit log; the token's name unless given."),
]


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The root of parameters and bodies."""


class Nothing(Asked, frozen=True, kw_only=True):
    """No parameters, or no body."""


# --- parameters ------------------------------------------------------------------------------------------------------


class ById(Asked, frozen=True, kw_only=True):
    id: UUID


class ByNumber(Asked, frozen=True, kw_only=True):
    id: Annotated[int, msgspec.Meta(ge=0, le=LARGEST_KEY)]


class ByPhone(Asked, frozen=True, kw_only=True):
    phone: Phone


class Paged(Asked, frozen=True, kw_only=True):
    limit: Limit = PAGE
    cursor: Cursor = ""


class ConversationsWanted(Paged, frozen=True, kw_only=True):
    status: Annotated[Mode | None, msgspec.Meta(description="Who holds it.")] = None
    q: Annotated[
        str,
        msgspec.Meta(
            max_length=100,
            description="A phone number in any spelling or its last four digits or more, or beginnings of a name.",
        ),
    ] = ""


class ConversationWanted(Paged, frozen=True, kw_only=True):
    """`limit` and `cursor` count messages of the transcript, newest page first."""

    id: UUID


class Period(Asked, frozen=True, kw_only=True):
    since: Annotated[Moment, msgspec.Meta(description="Start, included; a week before `to` unless given.")] = (
        msgspec.field(name="from", default="")
    )
    until: Annotated[Moment, msgspec.Meta(description="End, excluded; now unless given.")] = msgspec.field(
        name="to", default=""
    )


# --- bodies ----------------------------------------------------------------------------------------------------------


class TemplateAsked(Asked, frozen=True, kw_only=True):
    """An approved template, which may be sent outside the 24 hour session window as well.

    `variables` by MSG91's names (`header_1`, `body_1`, `button_1`), or a list of the values of `body_1`, `body_2` ...
    """

    name: Annotated[Name, msgspec.Meta(description="The template's name as approved.")]
    language: Language = "en"
    variables: dict[Part, Variable] | Annotated[list[Variable], msgspec.Meta(max_length=99)] = {}
    namespace: Line = ""


class ReplyAsked(Asked, frozen=True, kw_only=True):
    """What an agent answers: either `message` or `template`."""

    message: Words | None = None
    template: TemplateAsked | None = None
    agent: By = None


class MessageAsked(Asked, frozen=True, kw_only=True):
    """One message to one number: either `message` or `template`."""

    phone_number: Phone
    message: Words | None = None
    template: TemplateAsked | None = None
    by: By = None


class EscalateAsked(Asked, frozen=True, kw_only=True):
    department: Name = "general"
    reason: Line = ""
    by: By = None


class AssignAsked(Asked, frozen=True, kw_only=True):
    agent: Annotated[Name, msgspec.Meta(description="Who takes the conversation.")]
    by: By = None


class ResolveAsked(Asked, frozen=True, kw_only=True):
    note: Line = ""
    by: By = None


class ReturnAsked(Asked, frozen=True, kw_only=True):
    by: By = None


class UserAsked(Asked, frozen=True, kw_only=True):
    """What is left out stays as it is; at least one of the first three must be there."""

    name: Line | None = None
    language: Language | None = None
    opted_out: bool | None = None
    by: By = None
