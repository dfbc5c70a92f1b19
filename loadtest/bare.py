"""What a message costs when nothing is kept: verify the signature, parse, answer, post one reply. The yardstick.

It uses the same server, client, parser of JSON and event loop as the service, and none of the service's code.
"""

import asyncio
import hashlib
import hmac
import sys

import aiohttp
import orjson
import uvloop
from aiohttp import web

WORKERS = 64


async def main(port: int, provider: str, secret: str) -> None:
    replies: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    key = secret.encode()
    headers = {"authkey": "bench", "content-type": "application/json", "accept": "application/json"}
    url = f"{provider}/whatsapp/whatsapp-outbound-message/"

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        signature = request.headers.get("X-Hub-Signature-256", "").removeprefix("sha256=")
        if not hmac.compare_digest(signature, hmac.new(key, body, hashlib.sha256).hexdigest()):
            return web.Response(status=401)
        event = orjson.loads(body)
        message = orjson.loads(event["messages"])[0]
        replies.put_nowait((message["from"], message["text"]["body"]))
        return web.Response(body=b'{"status":"accepted"}', content_type="application/json")

    async def work(session: aiohttp.ClientSession) -> None:
        while True:
            phone, text = await replies.get()
            prefix = "Heard" if text.startswith("hello") else "Echo"
            body = orjson.dumps(
                {
                    "integrated_number": "919000000001",
                    "recipient_number": phone,
                    "content_type": "text",
                    "text": f"{prefix} {text}",
                }
            )
            async with session.post(url, data=body, headers=headers) as answer:
                orjson.loads(await answer.read())

    app = web.Application()
    app.router.add_post("/webhook/msg91", receive)
    connector = aiohttp.TCPConnector(limit=WORKERS)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=10)) as session:
        workers = [asyncio.create_task(work(session)) for _ in range(WORKERS)]
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
        await asyncio.gather(*workers)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
