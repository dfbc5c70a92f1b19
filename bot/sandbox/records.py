"""What the sandbox saw and keeps: messages of both directions by number, model calls, counters. Bounded, in memory."""

import itertools
import secrets
import time
from collections import Counter, deque
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from bot.core.messages import Value
from bot.sandbox.limits import Content
from bot.sandbox.sends import Order

DAY = 86_400.0


class Mark(Value, frozen=True, kw_only=True):
    """A status that was reached, and when (unix seconds)."""

    status: str
    at: float
    reason: str = ""


class Sent(msgspec.Struct, kw_only=True):
    """A message the service sent: `body` as it came, `content` as a phone shows it."""

    id: str
    to: str
    sender: str = msgspec.field(name="from")
    kind: str
    text: str
    body: dict[str, Any]
    content: Content
    at: float
    crqid: str
    request_id: str
    template: str
    statuses: list[Mark]
    seen: bool = False
    """Whether the customer has looked at it on the phone page."""
    direction: str = "out"

    def see(self) -> bool:
        """The customer looks at it; whether that is news, and the message has not failed."""
        news = not self.seen and not any(mark.status in {"read", "failed"} for mark in self.statuses)
        self.seen = True
        return news


class Heard(msgspec.Struct, kw_only=True):
    """A message a customer wrote here; `webhook` is the service's answer to it, 0 while there is none."""

    id: str
    sender: str = msgspec.field(name="from")
    to: str
    name: str
    text: str
    content: Content
    at: float
    webhook: int = 0
    direction: str = "in"

    @property
    def number(self) -> str:
        return self.sender


class ModelCall(Value, frozen=True, kw_only=True, omit_defaults=False):
    """A call of the model's API: what was asked and what was answered."""

    id: str
    model: str
    at: float
    body: dict[str, Any]
    status: int
    answer: str
    cost: float


class _Numbered(Protocol):
    @property
    def id(self) -> str: ...


Item = TypeVar("Item", bound=_Numbered)


class Shelf(Generic[Item]):
    """The last `kept` things, by id and by the customer's number; the oldest goes first."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._all: deque[tuple[str, Item]] = deque()
        self._by_number: dict[str, deque[Item]] = {}
        self._by_id: dict[str, Item] = {}

    def put(self, number: str, item: Item) -> None:
        if len(self._all) >= self._kept:
            self._drop_oldest()
        self._all.append((number, item))
        self._by_number.setdefault(number, deque()).append(item)
        self._by_id[item.id] = item

    def of(self, number: str) -> list[Item]:
        return list(self._by_number.get(number, ()))

    def every(self) -> list[Item]:
        return [item for _, item in self._all]

    def since(self, item_id: str) -> list[Item]:
        """What came after the thing of this id; everything that is kept when it is no longer, or never was."""
        later = itertools.takewhile(lambda item: item.id != item_id, (item for _, item in reversed(self._all)))
        return list(later)[::-1]

    def find(self, item_id: str) -> Item | None:
        return self._by_id.get(item_id)

    def clear(self) -> None:
        self._all.clear()
        self._by_number.clear()
        self._by_id.clear()

    def __len__(self) -> int:
        return len(self._all)

    def _drop_oldest(self) -> None:
        number, item = self._all.popleft()
        mine = self._by_number[number]
        mine.popleft()
        if not mine:
            del self._by_number[number]
        if self._by_id.get(item.id) is item:
            del self._by_id[item.id]


class Records:
    """Everything that was seen since the start or the last reset."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._run = secrets.token_hex(6).upper()
        self._number = 0
        self.sent: Shelf[Sent] = Shelf(kept)
        self.heard: Shelf[Heard] = Shelf(kept)
        self.calls: deque[ModelCall] = deque(maxlen=kept)
        self.counters: Counter[str] = Counter()
        self._last_heard: dict[str, float] = {}

    def clear(self) -> None:
        """Forget everything; identifiers go on, so that none is given twice."""
        self.sent.clear()
        self.heard.clear()
        self.calls.clear()
        self.counters.clear()
        self._last_heard.clear()

    def next_id(self) -> str:
        """A message id of the platform's form, without an underscore (the provider appends suffixes with one)."""
        self._number += 1
        return f"wamid.{self._run}{self._number:012X}"

    def next_request_id(self) -> str:
        """32 hexadecimal digits, the provider's id of one call."""
        self._number += 1
        return f"{self._run.lower()}{self._number:020x}"

    def keep(self, order: Order, request_id: str) -> Sent:
        """Keep an accepted message under a new id."""
        message = Sent(
            id=self.next_id(),
            to=order.to,
            sender=order.sender,
            kind=order.kind,
            text=order.content.text,
            body=order.body,
            content=order.content,
            at=time.time(),
            crqid=order.crqid,
            request_id=request_id,
            template=order.template,
            statuses=[],
        )
        self.sent.put(order.to, message)
        self.counters["accepted"] += 1
        return message

    def hear(self, message: Heard) -> None:
        """Keep a customer's message; it opens the 24 hours in which they may be written to freely."""
        self.heard.put(message.number, message)
        self._last_heard.pop(message.number, None)
        self._last_heard[message.number] = message.at
        if len(self._last_heard) > self._kept:
            del self._last_heard[next(iter(self._last_heard))]
        self.counters["heard"] += 1

    def window_open(self, number: str) -> bool:
        return time.time() - self._last_heard.get(number, 0.0) < DAY

    def chat(self, number: str) -> list[Sent | Heard]:
        """Both directions of one customer's conversation, oldest first."""
        both: list[Sent | Heard] = [*self.sent.of(number), *self.heard.of(number)]
        return sorted(both, key=lambda message: message.at)
