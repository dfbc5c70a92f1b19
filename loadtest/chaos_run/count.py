"""What was promised, counted from outside: what was acknowledged against what reached the provider. Pure.

A message that the provider took twice is of one of two kinds, told apart by our own reference that each send carries.
Another reference for the same customer's message is a second effect of one event, which never may be (P2). The same
reference is a repeated send, which is allowed if it was counted as uncertain (P5).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from loadtest.chaos_run.replicas import Life
from loadtest.chaos_run.traffic import Asked

SHOWN: Final = 20
"""Cases of one broken promise that are listed."""
SEND_SECONDS: Final = 3.0
"""The longest that a send in this run takes to reach the provider."""


class Arrived(msgspec.Struct, frozen=True):
    """A message of ours at the provider, unix seconds. `reference` is ours (`crqid`)."""

    phone: str
    text: str
    at: float
    reference: str


class Broken(msgspec.Struct, frozen=True):
    """A promise that was not kept: what it is, how often, and the first cases."""

    promise: str
    count: int
    cases: tuple[str, ...]


class Verdict(msgspec.Struct, frozen=True):
    """`answered`: acknowledged messages with exactly one effect. `doubles`: repeated sends beyond the first.

    `counted`: uncertain sends over all lives of all replicas. `unseen`: repeated sends that no look at a replica's
    counters covers because one ended right then; they may have been counted.
    """

    acknowledged: int
    answered: int
    doubles: int
    counted: int
    unseen: int
    broken: tuple[Broken, ...]


def reply_to(one: Asked) -> str:
    """What the flow answers, if everything before was heard once and in order."""
    return f"{'Echo' if one.number % 2 else 'Heard'} {one.text}"


def judged(asked: Sequence[Asked], arrived: Sequence[Arrived], lives: Sequence[Life]) -> Verdict:
    """The verdict over a run. `asked` in the order of writing, `arrived` in the order at the provider."""
    wanted: dict[str, list[Asked]] = {}
    for one in asked:
        wanted.setdefault(one.phone, []).append(one)
    came: dict[str, list[Arrived]] = {phone: [] for phone in wanted}
    for reply in arrived:
        came.setdefault(reply.phone, []).append(reply)
    cases = _Cases()
    for phone, replies in came.items():
        cases.customer(phone, wanted.get(phone, []), replies)
    repeats = repeated(arrived)
    uncovered = _uncovered(repeats, lives)
    secret = [reply for reply in uncovered if not _unseen(reply, lives)]
    if secret:
        told = [f"{reply.phone} {reply.text!r} {reply.reference} at {reply.at:.3f}" for reply in secret]
        cases.add("sent twice without having been counted as uncertain (P5)", *told)
    return Verdict(
        acknowledged=sum(one.acked > 0 for one in asked),
        answered=cases.answered,
        doubles=len(repeats),
        counted=sum(counted.sends for life in lives for counted in life.uncertain),
        unseen=len(uncovered) - len(secret),
        broken=cases.broken(),
    )


def repeated(arrived: Sequence[Arrived]) -> list[Arrived]:
    """The second and every further send of the same message."""
    seen: set[str] = set()
    repeats = []
    for reply in arrived:
        if reply.reference in seen:
            repeats.append(reply)
        seen.add(reply.reference)
    return repeats


def at_rest(state: Mapping[str, int]) -> list[Broken]:
    """What the database has left that it should not have, once everything was given time to come to rest."""
    meanings = {
        "unread": "accepted events that nobody applied (P1)",
        "unsent": "committed messages that were never sent (P5)",
        "undone": "effects that were never performed (P4)",
        "parked": "conversations that were parked",
        "failed": "messages given up",
        "quarantined": "webhooks that were not understood",
        "spooled": "deliveries that wait in the spool (P8)",
        "unknown": "accepted messages of which the database knows nothing (P1)",
    }
    return [Broken(meanings[name], count, ()) for name, count in state.items() if count]


class _Cases:
    """Broken promises by name, as they are found."""

    def __init__(self) -> None:
        self.answered = 0
        self._found: dict[str, list[str]] = {}

    def add(self, promise: str, *cases: str) -> None:
        self._found.setdefault(promise, []).extend(cases)

    def broken(self) -> tuple[Broken, ...]:
        return tuple(Broken(name, len(cases), tuple(cases[:SHOWN])) for name, cases in self._found.items())

    def customer(self, phone: str, asked: Sequence[Asked], replies: Sequence[Arrived]) -> None:
        """One customer: loss, second effects, replies nobody asked for, order."""
        places = {one.text: place for place, one in enumerate(asked)}
        effects: dict[str, dict[str, Arrived]] = {}
        order: list[int] = []
        seen: set[str] = set()
        for reply in replies:
            cause = reply.text.partition(" ")[2]
            if cause not in places:
                self.add("sent without a cause", f"{phone} {reply.text!r}")
                continue
            if reply.text != reply_to(asked[places[cause]]):
                self.add("answered from the wrong state (P3)", f"{phone} {reply.text!r}")
            effects.setdefault(cause, {})[reply.reference] = reply
            if reply.reference not in seen:
                order.append(places[cause])
            seen.add(reply.reference)
        self._effects(phone, asked, effects)
        self._order(phone, asked, order)

    def _effects(self, phone: str, asked: Sequence[Asked], effects: Mapping[str, Mapping[str, Arrived]]) -> None:
        for one in asked:
            found = effects.get(one.text, {})
            if len(found) > 1:
                self.add("one event, two effects (P2)", f"{phone} {one.text!r} as {', '.join(found)}")
            elif one.acked and not found:
                self.add("acknowledged and never answered (P1)", f"{phone} {one.text!r} acknowledged {one.acked:.3f}")
            elif one.acked:
                self.answered += 1
            else:
                self.add("never acknowledged", f"{phone} {one.text!r} in {one.attempts} attempts")

    def _order(self, phone: str, asked: Sequence[Asked], order: Sequence[int]) -> None:
        for before, after in pairwise(order):
            if after < before:
                self.add("out of order (P3)", f"{phone} {asked[after].text!r} came after {asked[before].text!r}")


def _uncovered(repeats: Sequence[Arrived], lives: Sequence[Life]) -> list[Arrived]:
    """Those that no uncertain send explains: one is counted right before it goes out, and explains one repetition.

    Of the looks that may have counted it, the one that soonest can count no other is taken.
    """
    counted = sorted((one for life in lives for one in life.uncertain), key=lambda one: one.until)
    left = [one.sends for one in counted]
    uncovered = []
    for reply in sorted(repeats, key=lambda reply: reply.at):
        for place, one in enumerate(counted):
            if left[place] and one.after <= reply.at <= one.until + SEND_SECONDS:
                left[place] -= 1
                break
        else:
            uncovered.append(reply)
    return uncovered


def _unseen(reply: Arrived, lives: Sequence[Life]) -> bool:
    """Whether a process that ended may have counted this send without anybody having seen it."""
    return any(life.ended and life.scraped <= reply.at <= life.ended + SEND_SECONDS for life in lives)
