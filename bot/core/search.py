"""The words under which a customer is found again: beginnings of the words of a name, and ends of a phone number.

Only keyed hashes of these words are stored, so a search is for equal words: whatever somebody may ask for must have
been a word of its own when the customer was written down. Ends of the number stand for the ways to write it (without
the country code, or just the last four digits) and cost no knowledge of any country's numbering plan.
"""

from bot.core.words import cut, fold

LONGEST_PREFIX = 12
"""Characters of a name's word that count; what is longer is cut, in the name and in the query."""
SHORTEST_PREFIX = 2
NAME_WORDS = 6
"""Words of one name that can be searched for; with their beginnings at most 66 search words."""
QUERY_WORDS = 6
SHORTEST_ENDING = 4
LONGEST_ENDING = 11
"""Digits: the longest national number in use (China, Brazil, Germany) has 11."""
_PUNCTUATION = frozenset("+-.()/ \u2010\u2011\u2012\u2013")


def search_words(phone: str, name: str) -> tuple[str, ...]:
    """What to keep of a customer, without repetition: `phone` is digits with country code or empty."""
    words = [*_endings(phone), *(part for word in _words(name)[:NAME_WORDS] for part in _beginnings(word))]
    return tuple(dict.fromkeys(words))


def query_words(query: str) -> tuple[str, ...]:
    """What a customer must have, all of it, to be found by `query`; empty when there is nothing to search for.

    A query of digits and the punctuation of phone numbers is one number; leading zeros (`00`, trunk `0`) are dropped,
    as no number with a country code begins with one.
    """
    number = _number(query)
    if len(number) >= SHORTEST_ENDING:
        return (number,)
    return tuple(dict.fromkeys(word[:LONGEST_PREFIX] for word in _words(query)[:QUERY_WORDS]))


def _number(query: str) -> str:
    digits = "".join(letter for letter in fold(query) if letter not in _PUNCTUATION)
    return digits.lstrip("0") if digits.isdecimal() else ""


def _endings(phone: str) -> list[str]:
    lengths = range(SHORTEST_ENDING, min(LONGEST_ENDING, len(phone)) + 1)
    return [phone, *(phone[-length:] for length in lengths)] if phone else []


def _words(text: str) -> list[str]:
    return [word.replace("'", "") for word in cut(fold(text))]


def _beginnings(word: str) -> list[str]:
    shortest = min(SHORTEST_PREFIX, len(word))
    return [word[:length] for length in range(shortest, min(LONGEST_PREFIX, len(word)) + 1)]
