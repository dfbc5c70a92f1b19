"""What `/ready` looks at: one named check for each part, and which of them nothing works without."""

import asyncio

from bot.adapters.openrouter.chain import OpenRouter
from bot.adapters.postgres.migrations import Standing
from bot.adapters.postgres.stores import Stores
from bot.adapters.redis.keyspace import Keyspace
from bot.ports.failures import Unavailable
from bot.runtime.breaker import Breaker
from bot.runtime.flows import Bookshelf
from bot.runtime.intake import Intake
from bot.runtime.spooling import Spooling
from bot.web.health import Check

VITAL = (frozenset({"schema"}), frozenset({"flows"}), frozenset({"intake"}), frozenset({"database", "redis"}))
"""Webhooks could not be taken when all parts of one of these sets are unwell; anything else only degrades the service.

Without the database they go to the spool in Redis, so only both together are vital."""


ASK_SECONDS = 0.8
"""A database that takes longer is away: less than any check may take, so that it is no other check's failure."""


class Unwell(Exception):
    """A part does not do its work; the message says why, and what to do."""


class Readiness:
    """Each check says a few words when all is well and raises when it is not."""

    def __init__(
        self,
        *,
        stores: Stores,
        redis: Keyspace,
        shelf: Bookshelf,
        breaker: Breaker,
        model: OpenRouter | None,
        models: tuple[str, ...],
        intake: Intake,
        spooling: Spooling,
    ) -> None:
        self._stores = stores
        self._redis = redis
        self._shelf = shelf
        self._breaker = breaker
        self._model = model
        self._models = models
        self._intake = intake
        self._spooling = spooling
        self._schema = "not looked at yet"

    def checks(self) -> dict[str, Check]:
        return {
            "database": self._check_database,
            "redis": self._check_redis,
            "schema": self._check_schema,
            "deploy": self._check_deploy,
            "flows": self._check_flows,
            "provider": self._check_provider,
            "model": self._check_model,
            "intake": self._check_intake,
            "spool": self._check_spool,
        }

    async def _check_database(self) -> str:
        await self._stores.watch.parked()
        return "answers"

    async def _check_redis(self) -> str:
        return await self._redis.ping()

    async def _check_schema(self) -> str:
        """While the database is away, what was seen last: that it is away is told by its own check."""
        schema = await self._standing()
        if schema is None:
            return f"as last seen: {self._schema}"
        if hindrance := schema.hindrance():
            raise Unwell(hindrance)
        self._schema = "up to date" if not schema.pending else f"up to date but for {', '.join(schema.pending)}"
        return self._schema

    async def _check_deploy(self) -> str:
        """A deploy that is under way, from either side; webhooks can be taken meanwhile."""
        schema = await self._standing()
        if schema is None:
            return "not known while the database is away"
        if left := schema.outgrown() or schema.unfinished():
            raise Unwell(left)
        return f"{len(schema.unknown)} migrations of a newer release" if schema.unknown else "none under way"

    async def _standing(self) -> Standing | None:
        """None while the database does not say."""
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return await self._stores.base.standing()
        except (Unavailable, TimeoutError):
            return None

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
            bound = "SPOOL_LIMIT" if self._spooling.full else "INTAKE_LIMIT"
            raise Unwell(f"more events wait than {bound} allows")
        return f"{len(self._intake)} waiting"

    async def _check_spool(self) -> str:
        """As it was seen less than a second or two ago; whether it can be reached is told by Redis's check."""
        if self._spooling.in_use:
            raise Unwell(f"{self._spooling.waiting} webhook events wait in Redis for the database")
        return "empty"
