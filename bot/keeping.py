"""Retention as the settings say it: which kinds leave, after how long, and who removes them."""

from collections.abc import Awaitable, Callable
from typing import get_args

from bot.adapters.postgres.stores import Stores
from bot.config import Settings
from bot.ports.retention import Kind
from bot.runtime.engine import Engine
from bot.runtime.retention import Kept, Retention

DAY = 86_400.0


def kept_of(settings: Settings) -> tuple[Kept, ...]:
    """How long each kind is kept; a kind that is kept for ever is not among them."""
    days = {kind: getattr(settings, f"{kind}_kept_days") for kind in get_args(Kind)}
    return tuple(Kept(kind=kind, seconds=kept * DAY) for kind, kept in days.items() if kept)


def retention_of(settings: Settings, stores: Stores, engine: Engine) -> Retention:
    """What the replica of `engine` does about old rows."""
    return Retention(
        me=engine.me,
        removals=stores.removals,
        kept=kept_of(settings),
        clock=engine.clock,
        spool_in_use=lambda: engine.spooling.in_use,
        in_force=engine.shelf.remember,
        others=_others(settings, stores, engine),
    )


def _others(
    settings: Settings, stores: Stores, engine: Engine
) -> tuple[tuple[str, Callable[[int], Awaitable[int]]], ...]:
    def forget_answers(limit: int) -> Awaitable[int]:
        return stores.removals.forget_answers(settings.idempotency_seconds, limit)

    def forget_deliveries(limit: int) -> Awaitable[int]:
        return stores.webhooks.forget(engine.clock.now() - settings.webhook_kept_days * DAY, limit)

    answers = ("idempotency", forget_answers)
    return (answers, ("webhook_deliveries", forget_deliveries)) if settings.webhook_kept_days else (answers,)
