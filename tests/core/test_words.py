import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from bot.core.words import ascii_digits, cut, encodable, fold, has_phrase, whole

ANY_TEXT = st.text(st.characters())
"""Lone surrogates too: nothing a customer sends may break a match."""


def test_case_accents_width_and_space_do_not_matter() -> None:
    assert fold("  Café\tCRÈME \n \uff2f\uff2b ") == fold("cafe creme ok")
    assert fold("STRASSE") == fold("Straße")


def test_hindi_keeps_its_vowel_signs_and_viramas() -> None:
    assert fold("हिन्दी क्या") == "हिन्दी क्या"
    assert fold("हिंदी") != fold("हदी")


def test_both_spellings_of_a_hindi_letter_with_nukta_are_one() -> None:
    assert fold("\u0958\u0932\u092e") == fold("\u0915\u093c\u0932\u092e")


def test_joiners_inside_hindi_words_do_not_matter() -> None:
    assert fold("क्\u200dया") == fold("क्या")


def test_the_script_of_digits_does_not_matter() -> None:
    assert fold("१२३") == fold("١٢٣") == "123"
    assert ascii_digits("नं. १२") == "नं. 12"


@given(ANY_TEXT)
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(ANY_TEXT)
def test_digits_are_replaced_one_by_one(text: str) -> None:
    assert len(ascii_digits(text)) == len(text)


def test_a_combining_mark_belongs_to_its_word() -> None:
    assert cut(fold("मुझे मदद चाहिए!")) == ["मुझे", "मदद", "चाहिए"]


def test_an_apostrophe_joins_a_word_and_a_hyphen_parts_it() -> None:
    assert cut(fold("Don\u2019t use 'help-desk'")) == ["don't", "use", "help", "desk"]


@given(st.text(st.characters(categories=["Lu", "Ll", "Lo", "Mn", "Mc", "Nd"]), min_size=1, max_size=8))
def test_a_word_of_letters_and_marks_is_never_cut(word: str) -> None:
    folded = fold("a" + word)
    if all(unicodedata.category(character)[0] in "LMN" for character in folded):
        assert cut(folded) == [folded]


def test_punctuation_around_a_whole_message_does_not_matter() -> None:
    assert whole(" *Stop!!* ") == "stop"
    assert whole("रोकें।") == "रोकें"
    assert whole("???") == "???"


def test_a_phrase_is_found_only_where_all_its_words_stand_in_a_row() -> None:
    words = ["where", "is", "my", "parcel"]
    assert has_phrase(words, ["is", "my"], 1)
    assert not has_phrase(words, ["is", "parcel"], 1)
    assert not has_phrase(words, ["parcel", "now"], 3)


def test_half_characters_are_replaced() -> None:
    assert encodable("a\ud800b") == "a?b"
    assert encodable("नमस्ते 👋") == "नमस्ते 👋"
