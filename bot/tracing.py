"""Puts traces on where the settings say so: the tracer, what the engine needs of it, and `trace_id` in the log."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

from bot import PACKAGE
from bot.config import Settings
from bot.ports.keys import Vault
from bot.ports.tracing import Attributes, Context
from bot.runtime.tracing import CAUSE, Tracing, current, server_of

FLUSH_SECONDS: Final = 2.0
"""Seconds the last spans have to reach the collector when the service stops."""


class TraceFields(logging.Filter):
    """Adds `trace_id` and `span_id` to what is logged while a span is under way, or of an exception that left one."""

    def filter(self, record: logging.LogRecord) -> bool:
        context = _context(record)
        if context is not None:
            record.trace_id = f"{context.trace_id:032x}"
            record.span_id = f"{context.span_id:016x}"
        return True


def _context(record: logging.LogRecord) -> Context | None:
    problem = record.exc_info[1] if record.exc_info else None
    left: Context | None = getattr(problem, CAUSE, None)
    if left is not None:
        return left
    span = current()
    return None if span is None else span.context


@asynccontextmanager
async def tracing_of(settings: Settings, vault: Vault) -> AsyncIterator[Tracing | None]:
    """None while traces are off. What was not told yet at the end is told then."""
    if settings.tracing == "off":
        yield None
        return
    from bot.adapters.tracing import OtelTracer  # nothing of OpenTelemetry is imported while traces are off

    tracer = OtelTracer(version=version(PACKAGE), replica=settings.replica)
    fields = TraceFields()
    handlers = list(logging.getLogger().handlers)
    for handler in handlers:
        handler.addFilter(fields)
    try:
        yield Tracing(tracer, fingerprint=vault.fingerprint, asking=_asking(settings))
    finally:
        await tracer.close(FLUSH_SECONDS)
        for handler in handlers:
            handler.removeFilter(fields)


def _asking(settings: Settings) -> Attributes:
    """What every question to a model has in common, by the conventions for generative models."""
    return {
        **server_of(settings.openrouter_base_url),
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openrouter",
        "gen_ai.request.model": settings.models[0] if settings.models else "",
        "gen_ai.request.max_tokens": settings.openrouter_max_tokens,
    }
