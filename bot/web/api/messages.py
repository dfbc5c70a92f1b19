"""Single messages: sent to a number, and looked up."""

from bot.core.ids import MessageId
from bot.records import MessageRecord
from bot.web.api.answered import Sent
from bot.web.api.asked import ById, MessageAsked, Nothing
from bot.web.api.content import content_of
from bot.web.api.conversations import accepted
from bot.web.api.reading import phone_in
from bot.web.api.route import Call, Later
from bot.web.errors import Refused


async def read(call: Call[ById, Nothing]) -> MessageRecord:
    message = await call.records.message(MessageId(str(call.asked.id)))
    if message is None:
        raise Refused(404, "There is no message with this id.")
    return message


async def send(call: Call[Nothing, MessageAsked]) -> Sent | Later[Sent]:
    phone, content = phone_in(call.body.phone_number, "phone_number"), content_of(call.body)
    result = await call.desk.send(phone, content, by=call.body.by or call.caller, key=call.key)
    if not accepted(result, "There is no such customer."):
        return Later(Sent(status="pending", message_id=None, messages=list(result.messages)))
    return Sent(status="done", message_id=next(iter(result.messages), None), messages=list(result.messages))
