"""`bot demo --script`: sample conversations through the real webhook, printed as they happen and verified.

Each line that a customer says names what the bot has to answer, as the beginning of each message in order. It ends well
only if every reply arrived exactly once and in order, every message was accepted, and nobody is left unanswered.
"""

import asyncio
import secrets
import time
from pathlib import Path
from typing import Any

import aiohttp
import click
import msgspec
import orjson

from bot.commands.demo import Demo, demonstrated

PATIENCE = 20.0
"""Seconds one answer may take."""
SETTLE = 0.4
"""Seconds to wait for a message that should not come."""


HANDED_OVER = ("Thank you. A colleague", "Thank you. Our team is away")
"""Within business hours, and outside."""


class Line(msgspec.Struct, frozen=True):
    """What the customer sends (a text, or the title of a choice to tap), and how each answer may begin."""

    says: str
    answers: tuple[str | tuple[str, ...], ...]
    tap: bool = False


class Scene(msgspec.Struct, frozen=True):
    title: str
    name: str
    lines: tuple[Line, ...]
    ends: str
    """Who holds the conversation at the end."""


SCENES = (
    Scene(
        "An order, by buttons and a flow",
        "Asha",
        (
            Line("hello", ("Hello Asha!", "What can we do for you?")),
            Line("My order", ("What is your order number?",), tap=True),
            Line("12", ("That does not look like an order number.",)),
            Line("482913", ("Thank you. What about order 482913?",)),
            Line("Delivery", ("Orders arrive within five working days.", "Does that help?"), tap=True),
            Line("Yes, thank you", ("Anything else?",), tap=True),
        ),
        "bot",
    ),
    Scene(
        "A free question, answered by the model",
        "Ravi",
        (
            Line("hi", ("Hello Ravi!", "What can we do for you?")),
            Line("Ask a question", ("Please write your question",), tap=True),
            Line("When are you open on Saturday?", ("We are open Monday to Saturday",)),
        ),
        "model",
    ),
    Scene(
        "In Hindi",
        "आशा",
        (
            Line("नमस्ते", ("नमस्ते आशा!", "हम आपके लिए क्या कर सकते हैं?")),
            Line("मेरा ऑर्डर", ("आपका ऑर्डर नंबर क्या है?",), tap=True),
        ),
        "bot",
    ),
    Scene(
        "A person is wanted",
        "Meera",
        (
            Line("hello", ("Hello Meera!", "What can we do for you?")),
            Line("agent", (HANDED_OVER,)),
            Line("Are you there?", ()),
        ),
        "queue",
    ),
)


class Failed(Exception):
    """Something was not answered as the script says."""


async def play(data: Path) -> None:
    """Play every scene at the same time, as customers do, and print the transcript. Exits 1 on a broken promise."""
    async with (
        demonstrated(port=0, sandbox_port=0, data=data, quiet=True) as system,
        aiohttp.ClientSession() as session,
    ):
        phones = [f"9177{secrets.randbelow(10**8):08d}" for _ in SCENES]
        played = [_Player(system, session, scene, phone) for scene, phone in zip(SCENES, phones, strict=True)]
        results = await asyncio.gather(*(player.play() for player in played), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        for failure in failures:
            if not isinstance(failure, Failed):
                raise failure
            click.echo(f"FAILED: {failure}")
        click.echo(f"{len(SCENES) - len(failures)} of {len(SCENES)} conversations as they should be")
        if failures:
            raise SystemExit(1)


class _Player:
    def __init__(self, system: Demo, session: aiohttp.ClientSession, scene: Scene, phone: str) -> None:
        self._system = system
        self._session = session
        self._scene = scene
        self._phone = phone
        self._seen = 0
        self._choices: dict[str, dict[str, str]] = {}

    async def play(self) -> None:
        for line in self._scene.lines:
            await self._say(line)
            await self._hear(line)
        await asyncio.sleep(SETTLE)
        if len(await self._messages()) != self._seen:
            raise Failed(f"{self._scene.title}: more answers than there should be")
        await self._check_state()

    async def _say(self, line: Line) -> None:
        body: dict[str, object] = {"from": self._phone, "name": self._scene.name}
        if line.tap:
            if line.says not in self._choices:
                raise Failed(f"{self._scene.title}: there is no choice {line.says!r}")
            body["tap"] = self._choices[line.says]
        else:
            body["text"] = line.says
        self._print(self._scene.name, f"[{line.says}]" if line.tap else line.says)
        async with self._session.post(f"{self._system.sandbox_url}/sandbox/customer", json=body) as answer:
            if answer.status != 200:
                raise Failed(f"{self._scene.title}: the webhook did not take {line.says!r}")

    async def _hear(self, line: Line) -> None:
        wanted = self._seen + len(line.answers)
        end = time.monotonic() + PATIENCE
        while len(messages := await self._messages()) < wanted:
            if time.monotonic() > end:
                raise Failed(f"{self._scene.title}: no answer to {line.says!r} in {PATIENCE:.0f} s")
            await asyncio.sleep(0.02)
        for message, start in zip(messages[self._seen : wanted], line.answers, strict=True):
            self._print("bot", _shown(message))
            if not message["text"].startswith(start):
                raise Failed(f"{self._scene.title}: {line.says!r} was answered {message['text']!r}, not {start!r} ...")
            self._remember_choices(message)
        self._seen = wanted

    async def _messages(self) -> list[dict[str, Any]]:
        async with self._session.get(f"{self._system.sandbox_url}/sandbox/messages?to={self._phone}") as answer:
            found: list[dict[str, Any]] = orjson.loads(await answer.read())
            return found

    async def _check_state(self) -> None:
        headers = {"Authorization": f"Bearer {self._system.admin_token}"}
        url = f"{self._system.url}/api/v1/conversations?q={self._phone}"
        async with self._session.get(url, headers=headers) as answer:
            found = orjson.loads(await answer.read())["items"]
        if len(found) != 1 or found[0]["status"] != self._scene.ends:
            raise Failed(f"{self._scene.title}: held by {[one['status'] for one in found]}, not {self._scene.ends}")
        click.echo(f"  = {self._scene.title}: one conversation, held by {found[0]['status']}, {self._seen} replies")

    def _remember_choices(self, message: dict[str, Any]) -> None:
        self._choices = {}
        interactive = message["body"].get("interactive", {})
        action = interactive.get("action", {})
        for button in action.get("buttons", ()):
            self._choices[button["reply"]["title"]] = {**button["reply"], "kind": "button"}
        for section in action.get("sections", ()):
            for row in section["rows"]:
                self._choices[row["title"]] = {"id": row["id"], "title": row["title"], "kind": "list"}

    def _print(self, who: str, text: str) -> None:
        click.echo(f"{self._phone[-4:]} {who:>6}: {text}")


def _shown(message: dict[str, Any]) -> str:
    return str(message["text"]).replace("\n", " / ")
