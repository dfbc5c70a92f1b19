"""How far a message of ours got, as one order, so that reports may come in any order and any number of times.

`failed` stands between `sent` and `delivered`: it is taken only from a state before delivery, and a phone that shows
the message afterwards proves the failure wrong. Because the order is total, the same reports in any order end in the
same status.
"""

from collections.abc import Mapping
from typing import Final, Literal

DeliveryStatus = Literal["pending", "sending", "sent", "failed", "delivered", "read"]

_RANK: Final[Mapping[DeliveryStatus, int]] = {
    "pending": 0,
    "sending": 1,
    "sent": 2,
    "failed": 3,
    "delivered": 4,
    "read": 5,
}


def advance(old: DeliveryStatus, new: DeliveryStatus) -> DeliveryStatus:
    """The status after `new` was reported of a message in `old`: the one that is further, never a step back."""
    return new if _RANK[new] > _RANK[old] else old
