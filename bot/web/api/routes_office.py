"""The routes of the office: tokens and the audit log."""

from bot.web.api import answered, asked_office, audit, tokens
from bot.web.api.asked import ByNumber, Nothing, Paged
from bot.web.api.route import AnyRoute, Route

TAG = "Office"

ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path="/audit",
        scope="audit:read",
        tag=TAG,
        summary="The audit log: who did what, the latest first.",
        handler=audit.find,
        asked=asked_office.AuditAsked,
        body=Nothing,
        answer=answered.AuditList,
    ),
    Route(
        method="GET",
        path="/tokens",
        scope="tokens:read",
        tag=TAG,
        summary="Tokens, revoked ones too, the one made last first.",
        handler=tokens.find,
        asked=Paged,
        body=Nothing,
        answer=answered.TokenList,
    ),
    Route(
        method="POST",
        path="/tokens",
        scope="tokens:write",
        tag=TAG,
        summary="Make a token; it is shown in this answer and never again.",
        handler=tokens.make,
        asked=Nothing,
        body=asked_office.TokenAsked,
        answer=answered.TokenMade,
        status=201,
        errors=(409,),
    ),
    Route(
        method="DELETE",
        path="/tokens/{id}",
        scope="tokens:write",
        tag=TAG,
        summary="Revoke a token; every replica refuses it within five seconds.",
        handler=tokens.revoke,
        asked=ByNumber,
        body=Nothing,
        answer=answered.TokenRecord,
        errors=(404,),
    ),
)
