"""Which flow a message starts, and which words leave any flow.

The triggers of a set of flows are put into an index once, so that a message costs one fold, a look-up per word, and the
patterns that could still win. The highest priority wins; then the more specific trigger, in the order whole message,
pattern, keyword, first message; then the flow id, so that there is always one answer.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

import msgspec

from bot.core.flow import Exact, FirstMessage, Flow, Keyword, Matching, Pattern
from bot.core.words import ascii_digits, cut, encodable, fold, has_phrase, whole

if TYPE_CHECKING:
    from bot.core.book import Book, Rules

Interrupt = Literal["menu", "agent", "stop", "start"]
_INTERRUPTS: tuple[Interrupt, ...] = ("stop", "start", "agent", "menu")

_Rank = tuple[int, int, str]
"""Priority (negated), specificity, flow id: the least wins."""
_EXACT, _PATTERN, _KEYWORD, _FIRST = range(4)


class Phrase(msgspec.Struct, frozen=True, kw_only=True):
    words: tuple[str, ...]
    rank: _Rank


class Search(msgspec.Struct, frozen=True, kw_only=True):
    pattern: Pattern
    rank: _Rank


class TriggerIndex(msgspec.Struct, frozen=True, kw_only=True):
    """Triggers by what they look for: whole messages, keywords by their first word, keywords without a letter (such
    as an emoji), patterns (best first), and the flow for a first message.
    """

    exact: Mapping[str, _Rank]
    phrases: Mapping[str, tuple[Phrase, ...]]
    symbols: tuple[tuple[str, _Rank], ...]
    patterns: tuple[Search, ...]
    first: _Rank | None


def index_triggers(flows: Iterable[Flow]) -> TriggerIndex:
    """The index of all triggers of `flows`."""
    ordered = sorted(flows, key=lambda flow: (-flow.priority, flow.flow_id))
    triggers = [(flow, trigger) for flow in ordered for trigger in flow.triggers]
    keywords = [
        (value, (-flow.priority, _KEYWORD, flow.flow_id))
        for flow, trigger in triggers
        if isinstance(trigger, Keyword)
        for value in trigger.values
    ]
    exact: dict[str, _Rank] = {}
    for flow, trigger in triggers:
        if isinstance(trigger, Exact):
            exact.setdefault(whole(trigger.value), (-flow.priority, _EXACT, flow.flow_id))
    patterns = [
        Search(pattern=trigger.pattern, rank=(-flow.priority, _PATTERN, flow.flow_id))
        for flow, trigger in triggers
        if isinstance(trigger, Matching)
    ]
    first = [(-flow.priority, _FIRST, flow.flow_id) for flow, trigger in triggers if isinstance(trigger, FirstMessage)]
    return TriggerIndex(
        exact=exact,
        phrases=_by_first_word(keywords),
        symbols=tuple((fold(value), rank) for value, rank in keywords if not cut(fold(value))),
        patterns=tuple(patterns),
        first=min(first, default=None),
    )


def matching_flow(book: "Book", heard_text: str, *, first_message: bool) -> Flow | None:
    """The current flow that `heard_text` starts, or None. `first_message`: not seen in this session before."""
    index = book.triggers
    folded = fold(heard_text)
    ranks = list(_keyword_ranks(index, folded))
    if (exact := index.exact.get(whole(heard_text))) is not None:
        ranks.append(exact)
    if first_message and index.first is not None:
        ranks.append(index.first)
    best = _better_pattern(index, heard_text, min(ranks, default=None))
    return None if best is None else book.flows[best[2]]


def interrupt(rules: "Rules", text: str) -> Interrupt | None:
    """What `text` as a whole message asks for from anywhere, or None."""
    said = whole(text)
    for name in _INTERRUPTS:
        if said in rules.words.get(name, ()):
            return name
    return None


def _by_first_word(keywords: list[tuple[str, _Rank]]) -> dict[str, tuple[Phrase, ...]]:
    phrases: dict[str, tuple[Phrase, ...]] = {}
    for value, rank in keywords:
        if words := tuple(cut(fold(value))):
            phrases[words[0]] = (*phrases.get(words[0], ()), Phrase(words=words, rank=rank))
    return phrases


def _keyword_ranks(index: TriggerIndex, folded: str) -> Iterable[_Rank]:
    yield from (rank for symbol, rank in index.symbols if symbol in folded)
    if not index.phrases:
        return
    words = cut(folded)
    for start, word in enumerate(words):
        for phrase in index.phrases.get(word, ()):
            if has_phrase(words, phrase.words, start):
                yield phrase.rank


def _better_pattern(index: TriggerIndex, heard_text: str, best: _Rank | None) -> _Rank | None:
    text = ascii_digits(encodable(heard_text))
    for search in index.patterns:
        if best is not None and best < search.rank:
            return best
        if search.pattern.search(text):
            return search.rank
    return best
