"""Plays customers over a fixed number of connections with requests that were built beforehand, and keeps the times."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Sequence

import msgspec
import orjson

OUR_NUMBER = "919000000001"


class Message(msgspec.Struct, frozen=True):
    """One webhook, ready to be written to a socket."""

    phone: str
    text: str
    request: bytes


class Sent(msgspec.Struct):
    """When a message was sent (unix seconds), how long its acknowledgement took (seconds) and its HTTP status."""

    message: Message
    at: float
    seconds: float
    status: int


def phones(count: int) -> list[str]:
    return [f"9198{number:08d}" for number in range(count)]


def build(numbers: Sequence[str], rounds: range, *, port: int, secret: str) -> list[list[Message]]:
    """For each round one message of every phone: `hello N` in even rounds, `word N` in odd ones; N never repeats."""
    return [
        [_message(phone, f"{'hello' if number % 2 == 0 else 'word'} {number}", port, secret) for phone in numbers]
        for number in rounds
    ]


def _message(phone: str, text: str, port: int, secret: str) -> Message:
    identity = f"wamid.{hashlib.blake2b(f'{phone} {text}'.encode(), digest_size=12).hexdigest()}"
    now = int(time.time())
    inner = [{"from": phone, "id": identity, "timestamp": str(now), "type": "text", "text": {"body": text}}]
    body = orjson.dumps(
        {
            "companyId": "500000",
            "requestedAt": "",
            "customerNumber": phone,
            "eventName": "delivered",
            "uuid": f"{identity}_callback",
            "integratedNumber": OUR_NUMBER,
            "direction": "0",
            "customerName": "Asha",
            "contentType": "text",
            "text": text,
            "contacts": "",
            "messages": orjson.dumps(inner).decode(),
            "ts": "",
        }
    )
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    head = (
        f"POST /webhook/msg91 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"X-Hub-Signature-256: sha256={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return Message(phone, text, head.encode() + body)


class Connection(asyncio.Protocol):
    """HTTP/1.1 as far as a driver needs it: one request under way, answers with a Content-Length."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator or self._answer is None:
            return
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        if len(rest) >= length:
            self._buffer = b""
            self._answer.set_result(int(head[9:12]))

    def connection_lost(self, _: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the connection was closed"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def request(self, data: bytes) -> int:
        self._answer = asyncio.get_running_loop().create_future()
        assert self._transport is not None
        self._transport.write(data)
        return await self._answer


async def drive(rounds: Sequence[Sequence[Message]], *, port: int, connections: int) -> list[Sent]:
    """Send everything: each connection has its own phones, one round after the other, the next when acknowledged."""
    loop = asyncio.get_running_loop()
    sent: list[Sent] = []

    async def one(index: int) -> None:
        _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
        for messages in rounds:
            for message in messages[index::connections]:
                at, started = time.time(), time.perf_counter()
                status = await connection.request(message.request)
                sent.append(Sent(message, at, time.perf_counter() - started, status))

    await asyncio.gather(*(one(index) for index in range(connections)))
    return sent
