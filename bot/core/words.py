"""Words as a customer means them: folded for case, accents, digits and spacing, and cut where words end.

Folding is for matching only; what a customer wrote is stored and shown as it came. Accents over Latin, Greek and
Cyrillic letters are dropped. The vowel signs and viramas of Indic scripts are letters of their words and stay, which is
also why a word is cut here by Unicode category: the word class of `re` leaves them out.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

_FIRST_MARK, _LAST_MARK = 0x300, 0x1E94A
_ACCENTS = range(0x300, 0x370)
_SELECTORS = (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
_UNSEEN = (0xAD, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), *_SELECTORS)
"""Soft hyphen, joiners, direction marks, variation selectors, byte order mark: nobody means them."""
_APOSTROPHES = {0x2019: "'", 0x2018: "'", 0x2BC: "'"}
_PUNCTUATION = " .,!?;:'\"()[]{}<>*_~`-\u2013—…।॥¡¿“”«»،؟"


def _digit_table() -> dict[int, str]:
    points = (point for point in range(0x660, 0x1E95A) if unicodedata.category(chr(point)) == "Nd")
    return {point: str(unicodedata.decimal(chr(point))) for point in points}


def _mark_class() -> str:
    marks = [point for point in range(_FIRST_MARK, _LAST_MARK + 1) if unicodedata.category(chr(point))[0] == "M"]
    starts = [point for point in marks if unicodedata.category(chr(point - 1))[0] != "M"]
    ends = [point for point in marks if unicodedata.category(chr(point + 1))[0] != "M"]
    return "".join(f"{chr(start)}-{chr(end)}" for start, end in zip(starts, ends, strict=True))


_SHORT = 200
"""Characters up to which a folded text is remembered for a moment."""
_DIGITS = _digit_table()
_FOLDED: dict[int, str | None] = {**dict.fromkeys((*_ACCENTS, *_UNSEEN)), **_APOSTROPHES, **_DIGITS}
_LETTER = rf"[\w{_mark_class()}]"
_WORD = re.compile(rf"{_LETTER}+(?:'{_LETTER}+)*")


def fold(text: str) -> str:
    """`text` without the differences nobody means: case, accents, width, script of digits, kind and amount of space."""
    return _fold_short(text) if len(text) <= _SHORT else _fold(text)


def _fold(text: str) -> str:
    if text.isascii():
        return " ".join(text.casefold().split())
    opened = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return " ".join(unicodedata.normalize("NFC", opened.translate(_FOLDED)).split())


_fold_short = lru_cache(maxsize=1024)(_fold)
"""One message is folded for its words, for interrupts and for triggers; once is enough."""


def whole(text: str) -> str:
    """`text` folded as a whole message: the punctuation around it is dropped, unless there is nothing else."""
    folded = fold(text)
    return folded.strip(_PUNCTUATION) or folded


def cut(folded: str) -> list[str]:
    """The words of a folded text, in order. An apostrophe inside a word belongs to it; a hyphen does not."""
    return _WORD.findall(folded)


def has_phrase(words: Sequence[str], phrase: Sequence[str], start: int) -> bool:
    """Whether the words of `phrase` stand in a row in `words` from index `start`."""
    return list(words[start : start + len(phrase)]) == list(phrase)


def ascii_digits(text: str) -> str:
    """`text` with the decimal digits of every script written as 0 to 9; its length stays the same."""
    return text if text.isascii() else text.translate(_DIGITS)


def encodable(text: str) -> str:
    """`text` with half characters (lone surrogates), which no encoding knows, replaced by question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
