"""The whole demo in a real browser: a customer writes on the web phone, and everything that answers is real."""

import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from bot.commands.demo import Demo, demonstrated
from tests.sandbox.test_phone_page import ARGUMENTS, CHROMIUM

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs chromium")
expect.set_options(timeout=15_000)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because sockets lie in it."""
    made = Path(tempfile.mkdtemp(prefix="page-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
async def system(folder: Path) -> AsyncIterator[Demo]:
    async with demonstrated(port=0, sandbox_port=0, data=folder, quiet=True) as system:
        yield system


@pytest.fixture
async def page(system: Demo) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await chromium.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        await page.goto(f"{system.sandbox_url}/phone")
        await expect(page.locator("#state")).to_have_text("online")
        yield page
        await chromium.close()


async def test_a_customer_is_served_in_the_browser(page: Page) -> None:
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    answers = page.locator(".message.out .says")
    composer = page.get_by_role("textbox", name="Message")

    async def say(text: str) -> None:
        await composer.fill(text)
        await composer.press("Enter")

    await page.get_by_label("Name").fill("Asha")
    await page.get_by_label("Name").press("Tab")
    await say("Hello")
    await expect(answers).to_have_text([re.compile("Hello Asha!"), "What can we do for you?"])
    await page.get_by_role("button", name="My order").click()
    await expect(answers.nth(2)).to_contain_text("order number")
    await say("482913")
    await expect(answers.nth(3)).to_contain_text("What about order 482913?")
    await page.locator(".message.out").nth(3).get_by_role("button").click()
    sheet = page.get_by_role("dialog")
    await sheet.get_by_role("radio", name="Delivery").press("Space")
    await sheet.get_by_role("button", name="Send").press("Enter")
    await expect(answers).to_have_count(6)
    await page.get_by_role("button", name="Yes, thank you").click()
    await expect(answers.nth(6)).to_contain_text("Anything else?")
    await say("When are you open on Saturday?")
    await expect(answers.nth(7)).to_contain_text("We are open Monday to Saturday")
    await expect(page.locator(".message.in .tick").last).to_have_attribute("data-state", "read")

    await say("नमस्ते")
    await expect(answers.nth(8)).to_contain_text("नमस्ते Asha!")
    await expect(page.get_by_role("button", name="मेरा ऑर्डर")).to_be_enabled()
    count = await answers.count()
    await page.get_by_role("button", name="Attach").click()
    await page.get_by_role("menuitem", name="Sample picture").click()
    await expect(page.locator(".message.in img")).to_be_visible()
    await expect(answers).to_have_count(count + 1)
    assert problems == []
