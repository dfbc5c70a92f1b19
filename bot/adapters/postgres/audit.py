"""The audit log's own lines, beside those that commits and merges write in their statements."""

from uuid import UUID

from bot.adapters.postgres.pool import Database
from bot.core.ids import ConversationId, CustomerId


class PostgresAudit:
    """Fulfils `bot.ports.audit.Audit`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(
        self,
        action: str,
        *,
        by: str,
        customer: CustomerId | None = None,
        conversation: ConversationId | None = None,
        detail: str = "",
    ) -> None:
        about = UUID(conversation) if conversation else None
        await self._database.fetch("audit_record", action, by, customer, about, detail)
