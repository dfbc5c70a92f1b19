"""What callers may ask of the office: tokens and the audit log."""

from typing import Annotated
from uuid import UUID

import msgspec

from bot.ports.tokens import NAME_PATTERN, Group, Scope
from bot.web.api.asked import Asked, Moment, Name, Paged, Phone

LONGEST_LIFE = 3650
"""Days a token may be made for; one that names no days does not expire."""


class AuditAsked(Paged, frozen=True, kw_only=True):
    """Lines that fit everything given."""

    since: Annotated[Moment, msgspec.Meta(description="Start, included.")] = msgspec.field(name="from", default="")
    until: Annotated[Moment, msgspec.Meta(description="End, excluded.")] = msgspec.field(name="to", default="")
    action: Annotated[Name | None, msgspec.Meta(description="What was done, such as `resolved`.")] = None
    by: Annotated[Name | None, msgspec.Meta(description="Who did it.")] = None
    phone: Phone | None = None
    conversation: UUID | None = None


class TokenAsked(Asked, frozen=True, kw_only=True):
    """A token to be made: never with more scopes, nor for longer, than the token that asks for it."""

    name: Annotated[
        str, msgspec.Meta(pattern=NAME_PATTERN, description="The audit log names the token by it; no two may share it.")
    ]
    scopes: Annotated[
        list[Scope | Group],
        msgspec.Meta(min_length=1, max_length=100, description="`read` stands for all that read, `all` for all."),
    ]
    expires_in_days: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_LIFE)] | None = None
