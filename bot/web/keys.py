"""What the handlers find in the application: typed keys, set once by whoever builds it. Handlers know only ports."""

from aiohttp import web

from bot.records import Desk, Records

RECORDS: web.AppKey[Records] = web.AppKey("records")
DESK: web.AppKey[Desk] = web.AppKey("desk")
ADMIN_TOKEN: web.AppKey[str] = web.AppKey("admin_token")
"""The bearer token of `/api/v1`; empty or absent means that nobody may use it."""
