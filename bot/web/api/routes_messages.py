"""The routes of messages: sent to numbers, and looked up."""

from bot.records import MessageRecord
from bot.web.api import answered, asked, bulk, messages
from bot.web.api.asked import ById, Nothing
from bot.web.api.route import AnyRoute, Route

TAG = "Messages"

ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="POST",
        path="/messages",
        scope="messages:send",
        tag=TAG,
        summary="Send one message to a number; refused for customers who opted out.",
        handler=messages.send,
        asked=Nothing,
        body=asked.MessageAsked,
        answer=answered.Sent,
        status=201,
        errors=(404, 409),
        may_wait=True,
    ),
    Route(
        method="POST",
        path="/messages/bulk",
        scope="messages:send",
        tag=TAG,
        summary="Send to many numbers, with a result for each; one that fails is no other's concern.",
        handler=bulk.send,
        asked=Nothing,
        body=bulk.BulkAsked,
        answer=bulk.BulkSent,
        may_wait=True,
        bulk=True,
    ),
    Route(
        method="GET",
        path="/messages/{id}",
        scope="messages:read",
        tag=TAG,
        summary="One message with its delivery status.",
        handler=messages.read,
        asked=ById,
        body=Nothing,
        answer=MessageRecord,
        errors=(404,),
    ),
)
