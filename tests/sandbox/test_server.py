"""The application as a whole: what it keeps, how it starts and stops, its pages, and its command."""

import asyncio
import struct
from importlib.resources import files

import aiohttp
import msgspec
import pytest

from bot.sandbox.__main__ import settings_from
from bot.sandbox.phones import QUEUE, Phones
from bot.sandbox.picture import HEIGHT, WIDTH, sample_png
from bot.sandbox.server import run
from bot.sandbox.settings import SandboxSettings
from tests.sandbox.conftest import CUSTOMER, Client, Start, customer_says, send, sent_to, text_to


async def test_only_the_last_messages_are_kept_but_all_are_counted(start: Start) -> None:
    box = await start(kept=3)
    for index in range(5):
        await send(box, text_to(f"91900000010{index % 4}", f"text {index}"))
        await customer_says(box, text="hi", **{"from": f"91900000020{index}"})
    async with box.get("/sandbox/messages") as response:
        assert [message["text"] for message in await response.json()] == ["text 2", "text 3", "text 4"]
    assert [message["text"] for message in await sent_to(box, "919000000100")] == ["text 4"]
    assert await sent_to(box, "919000000101") == []
    async with box.get("/sandbox/counters") as response:
        counted = await response.json()
    assert (counted["sends"], counted["accepted"], counted["kept"], counted["heard"]) == (5, 5, 3, 5)


async def test_a_reset_forgets_but_gives_no_id_twice(box: Client) -> None:
    await send(box, text_to())
    before = (await sent_to(box))[0]["id"]
    async with box.post("/sandbox/reset") as response:
        assert response.status == 200
    assert await sent_to(box) == []
    await send(box, text_to())
    assert (await sent_to(box))[0]["id"] != before


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/phone", "text/html"), ("/phone/phone.css", "text/css"), ("/phone/phone.js", "text/javascript")],
)
async def test_the_page_needs_nothing_from_elsewhere(box: Client, path: str, kind: str) -> None:
    async with box.get(path) as response:
        assert (response.status, response.content_type) == (200, kind)
        policy = response.headers["Content-Security-Policy"]
        text = await response.text()
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert 'src="http' not in text
    assert "@import" not in text


async def test_the_root_leads_to_the_phone(box: Client) -> None:
    async with box.get("/", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (302, "/phone")


async def test_the_sample_picture_is_a_png(box: Client) -> None:
    async with box.get("/phone/sample.png") as response:
        assert (response.content_type, await response.read()) == ("image/png", sample_png())
    assert struct.unpack(">II", sample_png()[16:24]) == (WIDTH, HEIGHT)


async def test_the_end_does_not_wait_for_open_pages(start: Start) -> None:
    box = await start()
    async with box.get("/phone/events", params={"number": CUSTOMER}) as stream:
        await stream.content.readuntil(b"\n\n")
        closing = asyncio.create_task(box.server.close())
        await asyncio.wait_for(stream.read(), 5)
    await closing


async def test_it_runs_alone_until_it_is_cancelled(unused_tcp_port: int) -> None:
    running = asyncio.create_task(run(SandboxSettings(port=unused_tcp_port)))
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{unused_tcp_port}/sandbox/messages") as response:
                    assert await response.json() == []
                    break
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_a_page_that_does_not_read_loses_the_oldest_events() -> None:
    phones = Phones()
    with phones.page(CUSTOMER) as queue, phones.page(CUSTOMER):
        assert len(phones) == 2
        for index in range(QUEUE + 1):
            phones.tell(CUSTOMER, "message", index)
        assert queue.qsize() == QUEUE
        assert queue.get_nowait() == b"event: message\ndata: 1\n\n"
    assert len(phones) == 0


def test_settings_are_given_by_name() -> None:
    settings = settings_from(["port=9", "reports=false", "integrated_numbers=919000000001,919000000005"])
    assert settings == SandboxSettings(port=9, reports=False, integrated_numbers=("919000000001", "919000000005"))
    with pytest.raises(msgspec.ValidationError, match="webhook_shape"):
        settings_from(["webhook_shape=round"])


def test_no_file_of_the_page_has_code_or_style_in_its_markup() -> None:
    html = files("bot.sandbox").joinpath("phone.html").read_text("utf-8")
    assert "style=" not in html
    assert "<style" not in html
    assert "onclick" not in html
    assert html.count("<script") == html.count('<script type="module" src=')
