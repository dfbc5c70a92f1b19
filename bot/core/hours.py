"""Business hours: whether people answer at a moment. The moment comes in; nothing here looks at a clock."""

from datetime import datetime, timedelta

from bot.core.book import OpenHours

DAYS_AHEAD = 8
"""Days looked at for an opening: a week, and today's weekday once more."""


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


def opens_at(hours: OpenHours, at: float) -> float | None:
    """The first moment from `at` on (unix seconds) at which people answer; None when they never do."""
    if is_open(hours, at):
        return at
    midnight = local(hours, at).replace(hour=0, minute=0, second=0, microsecond=0)
    for ahead in range(DAYS_AHEAD):
        day = midnight + timedelta(days=ahead)
        for start, _ in sorted(hours.days.get(day.weekday(), ())):
            opening = day.replace(hour=start // 60, minute=start % 60).timestamp()
            if opening >= at:
                return opening
    return None
