"""When to try again: pure functions of how often it was tried and of one random number."""

BACKOFF_FIRST = 1.0
"""Seconds before the first repetition of a send."""
BACKOFF_MOST = 60.0
PAIR_BASE = 4.0
"""Meta: after a pair rate error wait 4^X seconds, X counting from 0."""
PAIR_MOST = 256.0
JITTER = 0.25
"""Share of a delay that is random."""


def send_delay(attempts: int, *, recipient: bool, retry_after: float | None, chance: float) -> float:
    """Seconds until the next try after `attempts` failed ones.

    Args:
        attempts: failed tries so far, at least 1.
        recipient: the provider limits this recipient (pair rate), not us.
        retry_after: what the provider asked for, seconds; it is never undercut.
        chance: 0 to 1.
    """
    base = min(PAIR_BASE ** (attempts - 1), PAIR_MOST) if recipient else _doubled(attempts)
    delay = base * (1 + JITTER * chance)
    return max(delay, retry_after or 0.0)


def _doubled(attempts: int) -> float:
    return float(min(BACKOFF_FIRST * 2 ** min(attempts - 1, 10), BACKOFF_MOST))


ANNOUNCE_DELAYS = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 21600.0, 36000.0)
"""Seconds after each failed attempt of an outgoing webhook: together 23.7 hours, and up to a quarter more by jitter."""
RETRY_AFTER_MOST = 36000.0
"""Seconds an endpoint may ask us to wait at most."""


def announce_delay(attempts: int, *, retry_after: float | None, chance: float) -> float | None:
    """Seconds until an outgoing webhook is tried again after `attempts` failed ones; None: it is given up.

    Args:
        attempts: failed tries so far, at least 1.
        retry_after: what the endpoint asked for, seconds; it is not undercut, up to `RETRY_AFTER_MOST`.
        chance: 0 to 1.
    """
    if attempts > len(ANNOUNCE_DELAYS):
        return None
    delay = ANNOUNCE_DELAYS[attempts - 1] * (1 + JITTER * chance)
    return max(delay, min(retry_after or 0.0, RETRY_AFTER_MOST))
