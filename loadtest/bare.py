"""What a message costs when nothing is kept: verify the signature, parse, answer, post one reply. The yardstick.

Written the plain way, one task for each reply, on the same event loop, server, client and JSON parser as the service
and
with none of its code.
"""

import asyncio
import hmac
import sys

import aiohttp
import orjson
import uvloop
from aiohttp import web

OUR_NUMBER = "919000000001"
HEADERS = {"authkey": "bench", "content-type": "application/json", "accept": "application/json"}


async def main(port: int, provider: str, secret: str) -> None:
    key = secret.encode()
    url = f"{provider}/whatsapp/whatsapp-outbound-message/"
    replies: set[asyncio.Task[None]] = set()

    async def reply(phone: str, text: str) -> None:
        prefix = "Heard" if text.startswith("hello") else "Echo"
        body = {
            "integrated_number": OUR_NUMBER,
            "recipient_number": phone,
            "content_type": "text",
            "text": f"{prefix} {text}",
        }
        async with session.post(url, data=orjson.dumps(body), headers=HEADERS) as answer:
            orjson.loads(await answer.read())

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        signature = request.headers.get("X-Hub-Signature-256", "").removeprefix("sha256=")
        if not hmac.compare_digest(signature, hmac.digest(key, body, "sha256").hex()):
            return web.Response(status=401)
        message = orjson.loads(orjson.loads(body)["messages"])[0]
        task = asyncio.create_task(reply(message["from"], message["text"]["body"]))
        replies.add(task)
        task.add_done_callback(replies.discard)
        return web.Response(body=b'{"status":"accepted"}', content_type="application/json")

    app = web.Application()
    app.router.add_post("/webhook/msg91", receive)
    async with aiohttp.ClientSession() as session:
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
