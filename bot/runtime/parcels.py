"""What is on its way out: parcels, and the lane of each customer in which they line up."""

from collections import deque

import msgspec

from bot.core.ids import CustomerId, MessageId
from bot.core.messages import Outbound


class Parcel(msgspec.Struct, kw_only=True):
    """A message on its way out. `marked`: the store knows that it may be going out. `proven`: the provider has it."""

    id: MessageId
    customer: CustomerId
    recipient: str
    content: Outbound
    number: str
    kind: str
    caused_at: float
    created_at: float
    marked: bool
    attempts: int = 0
    not_before: float = 0.0
    uncertain: bool = False
    proven: bool = False


class Lane(msgspec.Struct, kw_only=True, eq=False):
    """What waits for one customer; `parcels[0]` is the one that goes next or is out."""

    customer: CustomerId
    parcels: deque[Parcel]

    def heads(self, message: MessageId) -> bool:
        """Whether this message is the one that goes next or is out."""
        return bool(self.parcels) and self.parcels[0].id == message

    def knows(self, parcel: Parcel) -> bool:
        """Whether this message waits here already; what it may have gone through elsewhere meanwhile is noted then."""
        for known in self.parcels:
            if known.id == parcel.id:
                known.uncertain |= parcel.uncertain
                return True
        return False
