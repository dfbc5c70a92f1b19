"""A `quick_replies` step as the customer sees it, and which of its choices an answer means."""

from collections.abc import Callable, Mapping

from bot.core.flow import Localised, Menu, Reply
from bot.core.messages import Choice
from bot.core.template import fill
from bot.core.words import whole


def choices(menu: Menu, written: Callable[[Localised], str]) -> list[Choice]:
    """The choices in order; `written` turns a text of the flow into what this customer reads."""
    return [
        Choice(id=reply.id, title=written(reply.title), description=written(reply.description))
        for reply in menu.replies
    ]


def chosen_reply(menu: Menu, text: str, choice_id: str, values: Mapping[str, object]) -> Reply | None:
    """The reply meant: by payload, by title in any language (typed, or tapped in an older menu), by number."""
    by_payload = (reply for reply in menu.replies if reply.id in {choice_id, text.strip()})
    if (reply := next(by_payload, None)) is not None:
        return reply
    said = whole(text or choice_id)
    if not said:
        return None
    return next((reply for reply in menu.replies if _is_titled(reply, said, values)), None) or _numbered(menu, said)


def _is_titled(reply: Reply, said: str, values: Mapping[str, object]) -> bool:
    return any(whole(fill(title, values)) == said for title in reply.title.values())


def _numbered(menu: Menu, said: str) -> Reply | None:
    if len(said) > len(str(len(menu.replies))) or not (said.isascii() and said.isdigit()):
        return None
    return menu.replies[int(said) - 1] if 1 <= int(said) <= len(menu.replies) else None
