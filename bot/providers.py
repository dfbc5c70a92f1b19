"""The ways to MSG91 and to the models, as the settings describe them, and their breakers as metrics show them."""

import logging
from typing import Final

import aiohttp

from bot import metrics
from bot.adapters.lean_http.client import LeanClient
from bot.adapters.msg91 import Msg91Channel, client_of
from bot.adapters.openrouter.chain import OpenRouter
from bot.adapters.watched_client import WatchedClient
from bot.config import Settings
from bot.ports.outside import Channel
from bot.runtime.breaker import BreakerState
from bot.runtime.tracing import Tracing

STATES: Final[dict[BreakerState, int]] = {"closed": 0, "half_open": 1, "open": 2}
KEEPALIVE_SECONDS: Final = 15.0
"""Seconds an idle connection to a provider is kept; one that was closed over there makes a send uncertain."""

log = logging.getLogger(__name__)


def provider_of(settings: Settings) -> LeanClient:
    """The client for MSG91; its owner closes it."""
    return client_of(
        settings.msg91_base_url,
        auth_key=settings.msg91_auth_key,
        connections=settings.delivery_workers,
        rest=KEEPALIVE_SECONDS,
        timeout=settings.msg91_timeout,
    )


def channel_of(provider: LeanClient, settings: Settings, tracing: Tracing | None) -> Channel:
    """The channel by that client, which notes in the span of a send what HTTP did."""
    client = provider if tracing is None else WatchedClient(provider, settings.msg91_base_url)
    return Msg91Channel(client, dialect=settings.msg91_dialect)


def session_of(settings: Settings) -> aiohttp.ClientSession:
    """For the models. One connection more than they need is for the look at prices."""
    connector = aiohttp.TCPConnector(limit=settings.model_workers + 1, keepalive_timeout=KEEPALIVE_SECONDS)
    return aiohttp.ClientSession(connector=connector)


def model_of(session: aiohttp.ClientSession, settings: Settings) -> OpenRouter | None:
    """None without a key: then a person is offered instead."""
    if not settings.openrouter_api_key:
        return None
    return OpenRouter(
        session,
        base_url=settings.openrouter_base_url,
        api_key=settings.openrouter_api_key,
        models=settings.models,
        max_tokens=settings.openrouter_max_tokens,
        timeout=settings.openrouter_timeout,
        on_change=show_breaker,
    )


def show_breaker(name: str, state: BreakerState) -> None:
    """Every state in the metrics; what is not as it should be in the log as well."""
    metrics.breaker_state.labels(name).set(STATES[state])
    if state != "closed":
        log.warning("a breaker moved", extra={"breaker": name, "state": state})
