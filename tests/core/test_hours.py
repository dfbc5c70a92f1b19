from datetime import datetime
from zoneinfo import ZoneInfo

from bot.core.book import OpenHours
from bot.core.hours import is_open, local, opens_at

KOLKATA = OpenHours(zone=ZoneInfo("Asia/Kolkata"), days={0: ((540, 780), (840, 1080)), 6: ((0, 1440),)})


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_an_opening_begins_with_its_first_minute_and_ends_before_its_last() -> None:
    assert is_open(KOLKATA, at("2025-03-24T09:00:00+05:30"))
    assert is_open(KOLKATA, at("2025-03-24T12:59:59+05:30"))
    assert not is_open(KOLKATA, at("2025-03-24T13:00:00+05:30"))
    assert not is_open(KOLKATA, at("2025-03-24T08:59:59+05:30"))


def test_a_day_may_have_several_openings_or_none() -> None:
    assert is_open(KOLKATA, at("2025-03-24T17:00:00+05:30"))
    assert not is_open(KOLKATA, at("2025-03-25T10:00:00+05:30"))


def test_the_day_is_that_of_the_zone() -> None:
    assert is_open(KOLKATA, at("2025-03-22T20:00:00+00:00"))
    assert local(KOLKATA, at("2025-03-22T20:00:00+00:00")).weekday() == 6


def test_without_any_days_it_is_always_open() -> None:
    assert is_open(OpenHours(), 0.0)


def test_clock_changes_of_the_zone_are_kept() -> None:
    london = OpenHours(zone=ZoneInfo("Europe/London"), days={0: ((540, 600),)})
    assert is_open(london, at("2025-03-24T09:30:00+00:00"))
    assert is_open(london, at("2025-03-31T08:30:00+00:00"))


def test_the_next_opening_is_now_later_today_or_on_another_day() -> None:
    now = at("2025-03-24T10:00:00+05:30")
    assert opens_at(KOLKATA, now) == now
    assert opens_at(KOLKATA, at("2025-03-24T07:00:00+05:30")) == at("2025-03-24T09:00:00+05:30")
    assert opens_at(KOLKATA, at("2025-03-24T13:30:00+05:30")) == at("2025-03-24T14:00:00+05:30")
    assert opens_at(KOLKATA, at("2025-03-24T19:00:00+05:30")) == at("2025-03-30T00:00:00+05:30")
    assert opens_at(OpenHours(days={0: ((540, 600),)}), at("2025-03-24T10:00:00+00:00")) == at(
        "2025-03-31T09:00:00+00:00"
    )


def test_who_never_opens_has_no_next_opening() -> None:
    assert opens_at(OpenHours(days={0: ()}), 0.0) is None
