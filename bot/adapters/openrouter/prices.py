"""List prices of the models, for answers whose cost OpenRouter does not name. Never waited for and never in the way."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from bot.adapters.openrouter.client import Client, NotFetched
from bot.wire.openrouter.pricing import Price, price_for, read_prices

FRESH_SECONDS: Final = 86_400.0
RETRY_SECONDS: Final = 600.0
FETCH_SECONDS: Final = 30.0

log = logging.getLogger(__name__)


class PriceList:
    """The last list that could be fetched, empty at first."""

    def __init__(self, client: Client, *, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._prices: dict[str, Price] = {}
        self._due = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    def of(self, *models: str) -> Price | None:
        """The price of the first of `models` that is listed."""
        return price_for(self._prices, *models)

    def want(self) -> None:
        """Fetch the list in the background when there is none or it is old."""
        if self._clock() >= self._due and (self._fetching is None or self._fetching.done()):
            self._fetching = asyncio.create_task(self.refresh(), name="model prices")

    async def refresh(self) -> None:
        """Fetch the list now. A list that cannot be had leaves the old one."""
        self._due = self._clock() + RETRY_SECONDS
        try:
            status, body = await self._client.fetch("/models", within=FETCH_SECONDS)
        except NotFetched as problem:
            log.warning("model prices not fetched", extra={"reason": str(problem)})
            return
        prices = read_prices(body) if status == 200 else {}
        if not prices:
            log.warning("model prices not fetched", extra={"reason": f"{status} without prices"})
            return
        self._prices, self._due = prices, self._clock() + FRESH_SECONDS

    async def close(self) -> None:
        """End a fetch that is under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)
