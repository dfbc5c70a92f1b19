"""The counting is only worth something if it notices: each kind of broken history is fed to it, and must be caught."""

import pytest

from loadtest.chaos_run.count import SHOWN, Arrived, Verdict, at_rest, judged, reply_to
from loadtest.chaos_run.replicas import Counted, Life, sums
from loadtest.chaos_run.traffic import Asked

PHONE = "919800000001"
OTHER = "919800000002"


def asked(count: int, phone: str = PHONE) -> list[Asked]:
    """So many messages of a customer, one a second, each acknowledged at once."""
    return [Asked(phone, number, tried=100.0 + number, acked=100.1 + number, attempts=1) for number in range(count)]


def answered(messages: list[Asked]) -> list[Arrived]:
    """Each answered once and in order."""
    return [Arrived(one.phone, reply_to(one), one.acked + 0.2, f"{one.phone}/{one.number}") for one in messages]


def living(counted: int = 0, after: float = 90.0, until: float = 200.0) -> Life:
    """A process that counted so many uncertain sends between two looks."""
    return Life(0, began=90.0, scraped=200.0, uncertain=[Counted(after, until, counted)])


def broken(verdict: Verdict) -> dict[str, int]:
    return {one.promise: one.count for one in verdict.broken}


def test_a_history_in_which_everything_was_answered_once_and_in_order_breaks_nothing() -> None:
    messages = asked(4) + asked(3, OTHER)
    verdict = judged(messages, answered(messages), [living()])
    assert broken(verdict) == {}
    assert (verdict.acknowledged, verdict.answered, verdict.doubles) == (7, 7, 0)


def test_an_acknowledged_message_without_an_answer_is_lost() -> None:
    messages = asked(4)
    arrived = answered(messages)
    del arrived[2]
    verdict = judged(messages, arrived, [living()])
    assert broken(verdict) == {"acknowledged and never answered (P1)": 1}
    assert "'hello 2'" in verdict.broken[0].cases[0]
    assert verdict.answered == 3


def test_everything_lost_of_a_customer_is_noticed_too() -> None:
    verdict = judged(asked(3), [], [living()])
    assert broken(verdict) == {"acknowledged and never answered (P1)": 3}


def test_a_message_that_nobody_ever_acknowledged_is_told_but_not_as_lost() -> None:
    messages = asked(2)
    messages[1].acked = 0.0
    assert broken(judged(messages, answered(messages[:1]), [living()])) == {"never acknowledged": 1}


def test_one_event_that_was_answered_by_two_messages_is_a_second_effect_however_much_was_uncertain() -> None:
    messages = asked(2)
    arrived = answered(messages)
    arrived.append(Arrived(PHONE, reply_to(messages[1]), 110.0, "another"))
    assert broken(judged(messages, arrived, [living(counted=5)])) == {"one event, two effects (P2)": 1}


def test_a_second_effect_is_noticed_when_it_was_stepped_in_another_state() -> None:
    messages = asked(2)
    arrived = [*answered(messages), Arrived(PHONE, "Heard word 1", 110.0, "another")]
    assert broken(judged(messages, arrived, [living()])) == {
        "one event, two effects (P2)": 1,
        "answered from the wrong state (P3)": 1,
    }


def test_a_repeated_send_that_was_counted_is_allowed() -> None:
    messages = asked(2)
    arrived = answered(messages)
    verdict = judged(messages, [*arrived, arrived[1]], [living(counted=1)])
    assert broken(verdict) == {}
    assert (verdict.doubles, verdict.counted, verdict.unseen) == (1, 1, 0)


def test_a_repeated_send_that_nobody_counted_breaks_the_promise() -> None:
    messages = asked(2)
    arrived = answered(messages)
    verdict = judged(messages, [*arrived, arrived[1], arrived[1]], [living(counted=1)])
    assert broken(verdict) == {"sent twice without having been counted as uncertain (P5)": 1}


@pytest.mark.parametrize(("after", "until"), [(90.0, 96.0), (101.0, 102.0)])
def test_an_uncertain_send_that_was_counted_at_another_time_explains_nothing(after: float, until: float) -> None:
    messages = asked(1)
    first = answered(messages)[0]
    lives = [living(1, after, until)]
    assert broken(judged(messages, [first, first], lives)) == {
        "sent twice without having been counted as uncertain (P5)": 1
    }


def test_counts_are_given_to_the_repetitions_that_need_them() -> None:
    messages = asked(2)
    first, second = answered(messages)
    again = Arrived(PHONE, first.text, 110.0, first.reference)
    later = Arrived(PHONE, second.text, 120.0, second.reference)
    lives = [living(1, 100.0, 125.0), living(1, 100.0, 112.0)]
    assert broken(judged(messages, [first, second, again, later], lives)) == {}


def test_a_look_at_the_counters_keeps_what_is_new_and_since_when() -> None:
    life = Life(0, began=1.0)
    for asked_at, total in ((2.0, 0.0), (3.0, 2.0), (4.0, 2.0), (5.0, 3.0)):
        life.look(asked_at, asked_at + 0.1, {"bot_uncertain_sends_total": total})
    assert life.uncertain == [Counted(2.0, 3.1, 2), Counted(4.0, 5.1, 1)]
    assert life.scraped == 5.0


def test_counts_of_all_lives_of_all_replicas_are_summed() -> None:
    messages = asked(3)
    arrived = answered(messages)
    lives = [living(1), Life(1, began=90.0, ended=150.0, scraped=150.0, uncertain=[Counted(99.0, 150.0, 1)])]
    assert broken(judged(messages, [*arrived, arrived[0], arrived[2]], lives)) == {}


@pytest.mark.parametrize(("at", "excused"), [(150.0, False), (151.5, True), (154.0, True), (156.0, False)])
def test_only_a_repeated_send_around_the_end_of_a_process_may_have_been_counted_unseen(
    at: float, excused: bool
) -> None:
    messages = asked(1)
    first = answered(messages)[0]
    again = Arrived(PHONE, first.text, at, first.reference)
    lives = [living(), Life(1, began=90.0, scraped=151.0, ended=152.0)]
    verdict = judged(messages, [first, again], lives)
    assert verdict.unseen == excused
    assert bool(verdict.broken) != excused


def test_a_process_that_lives_excuses_nothing() -> None:
    messages = asked(1)
    first = answered(messages)[0]
    verdict = judged(messages, [first, first], [Life(0, began=90.0, scraped=100.0)])
    assert verdict.broken


def test_two_messages_answered_in_the_other_order_are_out_of_order() -> None:
    messages = asked(3)
    arrived = answered(messages)
    arrived[1], arrived[2] = arrived[2], arrived[1]
    verdict = judged(messages, arrived, [living()])
    assert broken(verdict) == {"out of order (P3)": 1}
    assert verdict.broken[0].cases == (f"{PHONE} 'word 1' came after 'hello 2'",)


def test_a_late_repetition_is_not_taken_for_disorder() -> None:
    messages = asked(3)
    arrived = answered(messages)
    assert broken(judged(messages, [*arrived, arrived[0]], [living(counted=1)])) == {}


def test_customers_do_not_put_each_other_out_of_order() -> None:
    messages = asked(2) + asked(2, OTHER)
    first, second, third, fourth = answered(messages)
    assert broken(judged(messages, [third, first, fourth, second], [living()])) == {}


def test_an_answer_to_what_was_never_written_has_no_cause() -> None:
    messages = asked(1)
    strays = [Arrived(PHONE, "Echo word 7", 120.0, "x"), Arrived("919899999999", "Heard hello 0", 120.0, "y")]
    assert broken(judged(messages, [*answered(messages), *strays], [living()])) == {"sent without a cause": 2}


def test_an_answer_in_the_words_of_another_state_is_noticed() -> None:
    messages = asked(2)
    arrived = [answered(messages)[0], Arrived(PHONE, "Heard word 1", 110.0, "r")]
    assert broken(judged(messages, arrived, [living()])) == {"answered from the wrong state (P3)": 1}


def test_a_long_list_of_cases_is_cut_but_counted() -> None:
    verdict = judged(asked(100), [], [living()])
    assert verdict.broken[0].count == 100
    assert len(verdict.broken[0].cases) == SHOWN


@pytest.mark.parametrize(
    "left", ["unread", "unsent", "undone", "parked", "failed", "quarantined", "spooled", "unknown"]
)
def test_whatever_the_database_has_left_is_told(left: str) -> None:
    state = dict.fromkeys(("unread", "unsent", "undone", "parked", "failed", "quarantined", "spooled", "unknown"), 0)
    assert at_rest(state) == []
    (found,) = at_rest({**state, left: 3})
    assert found.count == 3


def test_the_series_of_a_metric_are_summed_and_others_left_out() -> None:
    text = (
        "# HELP bot_swept_total x\n# TYPE bot_swept_total counter\n"
        'bot_swept_total{what="event"} 2.0\nbot_swept_total{what="message"} 3.0\n'
        "bot_uncertain_sends_total 1.0\nbot_uncertain_sends_created 1.7e9\nbot_other 9.0\n"
    )
    assert sums(text) == {"bot_swept_total": 5.0, "bot_uncertain_sends_total": 1.0}
