"""How many connections the system lets this process hold: each is a file descriptor, and without one nothing is taken.

The bound that the process was started with is often 1024, while it may raise it by itself: so it does.
"""

import logging
import resource
from typing import Final

from bot.config import Settings

OWN_FILES: Final = 128
"""Descriptors for what is neither a caller nor counted below: the event loop, logs, Redis, outgoing webhooks."""
FEWEST_CONNECTIONS: Final = 16

log = logging.getLogger(__name__)


def own_descriptors(settings: Settings) -> int:
    """Descriptors that the service needs besides those of its callers."""
    return OWN_FILES + settings.database_pool + settings.delivery_workers + settings.model_workers


def descriptors_wanted(settings: Settings) -> int:
    """Descriptors with which as many callers fit in as `CONNECTION_LIMIT` says."""
    return own_descriptors(settings) + settings.connection_limit


def most_descriptors() -> int:
    """As many descriptors as this process may have without being another user."""
    return _counted(resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def connections_allowed(settings: Settings) -> int:
    """Raise the bound as far as is wanted and possible; how many callers then fit in."""
    wanted = descriptors_wanted(settings)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _counted(soft) < wanted:
        soft = min(wanted, _counted(hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if _counted(soft) >= wanted:
        return settings.connection_limit
    log.warning("the system lets this process have few file descriptors", extra={"has": soft, "wanted": wanted})
    return max(FEWEST_CONNECTIONS, soft - own_descriptors(settings))


def _counted(bound: int) -> int:
    return 1 << 30 if bound == resource.RLIM_INFINITY else bound
