"""How the provider behaves from one period to the next: usual latency, and now and then an error, by a seed."""

import asyncio
import random
from typing import Any, Final

import aiohttp
import orjson

PERIOD_SECONDS: Final = 5.0
LATENCY: Final = {"lognormal": [0.06, 0.5]}
"""Median 60 ms; one in a thousand over 0.28 s. The sending process dies of nothing that is longer."""


class Weather:
    """Changes the sandbox's behaviour every few seconds; `storm` overrides it."""

    def __init__(self, session: aiohttp.ClientSession, sandbox: str, seed: int) -> None:
        self._session = session
        self._url = f"{sandbox}/sandbox/behaviour"
        self._chance = random.Random(f"{seed} weather")
        self._storm = False

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if not self._storm:
                await self._set(self.drawn())
            await asyncio.sleep(PERIOD_SECONDS)

    async def storm(self, begins: bool) -> None:
        """The provider is down: every call is refused, and takes no effect."""
        self._storm = begins
        await self._set([{"status": 503}] if begins else [{"latency": LATENCY}])

    def drawn(self) -> list[dict[str, Any]]:
        """A few bad answers, then good ones."""
        count, seed = self._chance.randint(1, 3), self._chance.randrange(2**31)
        bad: list[dict[str, Any]] = [
            {"status": 429, "headers": {"Retry-After": "1"}, "count": 1},
            {"status": 500, "count": count},
            {"fault": "cut", "accepted": True, "count": count},
            {"fault": "cut", "accepted": False, "count": count},
            {"fault": "hang", "accepted": True, "seconds": 30, "count": 1},
            {"fault": "html", "count": count},
            {},
            {},
        ]
        rule = self._chance.choice(bad)
        usual = {"latency": LATENCY, "seed": seed}
        return [{**rule, **usual}, usual] if rule else [usual]

    async def _set(self, rules: list[dict[str, Any]]) -> None:
        async with self._session.post(self._url, data=orjson.dumps({"msg91": rules})) as answer:
            assert answer.status == 200, await answer.text()
