"""Conversations: found, read with their transcript, and acted upon."""

from typing import TypeVar
from uuid import UUID

from bot.core.events import AgentAssigned, AgentReplied, ConversationResolved, EscalationRequested, ReturnedToBot
from bot.core.ids import ConversationId
from bot.core.search import query_words
from bot.records import ActResult, Deed
from bot.web.api import answered
from bot.web.api.asked import (
    AssignAsked,
    ById,
    ConversationsWanted,
    ConversationWanted,
    EscalateAsked,
    Nothing,
    ReplyAsked,
    ResolveAsked,
    ReturnAsked,
)
from bot.web.api.content import content_of
from bot.web.api.cursor import cursor_of, id_in, number_in
from bot.web.api.route import Call, Later
from bot.web.errors import Refused, invalid

Body = TypeVar("Body", ReplyAsked, EscalateAsked, AssignAsked, ResolveAsked, ReturnAsked)
Done = answered.Deed | Later[answered.Deed]

UNKNOWN = "There is no conversation with this id."


async def find(call: Call[ConversationsWanted, Nothing]) -> answered.ConversationList:
    asked = call.asked
    last = id_in(asked.cursor)
    after = ConversationId(str(last)) if last else None
    found = await call.records.conversations(
        status=asked.status, words=_words(asked.q), after=after, limit=asked.limit + 1
    )
    items = list(found[: asked.limit])
    following = cursor_of(UUID(items[-1].id)) if len(found) > asked.limit else None
    return answered.ConversationList(items=items, next=following)


async def read(call: Call[ConversationWanted, Nothing]) -> answered.ConversationDetail:
    asked, records, wanted = call.asked, call.records, ConversationId(str(call.asked.id))
    before = number_in(asked.cursor)
    conversation = await records.conversation(wanted)
    if conversation is None:
        raise Refused(404, UNKNOWN)
    found = await records.transcript(wanted, before=before, limit=asked.limit + 1)
    messages = list(found[-asked.limit :])
    return answered.ConversationDetail(
        **{name: getattr(conversation, name) for name in conversation.__struct_fields__},
        messages=messages,
        messages_next=cursor_of(messages[0].seq) if len(found) > asked.limit else None,
        model=await records.model_use(wanted),
    )


async def reply(call: Call[ById, ReplyAsked]) -> Done:
    return await _act(call, AgentReplied(agent=call.body.agent or call.caller, content=content_of(call.body)))


async def escalate(call: Call[ById, EscalateAsked]) -> Done:
    body, by = call.body, call.body.by or call.caller
    return await _act(call, EscalationRequested(by=by, department=body.department, reason=body.reason))


async def assign(call: Call[ById, AssignAsked]) -> Done:
    return await _act(call, AgentAssigned(agent=call.body.agent, by=call.body.by or call.caller))


async def resolve(call: Call[ById, ResolveAsked]) -> Done:
    return await _act(call, ConversationResolved(by=call.body.by or call.caller, note=call.body.note))


async def return_to_bot(call: Call[ById, ReturnAsked]) -> Done:
    return await _act(call, ReturnedToBot(by=call.body.by or call.caller))


def accepted(result: ActResult, unknown: str) -> bool:
    """Whether it is done already. Raise 404 with the sentence `unknown`, or 409 with the reason of the refusal."""
    if result.status == "not_found":
        raise Refused(404, unknown)
    if result.status == "refused":
        raise Refused(409, result.reason)
    return result.status == "done"


async def _act(call: Call[ById, Body], deed: Deed) -> Done:
    conversation = ConversationId(str(call.asked.id))
    result = await call.desk.act(conversation, deed, key=call.key)
    messages = list(result.messages)
    if accepted(result, UNKNOWN):
        return answered.Deed(status="done", conversation_id=conversation, messages=messages)
    return Later(answered.Deed(status="pending", conversation_id=conversation, messages=messages))


def _words(query: str) -> tuple[str, ...] | None:
    if not query.strip():
        return None
    words = query_words(query)
    if not words:
        raise invalid(q="Write a phone number, its last four digits, or the beginning of a name.")
    return words
