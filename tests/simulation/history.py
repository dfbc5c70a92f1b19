"""What went into the service and what came out of it: all that the checker may look at, beside the tables."""

import msgspec

from bot.core.ids import CustomerId, JournalSeq
from bot.core.messages import Outbound, spoken
from bot.ports.store import Write
from bot.records import Deed


class Post(msgspec.Struct, kw_only=True):
    """One message of a customer. Times are simulated seconds; `acked` is None while no replica said 200."""

    wamid: str
    phone: str
    user_id: str
    text: str
    sent: float
    acked: float | None = None
    tries: int = 0


class Arrival(msgspec.Struct, kw_only=True):
    """A message that the provider took from us. `told_otherwise`: it said that it had not (a lie)."""

    reference: str
    recipient: str
    content: Outbound
    at: float
    told_otherwise: bool = False

    @property
    def text(self) -> str:
        return spoken(self.content)


class Act(msgspec.Struct, kw_only=True):
    """What a person at the desk asked for, with the last thing they heard of it."""

    key: str
    conversation: str
    deed: Deed
    text: str = ""
    status: str = ""


class Commit(msgspec.Struct, kw_only=True):
    """A write that took effect, in the order in which they did."""

    customer: CustomerId
    version: int
    consumed: tuple[JournalSeq, ...]
    write: Write


class History:
    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.arrivals: list[Arrival] = []
        self.acts: list[Act] = []
        self.commits: list[Commit] = []
        self.journalled: dict[JournalSeq, float] = {}
        """When each event came to stand in the journal."""
        self.redis_trouble: list[tuple[float, float]] = []
        """From when to when Redis was not at everybody's service."""
        self.ends: list[tuple[float, float]] = []
        """When a replica ended or began to end, and the seconds that may cost whoever waits then."""
        self.unserved = False
        """There was a moment without any replica that takes webhooks."""
        self.told_failed: set[str] = set()
        """Messages of which the provider said, in an answer or a report, that they will never arrive."""
        self.uncertain = 0.0
        """Sends the service itself counted as uncertain."""
