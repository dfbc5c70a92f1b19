from typing import get_args

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from bot.core.answers import ANSWER_LIMIT, accepted
from bot.core.flow import AnswerType, Scalar, Validation


@pytest.mark.parametrize(
    ("kind", "answer", "value"),
    [
        ("email", " Asha@Example.com ", "Asha@example.com"),
        ("phone", "98765 43210", "+919876543210"),
        ("phone", "+1 (212) 555-0123", "+12125550123"),
        ("phone", "९८७६५४३२१०", "+919876543210"),
        ("number", "1499", 1499),
        ("number", "1,20,000", 120000),
        ("number", "-3.50", -3.5),
        ("number", "१,४९९.५", 1499.5),
        ("date", "2025-03-05", "2025-03-05"),
        ("date", "5/3/2025", "2025-03-05"),
        ("date", "05-03-2025", "2025-03-05"),
        ("date", "5 March 2025", "2025-03-05"),
        ("date", "5th mar, 2025", "2025-03-05"),
        ("date", "५ मार्च २०२५", "2025-03-05"),
        ("date", "29/02/2024", "2024-02-29"),
    ],
)
def test_an_answer_is_kept_in_its_usual_form(kind: AnswerType, answer: str, value: Scalar) -> None:
    assert accepted(answer, Validation(type=kind)) == value


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("email", "asha at example"),
        ("email", "mail me: asha@example.com"),
        ("phone", "12345"),
        ("phone", "call me"),
        ("number", "about 5"),
        ("number", "1e5"),
        ("number", "1,2"),
        ("number", "1" * 16),
        ("number", "nan"),
        ("date", "29/02/2025"),
        ("date", "2025-13-01"),
        ("date", "05-03/2025"),
        ("date", "5 Brumaire 2025"),
        ("date", "tomorrow"),
    ],
)
def test_what_was_not_asked_is_not_accepted(kind: AnswerType, answer: str) -> None:
    assert accepted(answer, Validation(type=kind)) is None


def test_a_pattern_must_match_the_whole_answer() -> None:
    six = Validation(pattern=re2.compile(r"\d{6}"))
    assert accepted(" 482913 ", six) == "482913"
    assert accepted("४८२९१३", six) == "482913"
    assert accepted("my 482913", six) is None
    assert accepted("4829131", six) is None


def test_without_validation_any_answer_is_kept_as_it_was_given() -> None:
    assert accepted(" {name} ", None) == " {name} "
    assert accepted("x", Validation()) == "x"


def test_a_blank_answer_is_none() -> None:
    assert accepted("  \n", None) is None


def test_a_long_answer_is_cut() -> None:
    assert accepted("a" * (ANSWER_LIMIT + 1), None) == "a" * ANSWER_LIMIT


@given(st.sampled_from(get_args(AnswerType)), st.text())
def test_any_text_is_accepted_or_not(kind: AnswerType, answer: str) -> None:
    accepted(answer, Validation(type=kind))


@given(st.dates())
def test_every_day_is_read_back_from_each_form(day: object) -> None:
    for form in ("%d/%m/%Y", "%d-%m-%Y", "%Y-%m-%d"):
        written = f"{day:{form}}"
        if len(written) == len("01/01/2025"):
            assert accepted(written, Validation(type="date")) == f"{day}"
