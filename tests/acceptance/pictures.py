"""Takes the pictures of the README from the running demo, in Debian's chromium with a font that has emoji:
`make pictures`.

What moves is an animated PNG: still pictures of the phone, each with the time for which it stands, and lossless, so
that letters stay sharp. Nothing in it is drawn by hand, so it shows what the demo does today.
"""

import asyncio
import io
import shutil
import tempfile
from pathlib import Path

import click
import msgspec
from PIL import Image
from playwright.async_api import Locator, Page, ViewportSize, async_playwright, expect

from bot.commands.demo import Demo, demonstrated
from tests.acceptance.world import ROOT
from tests.sandbox.test_phone_page import ARGUMENTS, CHROMIUM

FOLDER = ROOT / "docs" / "pictures"
PHONE, API = FOLDER / "phone.png", FOLDER / "api.png"
SMALL, WIDE = ViewportSize(width=420, height=720), ViewportSize(width=1100, height=720)
COLOURS = 128
"""Of each frame: a phone has few, and a frame takes a third of the room."""
SHORT, LONG, LAST = 700, 1600, 4000
"""Milliseconds for which a frame stands."""


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """A picture as PNG, and for how many milliseconds it stands."""

    png: bytes
    stands: int


class Film:
    """What a customer does on the phone, and what it shows meanwhile."""

    def __init__(self, page: Page) -> None:
        self.frames: list[Frame] = []
        self._page = page
        self._composer = page.get_by_role("textbox", name="Message")

    @property
    def answers(self) -> Locator:
        return self._page.locator(".message.out .says")

    async def shoot(self, stands: int) -> None:
        self.frames.append(Frame(png=await self._page.screenshot(animations="disabled"), stands=stands))

    async def say(self, text: str, answers: int) -> None:
        """Write it, send it, and wait until the phone shows so many answers in all."""
        await self._composer.fill(text)
        await self.shoot(SHORT)
        await self._composer.press("Enter")
        await self.shoot(SHORT)
        await self.answered(answers)

    async def tap(self, title: str, answers: int) -> None:
        await self._page.get_by_role("button", name=title, exact=True).last.click()
        await self.shoot(SHORT)
        await self.answered(answers)

    async def choose(self, title: str, answers: int) -> None:
        """Open the list of the last message, and choose from it."""
        await self._page.locator(".message.out").last.get_by_role("button").click()
        sheet = self._page.get_by_role("dialog")
        await sheet.get_by_role("radio", name=title).press("Space")
        await self.shoot(LONG)
        await sheet.get_by_role("button", name="Send").press("Enter")
        await self.answered(answers)

    async def answered(self, answers: int) -> None:
        await expect(self.answers).to_have_count(answers)
        await self.shoot(LONG)


async def film(page: Page) -> list[Frame]:
    """A greeting, an order, a question to the model, and a person at last."""
    shown = Film(page)
    await page.get_by_label("Name").fill("Asha")
    await page.get_by_role("textbox", name="Message").focus()
    await shown.shoot(SHORT)
    await shown.say("Hello", 2)
    await shown.tap("My order", 3)
    await shown.say("482913", 4)
    await shown.choose("Delivery", 6)
    await shown.tap("Yes, thank you", 7)
    await shown.say("When are you open on Saturday?", 8)
    await shown.say("agent", 9)
    last = shown.frames.pop()
    return [*shown.frames, Frame(png=last.png, stands=LAST)]


def animated(frames: list[Frame]) -> bytes:
    """The frames as one PNG that begins anew when it ends."""
    pictures = [Image.open(io.BytesIO(frame.png)).convert("RGB").quantize(COLOURS) for frame in frames]
    whole = [picture.convert("RGB") for picture in pictures]
    out = io.BytesIO()
    stands = [frame.stands for frame in frames]
    whole[0].save(out, "PNG", save_all=True, append_images=whole[1:], duration=stands, loop=0, optimize=True)
    return out.getvalue()


async def take(system: Demo) -> None:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        phone = await chromium.new_page(viewport=SMALL, color_scheme="light")
        await phone.goto(f"{system.sandbox_url}/phone")
        await expect(phone.locator("#state")).to_have_text("online")
        PHONE.write_bytes(await asyncio.to_thread(animated, await film(phone)))
        document = await chromium.new_page(viewport=WIDE, color_scheme="light")
        await document.goto(f"{system.url}/api/docs")
        await document.screenshot(path=API)
        await chromium.close()


async def main() -> None:
    if not CHROMIUM:
        raise click.ClickException("chromium is missing: apt-get install chromium")
    FOLDER.mkdir(exist_ok=True)
    data = Path(tempfile.mkdtemp(prefix="pictures-"))
    try:
        async with demonstrated(port=0, sandbox_port=0, data=data, quiet=True) as system:
            await take(system)
    finally:
        shutil.rmtree(data, ignore_errors=True)
    for picture in (PHONE, API):
        click.echo(f"{picture.relative_to(ROOT)}: {picture.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    asyncio.run(main())
