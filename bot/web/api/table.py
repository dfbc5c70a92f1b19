"""The whole API. What is not here does not exist, and what is here is in the OpenAPI document."""

from bot.web.api import (
    routes_conversations,
    routes_messages,
    routes_office,
    routes_operations,
    routes_users,
    routes_webhooks,
)
from bot.web.api.route import AnyRoute

ROUTES: tuple[AnyRoute, ...] = (
    *routes_conversations.ROUTES,
    *routes_users.ROUTES,
    *routes_messages.ROUTES,
    *routes_operations.ROUTES,
    *routes_office.ROUTES,
    *routes_webhooks.ROUTES,
)
