"""The counting of the crowd's load test: a seeded loss, double or disorder is found, and named."""

from collections.abc import Callable

import msgspec
import pytest

from loadtest.people_run import count
from loadtest.people_run.count import judged
from loadtest.people_run.said import Heard, Said, Story
from loadtest.people_run.talk import APOLOGY
from tests.loadtest.playing_people import Play

PHONE = "917000000001"


def line(place: int, text: str, *wants: str, question: str = "", **changes: object) -> Said:
    said = Said(
        phone=PHONE,
        place=place,
        text=text,
        kind="model" if question else "flow",
        wants=wants,
        question=question,
        sent=float(place),
    )
    said.acked = place + 0.1
    return msgspec.structs.replace(said, **changes)


def reply(text: str, at: float, reference: str = "") -> Heard:
    return Heard(f"id {text} {at}", PHONE, text, at, reference or f"ref {text} {at}")


def names(story: Story) -> dict[str, int]:
    return {one.promise: one.count for one in judged(story).broken}


def story(said: list[Said], heard: list[Heard], **changes: object) -> Story:
    return msgspec.structs.replace(Story(said=said, heard=heard, seconds=10.0), **changes)


TWO = [line(1, "hello 1", "Heard hello 1"), line(2, "word 2", "Echo word 2")]
FINE = [reply("Heard hello 1", 1.2), reply("Echo word 2", 2.2)]


def test_everything_answered_once_and_in_order_is_fine() -> None:
    verdict = judged(story(TWO, FINE))
    assert verdict.broken == ()
    assert (verdict.acknowledged, verdict.wanted, verdict.came) == (2, 2, 2)
    assert [round(wait.seconds, 1) for wait in verdict.waits] == [0.2, 0.2]


@pytest.mark.parametrize(
    ("spoilt", "promise"),
    [
        (lambda heard: heard[:-1], count.LOST),
        (lambda heard: [*heard, msgspec.structs.replace(heard[0], id="x", crqid="another")], count.DOUBLED),
        (lambda heard: heard[::-1], count.DISORDERED),
        (lambda heard: [*heard, reply("Heard of nothing", 9.0)], count.CAUSELESS),
        (lambda heard: [*heard, msgspec.structs.replace(heard[0], id="x")], count.SECRETLY),
        (lambda heard: [*heard, msgspec.structs.replace(heard[0], to="917000000009", crqid="z")], count.CAUSELESS),
    ],
)
def test_a_spoilt_story_is_found(spoilt: Callable[[list[Heard]], list[Heard]], promise: str) -> None:
    assert names(story(TWO, spoilt(FINE))) == {promise: 1}


@pytest.mark.parametrize("seed", range(12))
def test_in_a_whole_life_any_single_reply_that_is_missing_or_doubled_is_found(seed: int) -> None:
    told = Play(seed).story
    for place in range(len(told.heard)):
        lost = [*told.heard[:place], *told.heard[place + 1 :]]
        assert count.LOST in names(msgspec.structs.replace(told, heard=lost))
        again = msgspec.structs.replace(told.heard[place], id="x", crqid="x")
        assert names(msgspec.structs.replace(told, heard=[*told.heard, again])).keys() == {count.DOUBLED}


def test_a_repeated_send_is_no_double_when_the_service_counted_it_as_uncertain() -> None:
    twice = [*FINE, msgspec.structs.replace(FINE[0], id="x")]
    verdict = judged(story(TWO, twice, uncertain=1))
    assert verdict.broken == ()
    assert verdict.repeats == 1


def test_one_answer_of_a_model_may_answer_several_questions_and_must_name_each() -> None:
    asked = [line(1, "When #1?", question="#1"), line(2, "When #2?", question="#2")]
    both = reply("#1 #2 Soon. (simulated)", 4.0)
    assert judged(story(asked, [both])).broken == ()
    assert names(story(asked, [reply("#2 Soon. (simulated)", 4.0)])) == {count.LOST: 1}
    assert names(story(asked, [both, reply("#2 Soon. (simulated)", 5.0)])) == {count.DOUBLED: 1}
    assert names(story(asked, [both, reply("#7 Soon. (simulated)", 5.0)])) == {count.CAUSELESS: 1}


def test_how_long_a_model_took_counts_from_the_last_question_that_it_answers() -> None:
    asked = [line(1, "When #1?", question="#1"), line(2, "When #2?", question="#2")]
    (wait,) = judged(story(asked, [reply("#1 #2 Soon. (simulated)", 4.0)])).waits
    assert (wait.kind, wait.seconds) == ("model", 2.0)


def test_an_apology_answers_what_was_asked_before_it_and_is_counted() -> None:
    asked = [line(1, "When #1?", question="#1")]
    verdict = judged(story(asked, [reply(APOLOGY, 3.0)]))
    assert (verdict.broken, verdict.apologies) == ((), 1)
    assert names(story([], [reply(APOLOGY, 3.0)])) == {count.CAUSELESS: 1}


def test_what_was_not_acknowledged_may_be_answered_or_not_but_is_told_unless_the_run_ended() -> None:
    open_end = [line(1, "hello 1", "Heard hello 1", acked=0.0, attempts=9)]
    assert names(story(open_end, [])) == names(story(open_end, FINE[:1])) == {count.UNACKNOWLEDGED: 1}
    assert names(story([line(3, "hello 3", "Heard hello 3", acked=0.0, abandoned=True), *TWO], FINE)) == {}


def test_a_run_in_which_nothing_was_answered_is_not_passed() -> None:
    assert names(story([], [])) == {count.SILENT: 1}
    assert names(story([line(1, "hello 1", "Heard hello 1", acked=0.0, abandoned=True)], [])) == {count.SILENT: 1}


def test_differences_and_troubles_break_the_run() -> None:
    found = names(story(TWO, FINE, differences=("a", "b"), troubles=("c",)))
    assert found == {count.DIFFERENT: 2, count.TROUBLED: 1}
