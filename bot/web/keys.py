"""What the API finds in the application: typed keys, set once by whoever builds it. Handlers know only ports."""

from aiohttp import web

from bot.ports.audit import Audit
from bot.ports.erasures import Erasing
from bot.ports.exports import Exports
from bot.ports.idempotency import Idempotency
from bot.records import Desk, Records
from bot.runtime.endpoints import Endpoints
from bot.web.api.admission import Admission

RECORDS: web.AppKey[Records] = web.AppKey("records")
DESK: web.AppKey[Desk] = web.AppKey("desk")
AUDIT: web.AppKey[Audit] = web.AppKey("audit")
EXPORTS: web.AppKey[Exports] = web.AppKey("exports")
ERASING: web.AppKey[Erasing] = web.AppKey("erasing")
WEBHOOKS: web.AppKey[Endpoints] = web.AppKey("webhooks")
ADMISSION: web.AppKey[Admission] = web.AppKey("admission")
IDEMPOTENCY: web.AppKey[Idempotency] = web.AppKey("idempotency")
"""Without it answers are not kept; the journal still keeps a deed from being done twice under one key."""
BULK_LIMIT: web.AppKey[int] = web.AppKey("bulk_limit")
"""Recipients of one bulk send."""
