"""What was said and what came of it, as both sides saw it. Times in unix seconds of this machine."""

from collections.abc import Sequence
from typing import Any

import msgspec

from loadtest.people_run.talk import Kind


class Said(msgspec.Struct, kw_only=True):
    """One message of a customer, or of an agent to them. `place`: counts the messages of this customer.

    `sent`: when its first webhook was due; `acked`: when the service had it, 0 never; `attempts`: webhooks until
    then. `abandoned`: the run ended while it was under way, and nobody had waited for long.
    """

    phone: str
    place: int
    text: str
    kind: Kind
    wants: tuple[str, ...] = ()
    question: str = ""
    sent: float = 0.0
    acked: float = 0.0
    ack_seconds: float = 0.0
    """Of the attempt that was acknowledged."""
    attempts: int = 0
    abandoned: bool = False


class Option(msgspec.Struct, frozen=True):
    """Something to tap."""

    id: str
    title: str


class Section(msgspec.Struct, frozen=True):
    rows: tuple[Option, ...]


class Content(msgspec.Struct, frozen=True):
    buttons: tuple[Option, ...] = ()
    sections: tuple[Section, ...] = ()


class Heard(msgspec.Struct, frozen=True):
    """A message that the provider took, as `GET /sandbox/messages` lists it. `crqid` is the service's own reference."""

    id: str
    to: str
    text: str
    at: float
    crqid: str
    content: Content = Content()

    @property
    def offered(self) -> tuple[Option, ...]:
        """What can be tapped in it."""
        return (*self.content.buttons, *(row for section in self.content.sections for row in section.rows))


class Story(msgspec.Struct, kw_only=True):
    """A whole run. `said` is in the order of saying, `heard` in the order of the provider.

    Figures are of the `seconds` after `settled`, when all customers were there; promises are of everything.
    """

    said: Sequence[Said]
    heard: Sequence[Heard]
    seconds: float
    settled: float = 0.0
    """Unix seconds; 0: everybody was there from the beginning."""
    late: Sequence[float] = ()
    """Seconds by which the load generator came late to what it had planned."""
    busy: float = 0.0
    """Share of a processor that the load generator used."""
    uncertain: int = 0
    """Sends that the service counted as possibly repeated (`bot_uncertain_sends_total`) during the run."""
    repeated: int = 0
    """Webhooks delivered once more on purpose."""
    refused: int = 0
    """Attempts that were answered 503, or not at all."""
    compared: int = 0
    """Customers whose transcript was read over REST."""
    differences: tuple[str, ...] = ()
    """What the transcripts say otherwise than what was said and what the provider took."""
    troubles: tuple[str, ...] = ()
    """Answers that nobody should get, calls of REST that failed."""

    def counts(self, moment: float) -> bool:
        """Whether what began at this moment is part of the figures."""
        return not self.settled or self.settled <= moment <= self.settled + self.seconds


LIST: Any = msgspec.json.Decoder(list[Heard])
"""Reads `GET /sandbox/messages`."""
