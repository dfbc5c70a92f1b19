"""What one webhook call brought: a value for every event in it, and the reason where the call has to be refused."""

from bot.core.events import MessageReceived
from bot.core.messages import Value
from bot.wire.msg91.reports import DeliveryReport


class Received(Value, frozen=True, kw_only=True, tag="received"):
    """A customer wrote."""

    event: MessageReceived


class Reported(Value, frozen=True, kw_only=True, tag="reported"):
    """A message of ours got further, or failed."""

    report: DeliveryReport


class Ignored(Value, frozen=True, kw_only=True, tag="ignored"):
    """Understood, and nothing to do: `echo` of a message of ours, or a notice such as `clicked`."""

    reason: str


class Quarantined(Value, frozen=True, kw_only=True, tag="quarantined"):
    """Not usable, kept for an operator. `body` is the event as it came (the whole body when it came alone)."""

    reason: str
    body: bytes


Item = Received | Reported | Ignored | Quarantined


class Refusal(Value, frozen=True, kw_only=True):
    """Why one event cannot be used. `malformed`: it is not MSG91's either, so its sender deserves a 400."""

    reason: str
    malformed: bool = False


class BadRequest(Value, frozen=True, kw_only=True):
    """The call is to be answered 400 with this `code` and `message`."""

    code: str
    message: str


class Delivery(Value, frozen=True, kw_only=True):
    """All of one call: either `problem` is set and `items` is empty, or every event in the body is among `items`."""

    items: tuple[Item, ...] = ()
    problem: BadRequest | None = None
