"""A load balancer without affinity: each webhook goes to the next replica, and on to another when that one will not."""

import aiohttp
from aiohttp import web

from tests.acceptance.world import Service, free_port


class Balancer:
    """`replicas` may change at any time. `turned_away` counts webhooks that none of them took."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._turn = 0
        app = web.Application()
        app.router.add_post("/webhook/msg91", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        self.port = free_port()
        self.replicas: list[Service] = []
        self.turned_away = 0

    async def start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _pass_on(self, request: web.Request) -> web.Response:
        body, secret = await request.read(), request.headers["X-Webhook-Secret"]
        self._turn += 1
        next_one = self._turn % len(self.replicas)
        for replica in self.replicas[next_one:] + self.replicas[:next_one]:
            answer = await self._ask(replica, body, secret)
            if answer is not None:
                return answer
        self.turned_away += 1
        return web.Response(status=503)

    async def _ask(self, replica: Service, body: bytes, secret: str) -> web.Response | None:
        """What the replica answers, unless that is nothing or 503."""
        try:
            async with self._session.post(
                f"{replica.url}/webhook/msg91",
                data=body,
                headers={"X-Webhook-Secret": secret, "Content-Type": "application/json"},
            ) as answer:
                content = await answer.read()
                return None if answer.status == 503 else web.Response(status=answer.status, body=content)
        except aiohttp.ClientError:
            return None
