"""Plays a conversation with a book through the interpreter and writes it down, for golden and documented transcripts.

Every position is serialised with msgspec and read back before it is used again.
"""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from bot.adapters.yaml_flows.loading import load_book
from bot.adapters.yaml_flows.problems import render
from bot.core.book import Book, Rules
from bot.core.flow import FlowPosition
from bot.core.interpreter import (
    Asking,
    Escalated,
    Heard,
    OutOfBudget,
    Scene,
    Turnout,
    after_model,
    answer,
    begin,
    offers,
    reminder,
    worded,
)
from bot.core.messages import Buttons, Choice, ListMenu, Outbound, Text
from bot.core.triggers import interrupt, matching_flow

UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"
MONDAY_MORNING = "2025-03-24T10:30:00+05:30"


def book_of(folder: Path, limits: Rules | None = None) -> Book:
    """The book of `folder`, which must be without errors."""
    loaded = load_book(folder, limits or Rules())
    assert loaded.book is not None, render(loaded.problems)
    return loaded.book


def book_from(folder: Path, *sources: str) -> Book:
    """The book of flows given as text; `folder` is an empty folder to put them in."""
    for number, source in enumerate(sources):
        (folder / f"flow{number}.yaml").write_text(source, encoding="utf-8")
    return book_of(folder)


def scene(message: str = "", **changes: object) -> Scene:
    """An ordinary moment: Asha writes English on a Monday morning."""
    usual = Scene(
        user_name="Asha",
        language="en",
        phone="919876543210",
        message=message,
        at=datetime.fromisoformat(MONDAY_MORNING).timestamp(),
        session_id="s-1",
        session_started_at=1_700_000_000.0,
        mode="bot",
    )
    return msgspec.structs.replace(usual, **changes)


class Player:
    """One conversation: takes what is said, keeps the position as bytes, and writes both sides down."""

    def __init__(self, book: Book, settings: Mapping[str, str]) -> None:
        at = datetime.fromisoformat(settings.get("at", MONDAY_MORNING)).timestamp()
        self.book = book
        self.scene = scene(user_name=settings.get("name", "Asha"), language=settings.get("language", "en"), at=at)
        self.state = b""
        self.first = True
        self.choices: dict[str, Choice] = {}
        self.lines: list[str] = []

    def hear(self, line: str) -> None:
        """Play one line: `customer: text`, `customer taps: title`, `customer says nothing`, `nobody comes` (no agent
        does) or `model: text`.
        """
        self.lines.append(line)
        if line in {"customer says nothing", "nobody comes"}:
            self._remind() if line.startswith("customer") else self._nobody()
            return
        speaker, _, text = line.partition(": ")
        position = self._position()
        self.scene = msgspec.structs.replace(self.scene, message=text)
        if speaker == "model" and position is not None:
            self._write(after_model(self.book, position, self.scene, text))
            return
        tapped = self.choices[text].id if speaker == "customer taps" else ""
        self._customer(Heard(text=text, choice_id=tapped), position)
        self.first = False

    def _customer(self, heard: Heard, position: FlowPosition | None) -> None:
        word = interrupt(self.book.rules, heard.text)
        if position is not None and (word is None or offers(self.book, position, heard)):
            self._write(answer(self.book, position, heard, self.scene))
            return
        self.state = b""
        flow = matching_flow(self.book, heard.text, first_message=self.first)
        if flow is not None:
            self._write(begin(self.book, flow, self.scene))
            return
        self.lines.append(f"  ({word})" if word else "  (no flow: the model answers)")

    def _remind(self) -> None:
        position = self._position()
        remind = reminder(self.book, position) if position else None
        if position is None or remind is None:
            self.lines.append("  (no reminder)")
            return
        self.lines.append(f"  (after {remind.after} seconds)")
        for message in worded(
            self.book, remind.text, msgspec.structs.replace(self.scene, message=""), position.variables
        ):
            self._write_message(message)

    def _nobody(self) -> None:
        rule = self.book.rules.no_agent
        if rule is None:
            self.lines.append("  (nothing is said)")
            return
        self.lines.append(f"  (after {rule.after} seconds)")
        for message in worded(self.book, rule.text, msgspec.structs.replace(self.scene, message=""), {}):
            self._write_message(message)
        self.lines.append("  (the bot has it again)" if rule.then == "return_to_bot" else "  (it waits in the queue)")

    def _position(self) -> FlowPosition | None:
        return msgspec.msgpack.decode(self.state, type=FlowPosition) if self.state else None

    def _write(self, turnout: Turnout) -> None:
        turnout = msgspec.msgpack.decode(msgspec.msgpack.encode(turnout), type=Turnout)
        self.state = msgspec.msgpack.encode(turnout.position) if turnout.position else b""
        if turnout.language:
            self.scene = msgspec.structs.replace(self.scene, language=turnout.language)
        for message in turnout.say:
            self._write_message(message)
        self.lines += _outcome_lines(turnout)

    def _write_message(self, message: Outbound) -> None:
        assert isinstance(message, Text | Buttons | ListMenu)
        self.lines.append("bot: " + message.text.replace("\n", "\n  "))
        if isinstance(message, Text):
            return
        choices = message.buttons if isinstance(message, Buttons) else message.rows
        opener = "" if isinstance(message, Buttons) else f"{message.button}: "
        self.choices = {choice.title: choice for choice in choices}
        self.lines.append("  " + opener + " ".join(f"[{choice.title}]" for choice in choices))


def _outcome_lines(turnout: Turnout) -> list[str]:
    faults = [f"  (fault: {fault})" for fault in turnout.faults]
    match turnout.outcome:
        case Escalated(department=department, reason=reason):
            return [*faults, f"  (a person takes over: {department}; {reason})"]
        case Asking(instruction=instruction):
            return [*faults, f"  (a model is asked: {instruction})"]
        case OutOfBudget(step_id=step_id):
            return [*faults, f"  (out of budget at {step_id})"]
        case _:
            return [*faults, *([] if turnout.position else ["  (the flow ends)"])]


def replayed(book: Book, transcript: str) -> str:
    """`transcript` as it comes out now: settings (`# name: value`) and inputs are taken from it, the rest is made."""
    lines = transcript.splitlines()
    settings = [line for line in lines if line.startswith("# ")]
    player = Player(book, dict(line[2:].split(": ", 1) for line in settings))
    for line in lines:
        if line.startswith(("customer", "model", "nobody")):
            player.hear(line)
    return "\n".join([*settings, *player.lines])
