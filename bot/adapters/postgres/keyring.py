"""Keys of the service itself, wrapped, such as the one of fingerprints: made once by whoever comes first."""

from bot.adapters.postgres.pool import Database


class PostgresKeyring:
    """Wrapped keys by name. What is wrapped by which key is the vault's business."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def obtain(self, name: str, fresh: bytes) -> bytes:
        """The wrapped key `name`; it is `fresh` when there was none."""
        await self._database.fetch("keyring_make", name, fresh)
        wrapped: bytes = (await self._database.fetch("keyring_read", name))[0]["wrapped"]
        return wrapped
