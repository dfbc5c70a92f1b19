"""The web phone in a real browser, against a service that answers by posting to the sandbox."""

import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.sandbox.conftest import CUSTOMER, OURS, Client, Service, Start, send, sent_to, text_to

CHROMIUM = shutil.which("chromium") or ""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SHOTS = os.environ.get("PHONE_SHOTS", "")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs chromium")
expect.set_options(timeout=10_000)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        await chromium.close()


@pytest.fixture
async def phone(start: Start) -> Client:
    return await start()


def buttons_to(*titles: str) -> dict[str, Any]:
    buttons = [{"type": "reply", "reply": {"id": title.lower(), "title": title}} for title in titles]
    body = {"text": "What is it about?"}
    interactive = {"type": "button", "body": body, "footer": {"text": "Pick one"}, "action": {"buttons": buttons}}
    return _to({"content_type": "interactive", "interactive": interactive})


def list_to() -> dict[str, Any]:
    rows = [
        {"id": "eta", "title": "Where is my parcel", "description": "Track it with your order number"},
        {"id": "late", "title": "It is late"},
    ]
    more = [{"id": "refund", "title": "Ask for a refund", "description": "Takes five working days"}]
    sections = [{"title": "Delivery", "rows": rows}, {"title": "Money", "rows": more}]
    action = {"button": "See topics", "sections": sections}
    header, body = {"type": "text", "text": "Topics"}, {"text": "How may we help?"}
    return _to(
        {
            "content_type": "interactive",
            "interactive": {"type": "list", "header": header, "body": body, "action": action},
        }
    )


def _to(fields: dict[str, Any]) -> dict[str, Any]:
    return {"integrated_number": OURS, "recipient_number": CUSTOMER, **fields}


async def open_page(browser: Browser, client: Client, number: str = CUSTOMER, **options: Any) -> Page:
    page = await browser.new_page(**{"viewport": {"width": 390, "height": 844}, **options})
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    await page.add_init_script(
        f"localStorage.getItem('phone.number') ?? localStorage.setItem('phone.number', '{number}')"
    )
    await page.goto(str(client.make_url("/")))
    await expect(page.locator("#state")).to_have_text("online")
    assert problems == []
    return page


async def shoot(page: Page, name: str) -> None:
    """Keep a picture for a person to look at, when `PHONE_SHOTS` names a folder."""
    if SHOTS:
        await page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), animations="disabled")


async def test_a_text_reaches_the_service_and_its_answer_comes_live(
    browser: Browser, phone: Client, service: Service
) -> None:
    async def echo(body: dict[str, Any]) -> None:
        if body.get("direction") == "0":
            await send(phone, text_to(body["customerNumber"], f"You said: {body['text']}"))

    service.react = echo
    page = await open_page(browser, phone)
    await page.get_by_label("Name").fill("Ravi")
    await page.get_by_label("Name").press("Tab")
    await page.get_by_role("textbox", name="Message").fill("Good day\nsecond line")
    await page.get_by_role("textbox", name="Message").press("Enter")
    await expect(page.locator(".message.out .says")).to_have_text("You said: Good day\nsecond line")
    await expect(page.locator(".message.in .tick")).to_have_attribute("data-state", "read")
    heard = await service.next()
    assert (heard["customerNumber"], heard["customerName"], heard["text"]) == (
        CUSTOMER,
        "Ravi",
        "Good day\nsecond line",
    )


async def test_an_open_page_reads_and_the_read_report_goes_out(
    browser: Browser, phone: Client, service: Service
) -> None:
    await send(phone, text_to(text="before the page was open", crqid="m-1"))
    page = await open_page(browser, phone)
    await expect(page.locator(".message.out .says")).to_have_text("before the page was open")
    assert (await service.report("read"))["crqid"] == "m-1"
    await send(phone, text_to(text="while it is open", crqid="m-2"))
    assert (await service.report("read"))["crqid"] == "m-2"


async def test_reply_buttons_are_tapped_once(browser: Browser, phone: Client, service: Service) -> None:
    page = await open_page(browser, phone)
    await send(phone, buttons_to("Delivery", "Refund", "Something else"))
    await page.get_by_role("button", name="Refund").click()
    await expect(page.locator(".message.in .says")).to_have_text("Refund")
    await expect(page.get_by_role("button", name="Delivery")).to_be_disabled()
    while not (heard := await service.next()).get("interactive"):
        pass
    assert orjson.loads(heard["interactive"])["button_reply"] == {"id": "refund", "title": "Refund"}


async def test_a_list_opens_a_sheet_that_the_keyboard_can_use(
    browser: Browser, phone: Client, service: Service
) -> None:
    page = await open_page(browser, phone)
    await send(phone, list_to())
    await page.get_by_role("button", name="See topics").click()
    sheet = page.get_by_role("dialog")
    await expect(sheet.get_by_role("button", name="Send")).to_be_disabled()
    await sheet.get_by_role("radio", name=re.compile("refund")).press("Space")
    await shoot(page, "phone-list")
    await sheet.get_by_role("button", name="Send").press("Enter")
    await expect(sheet).to_be_hidden()
    while not (heard := await service.next()).get("interactive"):
        pass
    assert orjson.loads(heard["interactive"])["list_reply"]["description"] == "Takes five working days"


async def test_pictures_and_places_go_both_ways(browser: Browser, phone: Client, service: Service) -> None:
    page = await open_page(browser, phone)
    await page.get_by_role("button", name="Attach").click()
    await page.get_by_role("menuitem", name="Sample picture").click()
    heard = await service.next()
    assert heard["url"].endswith("/phone/sample.png")
    image = {"content_type": "image", "attachment_url": heard["url"], "caption": "Your invoice"}
    await send(phone, _to(image))
    await expect(page.locator(".message.out img")).to_be_visible()
    await page.get_by_role("button", name="Attach").press("Enter")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name=re.compile("Cubbon Park"))).to_be_visible()
    await send(
        phone, _to({"content_type": "document", "attachment_url": "https://example.com/a.pdf", "filename": "a.pdf"})
    )
    await expect(page.get_by_role("link", name=re.compile("a.pdf"))).to_have_attribute(
        "href", "https://example.com/a.pdf"
    )


async def test_markup_stays_text_and_direction_follows_the_words(browser: Browser, phone: Client) -> None:
    page = await open_page(browser, phone)
    await send(phone, text_to(text="<img src=x onerror=alert(1)> *bold*"))
    await send(phone, text_to(text="مرحبا، كيف يمكنني مساعدتك؟"))
    says = page.locator(".message.out .says")
    await expect(says.first).to_have_text("<img src=x onerror=alert(1)> *bold*")
    assert await says.nth(1).evaluate("element => getComputedStyle(element).direction") == "rtl"


async def test_a_service_that_is_down_is_said_and_nothing_can_be_sent(
    browser: Browser, phone: Client, service: Service
) -> None:
    page = await open_page(browser, phone)
    await page.get_by_role("textbox", name="Message").fill("hello?")
    service.alive = False
    await expect(page.get_by_role("alert")).to_contain_text("The service is down")
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    await shoot(page, "phone-down")
    service.alive = True
    await expect(page.get_by_role("alert")).to_be_hidden()
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_enabled()


async def test_a_refused_message_can_be_sent_again(browser: Browser, phone: Client, service: Service) -> None:
    page = await open_page(browser, phone)
    service.statuses = [401]
    await page.get_by_role("textbox", name="Message").fill("first try")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.locator(".message.in .tick")).to_have_attribute("data-state", "failed")
    await page.get_by_role("button", name="Send again").click()
    await expect(page.locator(".message.in .tick")).to_have_attribute("data-state", "taken")


async def test_the_customer_is_remembered_and_can_be_changed(browser: Browser, phone: Client) -> None:
    page = await open_page(browser, phone)
    await page.get_by_label("Number").fill("12")
    await page.get_by_label("Number").press("Tab")
    await expect(page.get_by_label("Number")).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_role("textbox", name="Message")).to_be_disabled()
    await page.get_by_label("Number").fill("919000000077")
    await page.get_by_label("Number").press("Enter")
    await expect(page.locator("#state")).to_have_text("online")
    await page.reload()
    await expect(page.get_by_label("Number")).to_have_value("919000000077")
    await page.get_by_role("button", name="New customer").click()
    await expect(page.get_by_label("Number")).not_to_have_value("919000000077")
    await expect(page.get_by_label("Name")).to_be_focused()


async def test_a_reset_empties_the_page(browser: Browser, phone: Client) -> None:
    page = await open_page(browser, phone)
    await send(phone, text_to())
    await expect(page.locator(".message")).to_have_count(1)
    await phone.post("/sandbox/reset")
    await expect(page.locator(".message")).to_have_count(0)
    assert await sent_to(phone) == []


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("phone-wide", {"viewport": {"width": 1280, "height": 800}}),
        ("phone-narrow", {"viewport": {"width": 360, "height": 640}}),
        ("phone", {"viewport": {"width": 390, "height": 844}}),
        ("phone-dark", {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}),
    ],
)
async def test_nothing_overflows_at_any_size(
    browser: Browser, phone: Client, name: str, options: dict[str, Any]
) -> None:
    page = await open_page(browser, phone, **options)
    await page.get_by_role("textbox", name="Message").fill("Hi, I have a question about my order 123456.")
    await page.get_by_role("button", name="Send", exact=True).click()
    await send(phone, text_to(text="नमस्ते! मैं आपकी क्या मदद कर सकता हूँ?"))
    await send(phone, _to({"content_type": "image", "attachment_url": str(phone.make_url("/phone/sample.png"))}))
    await send(phone, text_to(text="https://example.com/" + "a-very-long-address" * 6))
    await send(phone, buttons_to("Delivery", "Refund", "Something else here"))
    await page.get_by_role("button", name="Refund").click()
    await send(phone, list_to())
    await expect(page.locator(".message")).to_have_count(7)
    await shoot(page, name)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await page.evaluate(
        "document.querySelector('#scroll').scrollWidth <= document.querySelector('#scroll').clientWidth"
    )
