from hypothesis import given
from hypothesis import strategies as st

from bot.core.fitting import (
    BODY_LIMIT,
    BUTTON_TITLE_LIMIT,
    DESCRIPTION_LIMIT,
    LIST_BUTTON_LIMIT,
    ROW_TITLE_LIMIT,
    TEXT_LIMIT,
    plain,
    question,
    shorten,
    split_text,
)
from bot.core.messages import Buttons, Choice, ListMenu, Outbound, Text

TITLES = st.lists(st.text(max_size=60), min_size=1, max_size=14)
LONG = st.text(st.sampled_from("ab .!?।\nक्षि👩🏽\u200d"), max_size=5000)


def choices(*titles: str) -> list[Choice]:
    return [Choice(id=f"c{number}", title=title) for number, title in enumerate(titles)]


def put(text: str, *titles: str) -> tuple[Outbound, ...]:
    return question(text, choices(*titles), list_button="Choose", numbered_hint="Answer with a number.")


def assert_fits(message: Outbound) -> None:
    match message:
        case Text(text=text):
            assert 0 < len(text.strip()) <= len(text) <= TEXT_LIMIT
        case Buttons(text=text, buttons=buttons):
            assert_tappable(text, buttons, 3, BUTTON_TITLE_LIMIT)
        case ListMenu(text=text, button=button, rows=rows):
            assert 0 < len(button) <= LIST_BUTTON_LIMIT
            assert_tappable(text, rows, 10, ROW_TITLE_LIMIT)
        case _:
            raise AssertionError(message)


def assert_tappable(text: str, offered: tuple[Choice, ...], count: int, limit: int) -> None:
    titles = [choice.title for choice in offered]
    assert 0 < len(text.strip()) <= len(text) <= BODY_LIMIT
    assert 0 < len(titles) <= count
    assert len(set(titles)) == len(titles)
    assert all(0 < len(title) <= limit for title in titles)
    assert all(len(choice.description) <= DESCRIPTION_LIMIT for choice in offered)


def test_a_short_text_stays_whole() -> None:
    assert split_text(" Hello. You. ") == ("Hello. You.",)
    assert split_text("a" * TEXT_LIMIT) == ("a" * TEXT_LIMIT,)


def test_a_long_text_is_cut_at_the_end_of_a_sentence() -> None:
    assert split_text("One two. Three four! Five six?", 22) == ("One two. Three four!", "Five six?")
    assert split_text("एक दो तीन। चार पाँच", 12) == ("एक दो तीन।", "चार पाँच")


def test_without_a_sentence_end_it_is_cut_between_words() -> None:
    assert split_text("one two three", 9) == ("one two", "three")


def test_an_early_sentence_end_does_not_make_a_tiny_piece() -> None:
    assert split_text("Hi. one two three four five", 20) == ("Hi. one two three", "four five")


def test_without_words_it_is_cut_where_no_character_breaks() -> None:
    family = "👩\u200d👩\u200d👧"
    assert split_text(family * 3, 7) == (family, family, family)
    assert split_text("कि" * 3, 3) == ("कि", "कि", "कि")


def test_marks_alone_are_cut_anyhow() -> None:
    assert split_text("\u0301" * 5, 2) == ("\u0301" * 2, "\u0301" * 2, "\u0301")


@given(LONG, st.integers(1, 200))
def test_pieces_fit_and_lose_nothing_but_space(text: str, limit: int) -> None:
    pieces = split_text(text, limit)
    assert all(0 < len(piece) <= limit for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_blank_text_is_no_message() -> None:
    assert plain("") == plain(" \n ") == ()


def test_up_to_three_choices_are_buttons_and_up_to_ten_a_list() -> None:
    assert isinstance(put("Which?", "a", "b", "c")[0], Buttons)
    assert isinstance(put("Which?", *"abcd")[0], ListMenu)
    assert isinstance(put("Which?", *"abcdefghij")[0], ListMenu)


def test_more_choices_are_a_numbered_text() -> None:
    (message,) = put("Which?", *"abcdefghijk")
    assert isinstance(message, Text)
    assert message.text.startswith("Which?\n\n1. a\n2. b\n")
    assert message.text.endswith("11. k\n\nAnswer with a number.")


def test_no_choices_are_a_plain_text() -> None:
    assert put("Which?") == (Text(text="Which?"),)


def test_a_title_that_is_too_long_stands_whole_in_the_body() -> None:
    (message,) = put("Which?", "A title that is far too long", "b")
    assert isinstance(message, Buttons)
    assert message.buttons[0].title == "A title that is far…"
    assert message.text == "Which?\n\n1. A title that is far too long\n2. b"


def test_titles_that_became_equal_are_told_apart() -> None:
    (message,) = put("Which?", "The same long beginning 1", "The same long beginning 2", "x")
    assert isinstance(message, Buttons)
    assert [choice.title for choice in message.buttons] == ["The same long begin…", "The same long beg… 2", "x"]


def test_a_long_body_goes_ahead_as_text() -> None:
    first, last = put("One sentence. " * 100 + "Which?", "a")
    assert isinstance(first, Text)
    assert isinstance(last, Buttons)
    assert f"{first.text} {last.text}" == "One sentence. " * 100 + "Which?"


def test_a_blank_body_says_what_the_button_of_a_list_says() -> None:
    (message,) = put(" ", "a")
    assert isinstance(message, Buttons)
    assert message.text == "Choose"


@given(LONG, TITLES, st.text(max_size=40), st.text(max_size=100))
def test_every_question_fits(text: str, titles: list[str], list_button: str, description: str) -> None:
    offered = [Choice(id=str(number), title=title, description=description) for number, title in enumerate(titles)]
    messages = question(text, offered, list_button=list_button, numbered_hint="Number?")
    assert messages
    for message in messages:
        assert_fits(message)


@given(st.text(), st.integers(1, 30))
def test_a_shortened_text_is_one_line_within_its_limit(text: str, limit: int) -> None:
    line = shorten(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
