"""Customers are found by beginnings of their name and by any usual spelling of their number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.search import NAME_WORDS, query_words, search_words

PHONE = "919876543210"


def found(query: str, phone: str = PHONE, name: str = "Priya O'Brien-Núñez") -> bool:
    words = query_words(query)
    return bool(words) and set(words) <= set(search_words(phone, name))


@pytest.mark.parametrize(
    "query",
    [
        "919876543210",
        "+91 98765 43210",
        "0091-98765-43210",
        "(098765) 43210",
        "9876543210",
        "3210",
        "९८७६५४३२१०",
        "543210",
    ],
)
def test_a_number_is_found_in_any_spelling(query: str) -> None:
    assert found(query)


@pytest.mark.parametrize(
    "query", ["pr", "PRIYA", "obr", "o'brien", "nunez", "Núñ", "priya nu", "priya 3210", "  priya  "]
)
def test_a_name_is_found_by_the_beginnings_of_its_words(query: str) -> None:
    assert found(query)


@pytest.mark.parametrize("query", ["", " ", "+-", "?!", "riya", "priya smith", "3211", "priya 9999", "210", "p"])
def test_what_does_not_fit_is_not_found(query: str) -> None:
    assert not found(query)


def test_a_word_of_one_letter_is_found_by_itself() -> None:
    assert found("李", name="李 明")
    assert not found("明", name="李明")


def test_words_longer_than_the_limit_are_found_by_their_whole_spelling() -> None:
    assert found("Venkatanarasimharajuvaripeta", name="Venkatanarasimharajuvaripeta")


def test_nothing_known_gives_no_words() -> None:
    assert search_words("", "") == ()


def test_a_short_number_is_found_whole() -> None:
    assert found("123", phone="123", name="")


@given(st.text(max_size=300), st.from_regex(r"\A[1-9][0-9]{9,14}\Z"))
def test_the_number_of_words_is_bounded_and_none_repeats(name: str, phone: str) -> None:
    words = search_words(phone, name)
    assert len(words) == len(set(words)) <= 9 + NAME_WORDS * 11
    assert all(words)
    assert set(query_words(phone)) <= set(words)


@given(st.text(max_size=60))
def test_a_name_without_digits_is_found_by_itself(name: str) -> None:
    words = set(search_words("", name))
    if not query_words(name)[:1] or query_words(name)[0].isdecimal():
        return
    assert set(query_words(name)) <= words
