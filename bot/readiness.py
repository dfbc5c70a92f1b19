"""What `/ready` looks at: one named check for each part, and which of them nothing works without."""

from redis.asyncio import Redis

from bot.adapters.openrouter.chain import OpenRouter
from bot.adapters.postgres.stores import Stores
from bot.runtime.breaker import Breaker
from bot.runtime.flows import Bookshelf
from bot.runtime.intake import Intake
from bot.web.health import Check

VITAL = frozenset({"database", "schema", "flows", "intake"})
"""Without one of these webhooks could not be taken; the others only degrade the service."""


class Unwell(Exception):
    """A part does not do its work; the message says why, and what to do."""


class Readiness:
    """Each check says a few words when all is well and raises when it is not."""

    def __init__(
        self,
        *,
        stores: Stores,
        redis: Redis,
        shelf: Bookshelf,
        breaker: Breaker,
        model: OpenRouter | None,
        models: tuple[str, ...],
        intake: Intake,
    ) -> None:
        self._stores = stores
        self._redis = redis
        self._shelf = shelf
        self._breaker = breaker
        self._model = model
        self._models = models
        self._intake = intake

    def checks(self) -> dict[str, Check]:
        return {
            "database": self._check_database,
            "redis": self._check_redis,
            "schema": self._check_schema,
            "flows": self._check_flows,
            "provider": self._check_provider,
            "model": self._check_model,
            "intake": self._check_intake,
        }

    async def _check_database(self) -> str:
        await self._stores.watch.parked()
        return "answers"

    async def _check_redis(self) -> str:
        await self._redis.ping()
        return "answers"

    async def _check_schema(self) -> str:
        pending = await self._stores.base.pending_migrations()
        if pending:
            raise Unwell(f"migrations are pending: {', '.join(pending)}; run `bot migrate`")
        return "up to date"

    async def _check_flows(self) -> str:
        return f"{len(self._shelf.book().flows)} in force"

    async def _check_provider(self) -> str:
        if self._breaker.state == "open":
            raise Unwell(f"the breaker is open for {self._breaker.seconds_until_probe():.0f} s more")
        return "breaker closed"

    async def _check_model(self) -> str:
        if self._model is None:
            return "not configured: a person is offered instead"
        if self._model.stopped_reason:
            raise Unwell(self._model.stopped_reason)
        breakers = self._model.breakers()
        shut = [name for name in self._models if name in breakers and breakers[name].state == "open"]
        if len(shut) == len(self._models):
            raise Unwell("every model's breaker is open")
        return f"{len(self._models) - len(shut)} of {len(self._models)} in the chain"

    async def _check_intake(self) -> str:
        if self._intake.full:
            raise Unwell("more events wait than INTAKE_LIMIT allows")
        return f"{len(self._intake)} waiting"
