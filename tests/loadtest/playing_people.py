"""A customer of the crowd talks to the real core without a network: the story of it, as a load test would see it."""

import random

import orjson

from bot.core.book import Rules
from bot.core.effects import SendMessage
from bot.core.events import AgentAssigned, AgentReplied, ConversationResolved, ReturnedToBot
from bot.core.messages import Buttons, Choice, Inbound, ListMenu, Media, Outbound, Tap, Text, spoken
from bot.sandbox.model import reply
from bot.wire.openrouter.requests import build_request
from loadtest.people_run.said import Content, Heard, Option, Said, Section, Story
from loadtest.people_run.talk import Line, Talk
from loadtest.people_run.world import PEOPLE_FLOWS
from tests.core import talking
from tests.core.playing import book_of

SESSION = 90.0
BOOK = book_of(PEOPLE_FLOWS, Rules(session_timeout=SESSION))
TURNS = 60


class Play:
    """One customer's life of at most `TURNS` turns; it ends early when they leave."""

    def __init__(self, seed: int, phone: str = "917000000001") -> None:
        self.said: list[Said] = []
        self.heard: list[Heard] = []
        self._phone = phone
        self._chance = random.Random(seed)
        self._talk = Talk(self._chance)
        self._core = talking.Talk(BOOK)
        self._offers: dict[str, Choice] = {}
        for _ in range(TURNS):
            if not self._turn():
                break

    @property
    def story(self) -> Story:
        return Story(said=self.said, heard=self.heard, seconds=60.0)

    def _turn(self) -> bool:
        turn = self._talk.turn()
        if turn.silence:
            self._core.at += SESSION + 5.0
            self._talk.silent()
        for line in turn.lines:
            self._say(line)
        self._answer_questions()
        if self._talk.state == "person" and turn.lines:
            self._with_agent()
        return not turn.leaves

    def _say(self, line: Line) -> None:
        said = self._note(line)
        self._core.hear(self._content(line), after=0.5)
        said.acked, said.ack_seconds = self._core.at, 0.01
        self._take()

    def _note(self, line: Line) -> Said:
        said = Said(
            phone=self._phone,
            place=len(self.said),
            text=line.text,
            kind=line.kind,
            wants=line.wants,
            question=line.question,
            sent=self._core.at,
        )
        self.said.append(said)
        return said

    def _content(self, line: Line) -> Inbound:
        if line.tap:
            choice = self._offers[line.text]
            return Tap(id=choice.id, title=choice.title)
        return Media(kind="image", url="https://x", caption=line.text) if line.image else Text(text=line.text)

    def _answer_questions(self) -> None:
        if self._core.state.asking is None:
            return
        self._core.fire("quiet")
        asked = self._core.asked[-1]
        request = build_request(model="m", system=asked.system, turns=asked.turns, max_tokens=100, user="")
        self._core.answered(reply(orjson.loads(request)["messages"]))
        self._take()

    def _with_agent(self) -> None:
        self._core.apply(AgentAssigned(agent="Meera"))
        self._say(self._talk.aside())
        text = f"How can I help? {len(self.said)}"
        said = self._note(Line(text=text, wants=(text,)))
        said.kind, said.acked = "agent", self._core.at
        self._core.apply(AgentReplied(agent="Meera", content=Text(text=text)))
        self._take()
        resolved = self._chance.random() < 0.5
        self._core.apply(ConversationResolved(by="Meera") if resolved else ReturnedToBot(by="Meera"))
        self._talk.returned(resolved=resolved)

    def _take(self) -> None:
        """What the last step sent reaches the provider."""
        for effect in self._core.last.effects:
            if isinstance(effect, SendMessage):
                content = effect.content
                self.heard.append(
                    Heard(effect.id, self._phone, spoken_text(content), self._core.at + 0.02, effect.id, shown(content))
                )
                if isinstance(content, Buttons | ListMenu):
                    choices = content.buttons if isinstance(content, Buttons) else content.rows
                    self._offers = {choice.title: choice for choice in choices}


def spoken_text(content: Outbound) -> str:
    return content.text if isinstance(content, Text | Buttons | ListMenu) else spoken(content)


def shown(content: Outbound) -> Content:
    match content:
        case Buttons(buttons=buttons):
            return Content(buttons=tuple(Option(one.id, one.title) for one in buttons))
        case ListMenu(rows=rows):
            return Content(sections=(Section(tuple(Option(one.id, one.title) for one in rows)),))
        case _:
            return Content()
