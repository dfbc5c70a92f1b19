"""The routes of whoever keeps the service running: flows, parked customers, quarantine, numbers."""

from bot.records import Stats
from bot.web.api import answered, operations
from bot.web.api.asked import ByNumber, Nothing, Paged, Period
from bot.web.api.route import AnyRoute, Route

TAG = "Operations"

ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path="/flows",
        scope="operations:read",
        tag=TAG,
        summary="The flows in force.",
        handler=operations.flows,
        asked=Nothing,
        body=Nothing,
        answer=answered.FlowList,
    ),
    Route(
        method="POST",
        path="/flows/reload",
        scope="operations:write",
        tag=TAG,
        summary="Read the flow files again; a broken set is refused whole, with its problems.",
        handler=operations.reload_flows,
        asked=Nothing,
        body=Nothing,
        answer=answered.FlowList,
        errors=(422,),
    ),
    Route(
        method="GET",
        path="/parked",
        scope="operations:read",
        tag=TAG,
        summary="Customers whose next event cannot be worked off, the latest first.",
        handler=operations.parked,
        asked=Paged,
        body=Nothing,
        answer=answered.ParkedList,
    ),
    Route(
        method="POST",
        path="/parked/{id}/retry",
        scope="operations:write",
        tag=TAG,
        summary="Try the parked event again.",
        handler=operations.retry,
        asked=ByNumber,
        body=Nothing,
        answer=answered.Settled,
        errors=(404,),
    ),
    Route(
        method="POST",
        path="/parked/{id}/discard",
        scope="operations:write",
        tag=TAG,
        summary="Give the parked event up and go on with the next.",
        handler=operations.discard,
        asked=ByNumber,
        body=Nothing,
        answer=answered.Settled,
        errors=(404,),
    ),
    Route(
        method="GET",
        path="/quarantine",
        scope="operations:read",
        tag=TAG,
        summary="Webhook bodies that could not be used, the latest first.",
        handler=operations.quarantine,
        asked=Paged,
        body=Nothing,
        answer=answered.QuarantineList,
    ),
    Route(
        method="GET",
        path="/stats",
        scope="operations:read",
        tag=TAG,
        summary="Numbers of a period: conversations, messages, models.",
        handler=operations.stats,
        asked=Period,
        body=Nothing,
        answer=Stats,
    ),
)
