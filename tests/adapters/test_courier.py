"""The way out to the company's systems, over real sockets: what it sends, what it refuses, what it says of failures."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.adapters import courier
from bot.adapters.courier import USER_AGENT, HttpCourier, PrivateAddress, couriers, public_socket

BODY = b'{"id":"e1"}'


class Endpoint:
    def __init__(self) -> None:
        self.seen: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.answer = web.Response()
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        self.server = TestServer(app)

    def url(self, path: str = "/hooks") -> str:
        return str(self.server.make_url(path))

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        self.bodies.append(await request.read())
        return self.answer


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    async with endpoint.server:
        yield endpoint


@pytest.fixture
async def private() -> AsyncIterator[HttpCourier]:
    async with couriers(private=True) as made:
        yield made


@pytest.fixture
async def public() -> AsyncIterator[HttpCourier]:
    async with couriers(private=False) as made:
        yield made


async def test_a_delivery_is_one_post_with_the_headers_and_the_body_as_given(
    endpoint: Endpoint, private: HttpCourier
) -> None:
    endpoint.answer = web.Response(status=202, headers={"Set-Cookie": "a=b"})
    answered = await private.deliver(endpoint.url("/hooks?tenant=1"), {"webhook-id": "e1"}, BODY)
    assert (answered.status, answered.retry_after, answered.error) == (202, None, "")
    (request,) = endpoint.seen
    assert (request.headers["webhook-id"], request.headers["User-Agent"]) == ("e1", USER_AGENT)
    assert (request.content_type, request.query_string) == ("application/json", "tenant=1")
    assert endpoint.bodies == [BODY]


async def test_a_redirect_is_an_answer_and_is_not_followed(endpoint: Endpoint, private: HttpCourier) -> None:
    endpoint.answer = web.Response(status=302, headers={"Location": endpoint.url("/elsewhere")})
    assert (await private.deliver(endpoint.url(), {}, BODY)).status == 302
    assert len(endpoint.seen) == 1


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [("120", 120, 120), ("soon", None, None), ("", None, None), ("9" * 50, 999_999_999, 999_999_999)],
)
async def test_an_endpoint_may_say_when_to_come_again(
    endpoint: Endpoint, private: HttpCourier, header: str, least: Any, most: Any
) -> None:
    endpoint.answer = web.Response(status=503, headers={"Retry-After": header})
    assert (await private.deliver(endpoint.url(), {}, BODY)).retry_after == least == most


async def test_an_endpoint_may_say_it_with_a_date(endpoint: Endpoint, private: HttpCourier) -> None:
    endpoint.answer = web.Response(status=429, headers={"Retry-After": formatdate(time.time() + 90, usegmt=True)})
    wait = (await private.deliver(endpoint.url(), {}, BODY)).retry_after
    assert wait is not None
    assert 60 < wait <= 90


async def test_a_refused_connection_is_an_answer_that_says_so(private: HttpCourier) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        answered = await private.deliver(f"http://127.0.0.1:{closed.getsockname()[1]}/", {}, BODY)
    assert (answered.status, answered.error.partition(":")[0]) == (0, "ClientConnectorError")


async def test_an_endpoint_that_says_nothing_is_given_up(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "TIMEOUT_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with couriers(private=True) as impatient:
            answered = await impatient.deliver(f"http://127.0.0.1:{silent.getsockname()[1]}/", {}, BODY)
    assert (answered.status, answered.error) == (0, "no answer within 0 s")


@pytest.mark.parametrize("url", ["nonsense", "https://", "http://127.0.0.1:99999/", "ftp://example.com/"])
async def test_an_address_that_is_none_is_an_answer_too(private: HttpCourier, url: str) -> None:
    answered = await private.deliver(url, {}, BODY)
    assert answered.status == 0
    assert answered.error


async def test_what_is_private_is_not_connected_to_by_number(endpoint: Endpoint, public: HttpCourier) -> None:
    answered = await public.deliver(endpoint.url(), {}, BODY)
    assert (answered.status, endpoint.seen) == (0, [])
    assert answered.error.startswith("PrivateAddress: ")


async def test_what_is_private_is_not_connected_to_by_name_or_odd_number(
    endpoint: Endpoint, public: HttpCourier
) -> None:
    """A name that resolves to a private address, however its owner brought that about."""
    port = endpoint.server.port
    for host in ("localhost", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"):
        answered = await public.deliver(f"http://{host}:{port}/hooks", {}, BODY)
        assert answered.status == 0, host
    assert endpoint.seen == []


async def test_a_name_is_looked_at_where_it_is_connected_to(
    endpoint: Endpoint, public: HttpCourier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: whatever an earlier look-up said, the address that a connection goes to is what counts."""
    resolved = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", endpoint.server.port or 0))]

    async def getaddrinfo(*_: Any, **__: Any) -> Any:
        return resolved

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    answered = await public.deliver("http://rebound.example/hooks", {}, BODY)
    assert (answered.status, endpoint.seen) == (0, [])
    assert answered.error.startswith("PrivateAddress: ")


def test_a_socket_is_made_for_a_public_address_only() -> None:
    with public_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 443))) as made:
        assert made.family == socket.AF_INET
    with pytest.raises(PrivateAddress):
        public_socket((socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 443, 0, 0)))


async def test_no_proxy_is_taken_from_the_environment(
    endpoint: Endpoint, private: HttpCourier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    assert (await private.deliver(endpoint.url(), {}, BODY)).status == 200
