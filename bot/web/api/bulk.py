"""Bulk sends: one request, many recipients, a result for each; what is wrong with one is no other's concern.

What is wrong with the request itself (a field that does not exist, a text where an object belongs) refuses the whole,
and nothing was sent. What is wrong with a recipient (a bad number, a blank text, a bad variable) is that entry's error.
Each entry is a message of its own, under a key made of the request's key, its number and what it says; so a repeat
after a crash in the middle goes on and sends to nobody twice. An entry that says the same to the same number as one
before it is taken for a slip: `duplicate`.
"""

import asyncio
from typing import Annotated, Any, Literal, cast

import msgspec

from bot.core.ids import MessageId
from bot.core.messages import Outbound
from bot.records import ActResult, Answer, Notice
from bot.web.api.asked import Asked, By, Nothing, ReplyAsked, TemplateAsked, Words
from bot.web.api.content import content_of, named_variables
from bot.web.api.reading import BODY_LIMIT, checked, phone_in
from bot.web.api.route import Call, Later
from bot.web.errors import Refused, invalid

USUAL_RECIPIENTS = 1000
MOST_RECIPIENTS = 10_000
"""No setting of BULK_LIMIT allows more."""
RECIPIENT_BYTES = 2048
"""What the body may have for each recipient on average."""
CHECKED_AT_ONCE = 50
"""Entries checked before the event loop gets its turn."""
UNTAKEN = "the service could not take this in time: send the request again with the same Idempotency-Key"
DUPLICATE = "an entry before this one says the same to the same number"

Variables = dict[str, str] | list[str]


class RecipientTemplate(Asked, frozen=True, kw_only=True):
    """As `TemplateAsked`; what is wrong in it is the entry's error."""

    name: str
    language: str = "en"
    variables: Variables = {}
    namespace: str = ""


class Recipient(Asked, frozen=True, kw_only=True):
    """Without `message` and `template` those of the request count; `variables` fill the request's template."""

    phone_number: Annotated[str, msgspec.Meta(description="As in `POST /messages`; a bad one is this entry's error.")]
    message: str | None = None
    template: RecipientTemplate | None = None
    variables: Variables | None = None


class BulkAsked(Asked, frozen=True, kw_only=True):
    """`message` or `template` go to every recipient without their own."""

    recipients: Annotated[
        list[Recipient],
        msgspec.Meta(
            min_length=1, max_length=MOST_RECIPIENTS, description="As many as the setting `BULK_LIMIT` allows."
        ),
    ]
    message: Words | None = None
    template: TemplateAsked | None = None
    by: By = None


class BulkResult(Answer, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one entry; `phone_number` is as it was given.

    `pending`: it is written down and will be done. `untaken`: it is not; the same request under the same key goes on.
    """

    phone_number: str
    success: bool
    status: Literal["done", "refused", "duplicate", "pending", "untaken"]
    message_id: MessageId | None = None
    error: str | None = None


class BulkSent(Answer, frozen=True, kw_only=True):
    """A result for each recipient, in the order of the request."""

    results: list[BulkResult]


def body_limit(recipients: int) -> int:
    """Bytes of the body of a request with so many recipients."""
    return BODY_LIMIT + recipients * RECIPIENT_BYTES


async def send(call: Call[Nothing, BulkAsked]) -> BulkSent | Later[BulkSent]:
    body = call.body
    if len(body.recipients) > call.bulk_limit:
        raise invalid(recipients=f"Send to {call.bulk_limit} recipients at most in one request.")
    settled, wanted = await _sorted_out(body)
    by = body.by or call.caller
    sent = await call.desk.send_many(list(wanted), by=by, key=call.key)
    for place, result in zip(wanted.values(), sent, strict=True):
        settled[place] = _outcome(body.recipients[place], result)
    if taken := sum(result.status in {"done", "pending"} for result in settled.values()):
        await call.audit.record("bulk_sent", by=by, detail=f"{taken} of {len(settled)} recipients")
    answer = BulkSent(results=[settled[place] for place in range(len(body.recipients))])
    undecided = any(result.status in {"pending", "untaken"} for result in answer.results)
    return Later(answer) if undecided else answer


async def _sorted_out(body: BulkAsked) -> tuple[dict[int, BulkResult], dict[Notice, int]]:
    """By place what became of entries for which nothing has to be done, and what has to be sent with its place."""
    default = content_of(body) if body.message is not None or body.template is not None else None
    settled: dict[int, BulkResult] = {}
    wanted: dict[Notice, int] = {}
    for place, entry in enumerate(body.recipients):
        if place % CHECKED_AT_ONCE == 0:
            await asyncio.sleep(0)
        try:
            phone, content = phone_in(entry.phone_number, "phone_number"), _content(entry, body, default)
        except Refused as refused:
            settled[place] = _failed(entry, "refused", _sentence(refused))
            continue
        if wanted.setdefault(Notice(phone=phone, content=content), place) != place:
            settled[place] = _failed(entry, "duplicate", DUPLICATE)
    return settled, wanted


def _content(entry: Recipient, body: BulkAsked, default: Outbound | None) -> Outbound:
    if entry.variables is not None:
        return content_of(checked({"template": _filled(entry, body.template)}, ReplyAsked))
    if entry.message is None and entry.template is None:
        if default is None:
            raise invalid(message="Give either `message` or `template`, here or for all.")
        return default
    template = msgspec.to_builtins(entry.template)
    return content_of(checked({"message": entry.message, "template": template}, ReplyAsked))


def _filled(entry: Recipient, template: TemplateAsked | None) -> dict[str, Any]:
    """The request's template with the recipient's variables over its own."""
    if template is None or entry.message is not None or entry.template is not None:
        raise invalid(variables="These fill the template of the request, where the entry has no content of its own.")
    variables = named_variables(template.variables) | named_variables(entry.variables or {})
    return {**cast(dict[str, Any], msgspec.to_builtins(template)), "variables": variables}


def _outcome(entry: Recipient, result: ActResult | None) -> BulkResult:
    if result is None:
        return _failed(entry, "untaken", UNTAKEN)
    match result.status:
        case "done":
            return BulkResult(
                phone_number=entry.phone_number,
                success=True,
                status="done",
                message_id=next(iter(result.messages), None),
            )
        case "pending":
            return BulkResult(phone_number=entry.phone_number, success=False, status="pending")
        case _:
            return _failed(entry, "refused", result.reason)


def _failed(entry: Recipient, status: Literal["refused", "duplicate", "untaken"], error: str) -> BulkResult:
    return BulkResult(phone_number=entry.phone_number, success=False, status=status, error=error)


def _sentence(refused: Refused) -> str:
    return " ".join(f"{field}: {fix}" for field, fix in refused.detail.fields.items())
