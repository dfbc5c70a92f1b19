"""The session window: free-form messages reach a customer only within a day of their last message (Meta)."""

from bot.core.messages import Outbound, Template

WINDOW_SECONDS = 24 * 3600.0


def may_send(content: Outbound, *, heard_at: float, at: float) -> bool:
    """Whether WhatsApp would take `content` at `at`; templates pass at any time."""
    return isinstance(content, Template) or at - heard_at < WINDOW_SECONDS
