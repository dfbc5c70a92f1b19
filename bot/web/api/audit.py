"""The audit log: who did what."""

from bot.core.ids import ConversationId
from bot.records import AuditWanted
from bot.web.api.answered import AuditList
from bot.web.api.asked import Nothing
from bot.web.api.asked_office import AuditAsked
from bot.web.api.cursor import place_in, place_of
from bot.web.api.reading import moment_in, phone_in
from bot.web.api.route import Call


async def find(call: Call[AuditAsked, Nothing]) -> AuditList:
    asked = call.asked
    found = await call.records.audit(_wanted(asked), after=place_in(asked.cursor), limit=asked.limit + 1)
    shown = list(found[: asked.limit])
    following = place_of(shown[-1].created_at, shown[-1].id) if len(found) > asked.limit else None
    return AuditList(items=shown, next=following)


def _wanted(asked: AuditAsked) -> AuditWanted:
    return AuditWanted(
        action=asked.action,
        by=asked.by,
        phone=phone_in(asked.phone, "phone") if asked.phone is not None else None,
        conversation=ConversationId(str(asked.conversation)) if asked.conversation is not None else None,
        since=moment_in(asked.since, "from"),
        until=moment_in(asked.until, "to"),
    )
