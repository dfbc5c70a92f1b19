"""What came of one attempt to send, as a value: taken, refused for good, or to be tried again."""

from typing import Literal

from bot.core.messages import Value

Scope = Literal["message", "recipient", "number", "gateway"]
"""What has to wait: this message, everything for this recipient, everything from our number, or every call."""


class Accepted(Value, frozen=True, kw_only=True, tag="accepted"):
    """The provider took the message; it may still fail at delivery.

    `provider_id` is the wamid or message uuid, `request_id` the id of the call; either may be empty.
    """

    provider_id: str
    request_id: str


class Rejected(Value, frozen=True, kw_only=True, tag="rejected"):
    """The same request will be refused again. `alert`: a person must act (key, payment, lock); `opt_out`: the customer
    told WhatsApp that they want no more of it. `code` is the provider's number, 0 where it gave none.
    """

    reason: str
    code: int
    alert: bool
    opt_out: bool


class Deferred(Value, frozen=True, kw_only=True, tag="deferred"):
    """Not sent, worth another attempt. `retry_after` in seconds where the provider named it.

    `uncertain`: the provider may have taken the message all the same, so another attempt may repeat it.
    """

    reason: str
    code: int
    retry_after: float | None
    scope: Scope
    uncertain: bool


SendOutcome = Accepted | Rejected | Deferred
