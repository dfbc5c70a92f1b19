"""Business hours: whether people answer at a moment. The moment comes in; nothing here looks at a clock."""

from datetime import datetime

from bot.core.book import OpenHours


def local(hours: OpenHours, at: float) -> datetime:
    """The moment `at` (unix seconds) on the wall clock of the business."""
    return datetime.fromtimestamp(at, hours.zone)


def is_open(hours: OpenHours, at: float) -> bool:
    """Whether `at` (unix seconds) lies in an opening; the closing minute is outside. Without any days: always."""
    if not hours.days:
        return True
    moment = local(hours, at)
    minute = moment.hour * 60 + moment.minute
    return any(start <= minute < end for start, end in hours.days.get(moment.weekday(), ()))
