"""A customer as a greenlet: thinks, says a turn, waits for what is wanted; and the agents who answer some of them."""

import random
from typing import Any, Final

from gevent.event import Event
from gevent.lock import BoundedSemaphore
from gevent.queue import Empty, Queue

from loadtest.people_run.crowd import Crowd
from loadtest.people_run.said import Heard, Option, Said
from loadtest.people_run.talk import HANDED_OVER, Kind, Line, Talk
from loadtest.people_run.webhook import image_part, tap_part, text_part

SPREAD: Final = 0.7
"""Standard deviation of the logarithm of the time a customer thinks."""
QUICK: Final = (0.1, 0.8)
"""Seconds between two messages of one turn."""
LEAST_THINK: Final = 0.5
SESSION_SHARE: Final = 0.4
"""Of the session timeout, which no pause but a silence may come near."""
MARGIN: Final = (3.0, 10.0)
"""Seconds that a silence is longer than the session."""
AGENT_THINKS: Final = (0.5, 3.0)
POLL_SECONDS: Final = 0.5
"""Between two looks whether the run has ended."""
RESOLVED: Final = 0.7
"""Share of hand-overs that an agent resolves; the others go back to the bot."""
AGENT_PATIENCE: Final = 30.0
"""Seconds an agent waits for another word of the customer before they close the conversation."""


class Person:
    """One customer, until they leave."""

    def __init__(self, crowd: Crowd, queue: "Queue[Person]", seed: str) -> None:
        self.crowd = crowd
        self.phone = crowd.newcomer(self._hear)
        self.chance = random.Random(seed)
        self.spoke = Event()
        """Set when the customer has said something to the agent."""
        self.released = Event()
        """Set when the agent is done."""
        self.turn = BoundedSemaphore(1)
        """Who holds it may speak to the agent or end the talk: what is said must not overtake the end."""
        self.resolved = False
        self._talk = Talk(self.chance, leaving=crowd.place.leaving)
        self._queue = queue
        self._place = 0
        self._heard: set[str] = set()
        self._named = ""
        self._offers: dict[str, tuple[Option, bool]] = {}
        self._news = Event()

    def live(self) -> bool:
        """Think, and say one turn; False when the customer has left for good, or the run has ended."""
        if not self.crowd.pause(self._thinking()):
            return False
        turn = self._talk.turn()
        if turn.silence and not self._falls_silent():
            return False
        if turn.leaves or not all(self._says(line) for line in turn.lines):
            return self._leaves()
        if not self._satisfied(turn.lines):
            return self._leaves()
        return self._talk.state != "person" or self._with_agent()

    def note(self, text: str, kind: Kind, wants: tuple[str, ...], question: str = "") -> Said:
        """The next entry of this customer's record."""
        self._place += 1
        return Said(phone=self.phone, place=self._place, text=text, kind=kind, wants=wants, question=question)

    def hears(self, text: str, seconds: float) -> bool:
        """Wait until a message of these words has come; whether it has."""
        return self._holds(lambda: text in self._heard, seconds)

    def numbered(self, words: str) -> str:
        """Words that this customer is told once."""
        return f"{words} {self._place + 1}"

    # --- saying ------------------------------------------------------------------------------------------------------

    def _says(self, line: Line) -> bool:
        if line.tap and not self._holds(lambda: line.text in self._offers, self.crowd.place.patience):
            return False
        said = self.note(line.text, line.kind, line.wants, line.question)
        self._heard.difference_update(line.wants)
        delivered = self.crowd.deliver(said, self._part(line))
        return delivered and self.crowd.pause(self.chance.uniform(*QUICK))

    def _part(self, line: Line) -> dict[str, Any]:
        if line.tap:
            option, row = self._offers[line.text]
            return tap_part(option, row=row)
        return image_part(line.text) if line.image else text_part(line.text)

    def _satisfied(self, lines: tuple[Line, ...]) -> bool:
        """Wait for everything that was wanted; whether it came within the customer's patience."""
        texts = {text for line in lines for text in line.wants}
        questions = [f"{line.question} " for line in lines if line.question]
        return self._holds(
            lambda: texts <= self._heard and all(one in self._named for one in questions), self.crowd.place.patience
        )

    def _hear(self, one: Heard) -> None:
        if one.text.startswith("#"):
            self._named = f"{self._named[-1000:]}{one.text}\n"
        else:
            self._heard.add(one.text)
        if one.offered:
            self._offers = {option.title: (option, bool(one.content.sections)) for option in one.offered}
        self._news.set()

    def _holds(self, condition: Any, seconds: float) -> bool:
        end = self.crowd.clock() + seconds
        while not condition():
            left = end - self.crowd.clock()
            if left <= 0 or self.crowd.ending.is_set():
                return bool(condition())
            self._news.clear()
            self._news.wait(min(left, POLL_SECONDS))
        return True

    # --- silence, leaving, and being with an agent -------------------------------------------------------------------

    def _thinking(self) -> float:
        think = self.crowd.place.think * self.chance.lognormvariate(0, SPREAD)
        return min(max(LEAST_THINK, think), self.crowd.place.session * SESSION_SHARE)

    def _falls_silent(self) -> bool:
        if not self.crowd.pause(self.crowd.place.session + self.chance.uniform(*MARGIN)):
            return False
        self._talk.silent()
        return True

    def _leaves(self) -> bool:
        self.crowd.forget(self.phone)
        return False

    def _with_agent(self) -> bool:
        self.spoke.clear()
        self.released.clear()
        self._queue.put(self)
        while not self._released_within(self._thinking()):
            if self.crowd.ending.is_set():
                return self._leaves()
            with self.turn:
                if not self.released.is_set() and not self._says(self._talk.aside()):
                    return self._leaves()
            self.spoke.set()
        self._talk.returned(resolved=self.resolved)
        return True

    def _released_within(self, seconds: float) -> bool:
        """Wait for the agent's last word, no longer than the run goes on; whether it was said."""
        end = self.crowd.clock() + seconds
        while not self.released.wait(POLL_SECONDS) and self.crowd.clock() < end and not self.crowd.ending.is_set():
            continue
        return bool(self.released.is_set())


class Agent:
    """Somebody at the desk, over REST: takes the next who waits, answers twice, and resolves or gives back."""

    def __init__(self, crowd: Crowd, queue: "Queue[Person]", name: str) -> None:
        self._crowd = crowd
        self._queue = queue
        self._name = name
        self._chance = random.Random(f"{crowd.place.seed} {name}")

    def work(self) -> None:
        """Until the run ends."""
        while not self._crowd.ending.is_set():
            try:
                person = self._queue.get(timeout=1.0)
            except Empty:
                continue
            self._serve(person)

    def _serve(self, person: Person) -> None:
        conversation = self._found(person.phone)
        if conversation is None:
            self._crowd.troubles.append(f"{person.phone} heard {HANDED_OVER!r} and waits in no queue")
            return
        self._crowd.api("POST", f"/conversations/{conversation}/assign", {"agent": self._name})
        if self._says(person, conversation, "How can I help?") and self._listens(person):
            self._says(person, conversation, "All done.")
            self._ends(person, conversation)

    def _found(self, phone: str) -> str | None:
        page = self._crowd.api("GET", f"/conversations?q={phone}&status=queue")
        found = [one["id"] for one in (page or {"items": []})["items"] if one["phone_number"] == phone]
        return str(found[0]) if found else None

    def _says(self, person: Person, conversation: str, words: str) -> bool:
        if not self._crowd.pause(self._chance.uniform(*AGENT_THINKS)):
            return False
        text = person.numbered(words)
        said = person.note(text, "agent", (text,))
        said.sent = self._crowd.clock()
        self._crowd.said.append(said)
        document = {"message": text, "agent": self._name}
        if self._crowd.api("POST", f"/conversations/{conversation}/reply", document) is not None:
            said.acked = self._crowd.clock()
        return True

    def _listens(self, person: Person) -> bool:
        """Wait for another word; False when the run ended meanwhile."""
        end = self._crowd.clock() + AGENT_PATIENCE
        while not person.spoke.wait(POLL_SECONDS) and self._crowd.clock() < end and not self._crowd.ending.is_set():
            continue
        return not self._crowd.ending.is_set()

    def _ends(self, person: Person, conversation: str) -> None:
        person.resolved = self._chance.random() < RESOLVED
        deed = "resolve" if person.resolved else "return_to_bot"
        with person.turn:
            if self._crowd.api("POST", f"/conversations/{conversation}/{deed}", {"by": self._name}) is not None:
                person.released.set()
