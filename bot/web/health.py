"""`/health`, `/ready` and `/metrics`: is it alive, may it have traffic, how is it doing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import orjson
from aiohttp import web
from prometheus_async.aio.web import server_stats

CHECK_SECONDS = 1.0
"""A check that takes longer has failed."""

Check = Callable[[], Awaitable[str]]
"""Returns a word or two about a part that is well; raises, with the reason, when it is not."""


class Health:
    def __init__(self, *, checks: Mapping[str, Check], vital: Sequence[frozenset[str]]) -> None:
        """Webhooks could not be taken when all parts of one of the `vital` sets are unwell; others only degrade the
        service.
        """
        self._checks = checks
        self._vital = vital
        self.stopping = False

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/health", self.alive)
        app.router.add_get("/ready", self.ready)
        app.router.add_get("/metrics", server_stats)

    async def alive(self, _: web.Request) -> web.Response:
        """200 while the event loop answers."""
        return web.Response(body=b'{"status":"ok"}', content_type="application/json")

    async def ready(self, _: web.Request) -> web.Response:
        """503 only when webhooks could not be taken; parts that are not well are named either way."""
        results = dict(zip(self._checks, await asyncio.gather(*map(self._run, self._checks.values())), strict=True))
        degraded = sorted(name for name, (well, _) in results.items() if not well)
        ready = not self.stopping and not any(parts.issubset(degraded) for parts in self._vital)
        body = {
            "status": "ready" if ready else "stopping" if self.stopping else "not ready",
            "degraded": degraded,
            "checks": {name: {"ok": well, "detail": detail} for name, (well, detail) in results.items()},
        }
        return web.Response(status=200 if ready else 503, body=orjson.dumps(body), content_type="application/json")

    async def _run(self, check: Check) -> tuple[bool, str]:
        try:
            return True, await asyncio.wait_for(check(), CHECK_SECONDS)
        except TimeoutError:
            return False, f"no answer within {CHECK_SECONDS:.0f} s"
        except Exception as problem:  # noqa: BLE001 - whatever is wrong with a part, the others are told
            return False, str(problem) or type(problem).__name__
