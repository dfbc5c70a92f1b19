"""What one customer says next, and what each message must be answered with: `flows/people.yaml` seen from outside.

Pure: chance comes in. Every text carries a number that this customer uses once, and the flow repeats the customer's
words; so a reply names its cause, and loss, doubles and order can be told from the texts alone. Messages of one turn
are said quickly, without waiting for an answer in between; after a turn the customer waits for what is wanted.
"""

import random
from typing import Final, Literal

import msgspec

Kind = Literal["flow", "model", "agent"]
"""Who has to answer."""
State = Literal["new", "idle", "input", "menu", "offers", "stuck", "out", "person"]

OPTED_OUT: Final = "No more messages."
OPTED_IN: Final = "Welcome back."
HANDED_OVER: Final = "A colleague will answer you."
UNREADABLE: Final = "I cannot read this. What now?"
APOLOGY: Final = "I cannot answer that now."
"""Texts of `flows/rules.yaml`."""
MENU: Final = ("Delivery", "Offers", "A question")
OFFERS: Final = ("Tea", "Coffee", "Cocoa", "Juice", "Water")
STUCK: Final = ("Main menu", "Talk to a person")
LEAVING: Final = 0.06
"""Share of turns of a customer without a topic in which they leave for good."""
BURST: Final = 0.35
"""Share of turns in a flow that are two to four quick messages."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One message to be written. `wants`: the replies, in order. `question`: a model has to name it in its answer.

    `tap`: the text is the title of something to tap, which must have been offered. `image`: the text is its caption.
    """

    text: str
    wants: tuple[str, ...] = ()
    question: str = ""
    tap: bool = False
    image: bool = False

    @property
    def kind(self) -> Kind:
        return "model" if self.question else "flow"


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """Lines said without waiting, and what the customer does afterwards.

    `silence`: says nothing until the session is over. `leaves`: never comes back.
    """

    lines: tuple[Line, ...] = ()
    silence: bool = False
    leaves: bool = False


class Talk:
    """One customer's side of the conversation. `state` is where the bot must be when all that was said was heard."""

    def __init__(self, chance: random.Random, *, leaving: float = LEAVING) -> None:
        self.state: State = "new"
        self._leaving = leaving
        self._chance = chance
        self._number = 0
        self._said = ""

    def turn(self) -> Turn:
        """What the customer does next."""
        match self.state:
            case "new":
                return Turn(lines=self._flow_begun("word"))
            case "idle":
                return self._idle()
            case "input" | "menu" | "offers":
                return self._in_flow()
            case "stuck":
                return Turn(lines=self._stuck())
            case "out":
                return Turn(lines=self._out())
            case "person":
                return Turn(lines=(self.aside(),))

    def silent(self) -> None:
        """The session ended: the flow forgets, and whatever comes next begins it."""
        self.state = "new"

    def returned(self, *, resolved: bool) -> None:
        """The person who had the conversation closed it, or gave it back to the bot."""
        self.state = "new" if resolved else "idle"

    def aside(self) -> Line:
        """Said to a person, or to nobody: the bot must not answer."""
        return Line(text=self._numbered("waiting"))

    # --- turns -------------------------------------------------------------------------------------------------------

    def _idle(self) -> Turn:
        if self._chance.random() < self._leaving:
            return Turn(leaves=True)
        roll = self._chance.random()
        if roll < 0.38:
            return Turn(lines=self._flow_begun("hello"))
        if roll < 0.70:
            return Turn(lines=self._questions())
        if roll < 0.77:
            return Turn(lines=(self._picture_asked(),))
        if roll < 0.83:
            return Turn(lines=(self._picture(),))
        if roll < 0.91:
            return Turn(lines=(self._person("agent"),))
        if roll < 0.95:
            return Turn(lines=(self._stop(),))
        return Turn(silence=True)

    def _in_flow(self) -> Turn:
        roll = self._chance.random()
        if roll < 0.03:
            return Turn(lines=(self._person("human"),))
        if roll < 0.05:
            return Turn(lines=(self._stop(),))
        if roll < 0.08:
            return Turn(silence=True)
        if self.state == "input":
            return Turn(lines=self._answered())
        return Turn(lines=(self._menu_tap() if self.state == "menu" else self._offer_tap(),))

    def _stuck(self) -> tuple[Line, ...]:
        title = self._chance.choice(STUCK)
        if title == "Talk to a person":
            return (self._person(title, tap=True),)
        self.state = "input"
        return (Line(text=title, wants=(f"Heard {title}",), tap=True),)

    def _out(self) -> tuple[Line, ...]:
        if self._chance.random() < 0.4:
            return (self.aside(),)
        self.state = "idle"
        return (Line(text="START", wants=(OPTED_IN,)),)

    # --- lines -------------------------------------------------------------------------------------------------------

    def _flow_begun(self, word: str) -> tuple[Line, ...]:
        text = self._numbered(word)
        self.state = "input"
        first = Line(text=text, wants=(f"Heard {text}",))
        return (first, *self._answered()) if self._chance.random() < BURST else (first,)

    def _answered(self) -> tuple[Line, ...]:
        """The answer to the flow's first question, and sometimes a few quick words more, which are not on offer."""
        text = self._numbered("word")
        self._said, self.state = text, "menu"
        image = self._chance.random() < 0.05
        answer = Line(text=text, wants=(f"Echo {text}: what is it about?",), image=image)
        return (answer, *(self._not_offered() for _ in range(self._chance.choice((0, 0, 0, 1, 2)))))

    def _not_offered(self) -> Line:
        text = self._numbered("word")
        return Line(text=text, wants=(f"Not offered: {text}",))

    def _menu_tap(self) -> Line:
        title, said = self._chance.choice(MENU), self._said
        self.state = "offers" if title == "Offers" else "idle"
        wants = {
            "Delivery": (f"Delivery of {said}", f"That is all about {said}"),
            "Offers": (f"Offers for {said}",),
            "A question": (f"Ask about {said}",),
        }
        return Line(text=title, wants=wants[title], tap=True)

    def _offer_tap(self) -> Line:
        title = self._chance.choice(OFFERS)
        self.state = "idle"
        return Line(text=title, wants=(f"{title} for {self._said}",), tap=True)

    def _questions(self) -> tuple[Line, ...]:
        return tuple(self._question("When will parcel", "come?") for _ in range(self._chance.choice((1, 1, 1, 2, 3))))

    def _question(self, before: str, after: str) -> Line:
        self._number += 1
        return Line(text=f"{before} #{self._number} {after}", question=f"#{self._number}")

    def _picture_asked(self) -> Line:
        asked = self._question("Is", "in this picture broken?")
        return msgspec.structs.replace(asked, image=True)

    def _picture(self) -> Line:
        self.state = "stuck"
        return Line(text="", wants=(UNREADABLE,), image=True)

    def _person(self, word: str, *, tap: bool = False) -> Line:
        self.state = "person"
        return Line(text=word, wants=(HANDED_OVER,), tap=tap)

    def _stop(self) -> Line:
        self.state = "out"
        return Line(text="STOP", wants=(OPTED_OUT,))

    def _numbered(self, word: str) -> str:
        self._number += 1
        return f"{word} {self._number}"
