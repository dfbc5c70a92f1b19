"""Whether every message was answered as it must be, counted from what the provider took. Pure.

A message that is taken twice under the same reference of ours (`crqid`) is a repeated send, which may be when it was
counted as uncertain; the same words under another reference are a second effect of one event, which never may be.
"""

import re
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from loadtest.chaos_run.count import SHOWN, Arrived, Broken, repeated
from loadtest.people_run.said import Heard, Said, Story
from loadtest.people_run.talk import APOLOGY, Kind

SIGN: Final = "(simulated)"
"""Every answer of the sandbox's model ends so."""
_REFERENCE: Final = re.compile(r"#\d+")

LOST: Final = "acknowledged and not answered (P1)"
DOUBLED: Final = "answered twice (P2)"
DISORDERED: Final = "answered out of order (P3)"
CAUSELESS: Final = "sent without a cause"
UNACKNOWLEDGED: Final = "never acknowledged"
SECRETLY: Final = "sent twice without having been counted as uncertain (P5)"
DIFFERENT: Final = "the transcript over REST says otherwise"
TROUBLED: Final = "answers that nobody should get"
SILENT: Final = "nothing was said and answered, so nothing was tried"


class Waited(msgspec.Struct, frozen=True):
    """A reply: who gave it, when its cause was said, and seconds from then until the provider had the reply."""

    kind: Kind
    said: float
    seconds: float


class Verdict(msgspec.Struct, frozen=True):
    """`wanted`: replies that the acknowledged messages must have; `came`: those of them that came, once."""

    acknowledged: int
    wanted: int
    came: int
    waits: tuple[Waited, ...]
    repeats: int
    apologies: int
    unanswered: int
    broken: tuple[Broken, ...]


def judged(story: Story) -> Verdict:
    """The verdict over a run."""
    customers: dict[str, _Customer] = {}
    for one in story.said:
        customers.setdefault(one.phone, _Customer()).says(one)
    cases = _Cases()
    for reply in firsts(story.heard):
        customer = customers.get(reply.to)
        if customer is None:
            cases.add(CAUSELESS, f"{reply.to} {reply.text!r}")
        else:
            customer.hears(reply, cases)
    for customer in customers.values():
        customer.end(cases)
    repeats = repeated([Arrived(one.to, one.text, one.at, one.crqid) for one in story.heard])
    if len(repeats) > story.uncertain:
        cases.add(SECRETLY, *(f"{one.phone} {one.text!r}" for one in repeats[story.uncertain :]))
    cases.add(DIFFERENT, *story.differences)
    cases.add(TROUBLED, *story.troubles)
    counted = customers.values()
    if not cases.broken() and not any(customer.came for customer in counted):
        cases.add(SILENT, f"{len(story.said)} messages, {len(story.heard)} replies")
    return Verdict(
        acknowledged=sum(one.acked > 0 for one in story.said),
        wanted=sum(customer.wanted for customer in counted),
        came=sum(customer.came for customer in counted),
        waits=tuple(wait for customer in counted for wait in customer.waits),
        repeats=len(repeats),
        apologies=sum(customer.apologies for customer in counted),
        unanswered=sum(customer.unanswered for customer in counted),
        broken=cases.broken(),
    )


def firsts(heard: Iterable[Heard]) -> list[Heard]:
    """Without repeated sends of the same message."""
    found: dict[str, Heard] = {}
    for one in heard:
        found.setdefault(one.crqid or one.id, one)
    return list(found.values())


class _Cases:
    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def add(self, promise: str, *cases: str) -> None:
        if cases:
            self._found.setdefault(promise, []).extend(cases)

    def broken(self) -> tuple[Broken, ...]:
        return tuple(Broken(name, len(cases), tuple(cases[:SHOWN])) for name, cases in self._found.items())


class _Customer:
    """One customer's replies, matched with what they answer."""

    def __init__(self) -> None:
        self.waits: list[Waited] = []
        self.wanted = self.came = self.apologies = self.unanswered = 0
        self._said: list[Said] = []
        self._open: dict[str, deque[tuple[Said, int]]] = {}
        self._asked: dict[str, Said] = {}
        self._seen: set[str] = set()
        self._last = (-1, 0)

    def says(self, said: Said) -> None:
        self._said.append(said)
        for index, text in enumerate(said.wants):
            self._open.setdefault(text, deque()).append((said, index))
        if said.question:
            self._asked[said.question] = said
        if said.acked:
            self.wanted += len(said.wants) + bool(said.question)

    def hears(self, reply: Heard, cases: _Cases) -> None:
        """The next message at the provider that is not a repetition."""
        if waiting := self._open.get(reply.text):
            said, index = waiting.popleft()
            self._answers((said,), index, reply, cases)
        elif SIGN in reply.text:
            self._model(reply, cases)
        elif reply.text == APOLOGY and (asked := [one for one in self._asked.values() if one.sent <= reply.at]):
            self.apologies += 1
            self._take(asked, reply, cases)
        else:
            cases.add(self._surplus(reply.text in self._open), f"{reply.to} {reply.text!r} at {reply.at:.3f}")

    def _model(self, reply: Heard, cases: _Cases) -> None:
        named = _REFERENCE.findall(reply.text)
        asked = [self._asked[one] for one in named if one in self._asked]
        if asked:
            self._take(asked, reply, cases)
            return
        cases.add(self._surplus(any(one in self._seen for one in named)), f"{reply.to} {reply.text!r}")

    def _surplus(self, known: bool) -> str:
        return DOUBLED if known else CAUSELESS

    def _take(self, asked: Sequence[Said], reply: Heard, cases: _Cases) -> None:
        for one in asked:
            del self._asked[one.question]
            self._seen.add(one.question)
        self._answers(asked, 0, reply, cases)

    def _answers(self, asked: Sequence[Said], index: int, reply: Heard, cases: _Cases) -> None:
        """`reply` answers these; how long it took counts from the last of them."""
        said = asked[-1]
        place = (said.place, index)
        if place < self._last:
            cases.add(DISORDERED, f"{reply.to} {reply.text!r} came after the reply to message {self._last[0]}")
        self._last = max(place, self._last)
        self.came += sum(one.acked > 0 for one in asked)
        if index == 0:
            self.waits.append(Waited(said.kind, said.sent, reply.at - said.sent))

    def end(self, cases: _Cases) -> None:
        """Nothing more comes."""
        left = [said for waiting in self._open.values() for said, _ in waiting] + list(self._asked.values())
        lost = {said.place: said for said in left if said.acked}
        self.unanswered = len(lost)
        cases.add(LOST, *(f"{one.phone} {one.text!r} acknowledged {one.acked:.3f}" for one in lost.values()))
        unacknowledged = [said for said in self._said if not said.acked and not said.abandoned]
        cases.add(UNACKNOWLEDGED, *(f"{one.phone} {one.text!r} in {one.attempts} attempts" for one in unacknowledged))
