"""The channel against a real server that answers, hangs, cuts, trickles, refuses and lies."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from bot.adapters.lean_http.client import LeanClient
from bot.adapters.msg91 import ANSWER_LIMIT, Msg91Channel, client_of
from bot.core.messages import Template, Text
from bot.wire.msg91.outcomes import Accepted, Deferred, Rejected, SendOutcome
from bot.wire.msg91.requests import Dialect
from tests.adapters.raw_server import Peer, raw_server

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
OURS, THEIRS = "919000000001", "919000000002"
BRIEF = 0.2
"""Seconds: the timeout of the tests that reach it."""


Send = Callable[..., Awaitable[SendOutcome]]
Make = Callable[..., Msg91Channel]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Make a channel to an address; its client is closed at the end."""
    clients: list[LeanClient] = []

    def channel_to(base_url: str, dialect: Dialect = "v5", timeout: float = 5.0, auth_key: str = "key") -> Msg91Channel:
        client = client_of(base_url, auth_key=auth_key, connections=2, rest=5.0, timeout=timeout)
        clients.append(client)
        return Msg91Channel(client, dialect=dialect, clock=lambda: 1_714_510_000.0)

    yield channel_to
    for client in clients:
        await client.close()


@pytest.fixture
async def send(make: Make) -> AsyncIterator[Send]:
    """Send one message to a server that answers with the given handler."""
    servers: list[TestServer] = []

    async def send_to(handler: Handler, *, dialect: Dialect = "v5", seconds: float = 5.0) -> SendOutcome:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        server = TestServer(app)
        servers.append(server)
        await server.start_server()
        return await say_hello(make(str(server.make_url("/api/v5/")), dialect=dialect, timeout=seconds))

    yield send_to
    for server in servers:
        await server.close()


async def say_hello(channel: Msg91Channel) -> SendOutcome:
    return await channel.send(Text(text="Hello"), number=OURS, recipient=THEIRS, reference="m-1")


def deferred(outcome: SendOutcome) -> Deferred:
    assert isinstance(outcome, Deferred), outcome
    return outcome


async def test_a_message_goes_out_with_the_key_and_comes_back_with_its_id(send: Send) -> None:
    async def take(request: web.Request) -> web.Response:
        assert request.method == "POST"
        assert request.headers["authkey"] == "key"
        assert request.content_type == "application/json"
        body = await request.json()
        assert (body["recipient_number"], body["crqid"], body["text"]) == (THEIRS, "m-1", "Hello")
        return web.json_response({"hasError": False, "data": {"message_uuid": request.path}})

    outcome = await send(take)
    assert isinstance(outcome, Accepted)
    assert outcome.provider_id == "/api/v5/whatsapp/whatsapp-outbound-message/"


async def test_the_plain_dialect_has_its_own_path(send: Send) -> None:
    async def take(request: web.Request) -> web.Response:
        (item,) = (await request.json())["recipient"]
        return web.json_response({"messageId": f"{request.path} {item['phone']}"})

    outcome = await send(take, dialect="simple")
    assert isinstance(outcome, Accepted)
    assert outcome.provider_id == f"/api/v5/whatsapp/send {THEIRS}"


async def test_json_served_as_html_is_read(send: Send) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=401, text='{"hasError":true,"errors":"Unauthorized"}', content_type="text/html")

    outcome = await send(refuse)
    assert isinstance(outcome, Rejected)
    assert (outcome.alert, outcome.reason) == (True, "Unauthorized")


async def test_a_page_instead_of_an_answer_is_uncertain(send: Send) -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<html>maintenance</html>", content_type="text/html")

    assert deferred(await send(page)).uncertain


async def test_the_wait_that_the_provider_names_is_kept(send: Send) -> None:
    async def slow_down(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "Tue, 30 Apr 2024 20:47:40 GMT"})

    outcome = deferred(await send(slow_down))
    assert (outcome.retry_after, outcome.scope) == (60.0, "number")


async def test_a_redirect_is_not_followed_with_the_key(send: Send) -> None:
    seen: list[str] = []

    async def redirect(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    assert not deferred(await send(redirect)).uncertain
    assert len(seen) == 1


async def test_a_server_that_hangs_is_uncertain(send: Send) -> None:
    released = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    outcome = deferred(await send(hang, seconds=BRIEF))
    released.set()
    assert (outcome.scope, outcome.uncertain) == ("gateway", True)


async def test_a_server_that_trickles_is_cut_off_and_uncertain(send: Send) -> None:
    released = asyncio.Event()

    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"status":')
        await released.wait()
        return response

    assert deferred(await send(trickle, seconds=BRIEF)).uncertain
    released.set()


@pytest.mark.parametrize("said", [b"", b'HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{"status"', b"nonsense\r\n\r\n"])
async def test_a_connection_cut_after_the_request_is_uncertain(send: Send, said: bytes) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        await request.read()
        assert request.transport is not None
        request.transport.write(said)
        request.transport.close()
        return web.Response()

    outcome = deferred(await send(cut))
    assert (outcome.scope, outcome.uncertain) == ("gateway", True)


async def test_an_endless_answer_is_not_read_to_its_end(send: Send) -> None:
    written = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while written < 1000 * ANSWER_LIMIT:
                await response.write(b"x" * ANSWER_LIMIT)
                written += ANSWER_LIMIT
        except ConnectionError:
            pass
        return response

    assert deferred(await send(flood)).uncertain
    assert written < 1000 * ANSWER_LIMIT


async def test_a_refused_connection_is_certain(make: Make) -> None:
    outcome = deferred(await say_hello(make(f"http://127.0.0.1:{unused_port()}")))
    assert (outcome.scope, outcome.uncertain) == ("gateway", False)
    assert outcome.reason == "no connection: ConnectionRefusedError"


@pytest.mark.parametrize("base_url", ["http://a..b", "http://", "nonsense", "ftp://a.example", "http://127.0.0.1:1/"])
async def test_a_base_url_that_leads_nowhere_is_certain(make: Make, base_url: str) -> None:
    channel = make(base_url)
    outcome = await channel.send(Template(name="t", language="en"), number=OURS, recipient=THEIRS, reference="m-1")
    assert not deferred(outcome).uncertain


async def test_a_certificate_that_nobody_vouches_for_is_certain(make: Make) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)

    async def listen(peer: Peer) -> None:
        assert await peer.until_closed() == b""

    async with raw_server(listen, tls=context) as server:
        outcome = deferred(await say_hello(make(f"https://localhost:{server.port}")))
    assert (outcome.reason, outcome.uncertain) == ("no connection: SSLCertVerificationError", False)


async def test_a_key_with_a_line_break_is_an_outcome(make: Make) -> None:
    outcome = deferred(await say_hello(make(f"http://127.0.0.1:{unused_port()}", auth_key="a\r\nb")))
    assert (outcome.reason, outcome.uncertain) == ("no request: ValueError", False)


async def test_a_closed_client_is_certain() -> None:
    client = client_of("http://127.0.0.1:1", auth_key="key", connections=1, rest=5.0)
    await client.close()
    assert not deferred(await say_hello(Msg91Channel(client))).uncertain


async def test_a_kept_connection_that_is_cut_while_we_write_is_uncertain_and_one_cut_before_is_not_used(
    make: Make,
) -> None:
    async def twice(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await peer.request()

    async with raw_server(twice) as server:
        channel = make(f"http://127.0.0.1:{server.port}")
        assert isinstance(await say_hello(channel), Accepted)
        outcome = deferred(await say_hello(channel))
        assert (outcome.reason, outcome.uncertain) == ("connection lost: ConnectionResetError", True)
        assert isinstance(await say_hello(channel), Accepted)
        assert server.connections == 2


async def test_cancelling_a_send_cancels_it(send: Send) -> None:
    arrived, released = asyncio.Event(), asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        arrived.set()
        await released.wait()
        return web.Response()

    task = asyncio.ensure_future(send(hang))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    released.set()
