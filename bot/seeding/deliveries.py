"""What became of a message of ours: how far it got and when, or MSG91's reason why it did not."""

from datetime import datetime, timedelta
from random import Random
from typing import Final

from bot.core.messages import Value

_FAILED_SHARE: Final = 0.03
FAILURES: Final = (
    (131026, "Message undeliverable"),
    (131049, "This message was not delivered to maintain healthy ecosystem engagement"),
    (130472, "User's number is part of an experiment"),
    (131053, "Media upload error"),
)
"""Codes of the platform with the words that MSG91 passes on, all of them failures for good; the frequent one first."""
_FAILURE_WEIGHTS: Final = (80, 10, 7, 3)
_FURTHEST: Final = ("sent", "delivered", "read")
_FURTHEST_WEIGHTS: Final = (6, 19, 75)
_REPORTED: Final = {"sent": 1, "failed": 2, "delivered": 5, "read": 13}


class Delivery(Value, frozen=True, kw_only=True):
    """As the columns of `messages`; `reported` is the bits of the reports that came."""

    status: str
    reported: int
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    code: int = 0
    reason: str = ""


def delivery(chance: Random, accepted_at: datetime, now: datetime, *, may_fail: bool) -> Delivery:
    """Of a message that the provider took at `accepted_at`; what would lie behind `now` has not happened yet."""
    if chance.random() < _FAILED_SHARE and may_fail:
        code, words = chance.choices(FAILURES, weights=_FAILURE_WEIGHTS)[0]
        return Delivery(status="failed", reported=_REPORTED["failed"], code=code, reason=words)
    furthest = chance.choices(_FURTHEST, weights=_FURTHEST_WEIGHTS)[0]
    delivered = accepted_at + timedelta(seconds=chance.lognormvariate(0.4, 0.9))
    read = delivered + timedelta(seconds=chance.lognormvariate(3.5, 1.4))
    if furthest == "sent" or delivered > now:
        return Delivery(status="sent", reported=_REPORTED["sent"], sent_at=accepted_at)
    if furthest == "delivered" or read > now:
        return Delivery(
            status="delivered", reported=_REPORTED["delivered"], sent_at=accepted_at, delivered_at=delivered
        )
    return Delivery(
        status="read", reported=_REPORTED["read"], sent_at=accepted_at, delivered_at=delivered, read_at=read
    )
