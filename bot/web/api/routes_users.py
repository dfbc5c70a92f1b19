"""The routes of customers, by phone number."""

from bot.records import UserRecord
from bot.web.api import asked, customer_data, users
from bot.web.api.asked import ByPhone, Nothing
from bot.web.api.route import AnyRoute, Route

TAG = "Users"

ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path="/users/{phone}",
        scope="users:read",
        tag=TAG,
        summary="A customer, by phone number.",
        handler=users.read,
        asked=ByPhone,
        body=Nothing,
        answer=UserRecord,
        errors=(404,),
    ),
    Route(
        method="PATCH",
        path="/users/{phone}",
        scope="users:write",
        tag=TAG,
        summary="Change a customer's name, language or opt-out.",
        handler=users.change,
        asked=ByPhone,
        body=asked.UserAsked,
        answer=UserRecord,
        errors=(404, 409),
        may_wait=True,
    ),
    Route(
        method="DELETE",
        path="/users/{phone}",
        scope="users:erase",
        tag=TAG,
        summary="Erase a customer: destroy the key, and empty or delete what it does not cover.",
        handler=customer_data.erase,
        asked=ByPhone,
        body=Nothing,
        answer=customer_data.Erased,
        errors=(404,),
        may_wait=True,
    ),
    Route(
        method="GET",
        path="/users/{phone}/export",
        scope="users:export",
        tag=TAG,
        summary="Everything that is held about a customer, as one document.",
        handler=customer_data.export,
        asked=ByPhone,
        body=Nothing,
        answer=customer_data.CustomerExport,
        errors=(404,),
        streams=True,
    ),
)
