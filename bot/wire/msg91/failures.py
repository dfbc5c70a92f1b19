"""Why sending failed, as classes: for good or for now, who has to wait, and whether a person must act.

The codes are Meta's (error codes of the Cloud API); answers and delivery reports share this table. Words are read only
where there is no code, because MSG91 does not say that its texts are stable.
"""

import re
from collections.abc import Mapping
from typing import Final

from bot.core.messages import Value
from bot.wire.msg91.outcomes import Scope


class Failure(Value, frozen=True, kw_only=True):
    """`permanent`: the same message will fail again. `scope` says what has to wait when it is not."""

    permanent: bool
    scope: Scope = "message"
    alert: bool = False
    opt_out: bool = False


PERMANENT: Final = Failure(permanent=True)
ALERTING: Final = Failure(permanent=True, alert=True)
OPTED_OUT: Final = Failure(permanent=True, opt_out=True)
MESSAGE_WAITS: Final = Failure(permanent=False)
RECIPIENT_WAITS: Final = Failure(permanent=False, scope="recipient")
NUMBER_WAITS: Final = Failure(permanent=False, scope="number")
GATEWAY_WAITS: Final = Failure(permanent=False, scope="gateway")

_MESSAGE: Final = (100, 131008, 131009, 131021, 131026, 131030, 131047, 131049, 131051, 131052, 131053, 130472)
_TEMPLATE: Final = (132000, 132001, 132005, 132007, 132008, 132012, 132015, 132016, 132068)
_ACCOUNT: Final = (3, 10, 190, 368, 130497, 131005, 131031, 131037, 131042, 131045, 131048)
_CLASSES: Final[Mapping[int, Failure]] = {
    **dict.fromkeys(_MESSAGE, PERMANENT),
    **dict.fromkeys(_TEMPLATE, PERMANENT),
    **dict.fromkeys(_ACCOUNT, ALERTING),
    **dict.fromkeys(range(200, 300), ALERTING),
    131050: OPTED_OUT,
    131056: RECIPIENT_WAITS,
    **dict.fromkeys((4, 80007, 130429, 131057, 133016), NUMBER_WAITS),
    **dict.fromkeys((131000, 131016), GATEWAY_WAITS),
    132069: MESSAGE_WAITS,
}
_WORDS: Final = (
    (re.compile(r"rate.?limit|too many|throttl|throughput", re.I), NUMBER_WAITS),
    (re.compile(r"unauthori[sz]ed|auth.?key|whitelist|not integrated|balance|wallet|suspended", re.I), ALERTING),
    (re.compile(r"went wrong|try again|temporar|unavailable|internal.{0,8}error|timed? ?out", re.I), GATEWAY_WAITS),
)
_PLATFORM_CODE: Final = re.compile(r"\b13\d{4}\b", re.ASCII)
_NAMED_CODE: Final = re.compile(r"(?:#|\bcode\W{0,3})(\d{1,6})\b", re.ASCII | re.I)


def failure_class(code: int, reason: str = "") -> Failure:
    """The class of a failure; what neither the code nor the words tell is permanent. Code 0 means: none given."""
    known = known_class(code)
    if known is not None:
        return known
    return PERMANENT if code else next((failure for words, failure in _WORDS if words.search(reason)), PERMANENT)


def known_class(code: int) -> Failure | None:
    """The class of one of the platform's codes; None for a code that is not in its documents."""
    return _CLASSES.get(code)


def code_in(reason: str) -> int:
    """The platform's number in a text such as `131047 Re-engagement message` or `(#100) Invalid parameter`, else 0."""
    found = _PLATFORM_CODE.search(reason)
    if found:
        return int(found[0])
    named = _NAMED_CODE.search(reason)
    return int(named[1]) if named and int(named[1]) in _CLASSES else 0
