"""`rules.yaml`: languages, words, texts, hours and persona. Numbers such as timeouts come from the settings."""

import re
from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from bot.adapters.yaml_flows.document import Block, read_document
from bot.adapters.yaml_flows.language import (
    HOURS_KEYS,
    LANGUAGE_PATTERN,
    NO_AGENT_KEYS,
    RULES_KEYS,
    TEXT_NAMES,
    THEN,
    WEEKDAYS,
    WORD_NAMES,
    Key,
)
from bot.adapters.yaml_flows.problems import Report, suggestion
from bot.adapters.yaml_flows.reading import read_reminder, silence, warn_if_late
from bot.core.book import NoAgent, OpenHours, Rules
from bot.core.fitting import BUTTON_TITLE_LIMIT, LIST_BUTTON_LIMIT, TEXT_LIMIT
from bot.core.flow import Localised
from bot.core.words import whole

PERSONA_LIMIT = 8000
"""Characters of the persona: it is paid for with every question to a model."""
_BUTTONS: Mapping[str, int] = {
    "person_button": BUTTON_TITLE_LIMIT,
    "menu_button": BUTTON_TITLE_LIMIT,
    "list_button": LIST_BUTTON_LIMIT,
}
_OPENING = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")
_DAY_MINUTES = 24 * 60


def read_rules(source: str, report: Report, limits: Rules) -> Rules:
    """`limits` with what `source` says put over it; what is wrong is noted in `report`."""
    root = read_document(source, report)
    if root is None:
        return limits
    root.refuse_unknown(RULES_KEYS, "the rules")
    languages = _languages(root, limits)
    texts = _texts(root, limits)
    remind, no_agent = read_reminder(root), _no_agent(root)
    warn_if_late(root, remind, limits.session_timeout)
    told = {"remind": remind and remind.text, "no_agent": no_agent and no_agent.text}
    _warn_missing(root, languages, {**texts, **{name: text for name, text in told.items() if text}})
    return msgspec.structs.replace(
        limits,
        languages=languages,
        default_language=_default_language(root, languages, limits),
        words=_words(root, limits),
        texts=texts,
        hours=_hours(root, limits),
        persona=_persona(root, limits),
        remind=remind or limits.remind,
        no_agent=no_agent or limits.no_agent,
    )


def _languages(root: Block, limits: Rules) -> tuple[str, ...]:
    languages = root.strings("languages")
    for language in languages:
        if not re.fullmatch(LANGUAGE_PATTERN, language):
            root.error(f"{language!r} is not a language code such as en or hi", "languages")
    return languages or limits.languages


def _default_language(root: Block, languages: tuple[str, ...], limits: Rules) -> str:
    fallback = limits.default_language if limits.default_language in languages else languages[0]
    language = root.string("default_language", fallback)
    if language not in languages:
        root.error(f"the default language {language!r} is not among 'languages'", "default_language")
    return language


def _words(root: Block, limits: Rules) -> Mapping[str, tuple[str, ...]]:
    block = root.block("words")
    if block is None:
        return limits.words
    block.refuse_unknown({name: Key(kind="lines", about="") for name in WORD_NAMES}, "'words'")
    own = {name: tuple(whole(word) for word in block.strings(name)) for name in WORD_NAMES if name in block.entries}
    words = {**limits.words, **own}
    _refuse_shared(block, words)
    return words


def _refuse_shared(block: Block, words: Mapping[str, tuple[str, ...]]) -> None:
    seen: dict[str, str] = {}
    for name, spoken in words.items():
        for word in spoken:
            if seen.setdefault(word, name) != name:
                block.error(f"{word!r} stands for {seen[word]!r} and for {name!r}; keep one", name)


def _texts(root: Block, limits: Rules) -> Mapping[str, Localised]:
    block = root.block("texts")
    if block is None:
        return limits.texts
    block.refuse_unknown({name: Key(kind="text", about="") for name in TEXT_NAMES}, "'texts'")
    texts = dict(limits.texts)
    for name in TEXT_NAMES:
        own = block.text(name, _BUTTONS.get(name, TEXT_LIMIT))
        texts[name] = own if "" in own else {**texts.get(name, {}), **own}
    return texts


def _warn_missing(root: Block, languages: tuple[str, ...], texts: Mapping[str, Localised]) -> None:
    for language in languages:
        missing = [name for name, text in texts.items() if not {"", language} & text.keys()]
        if missing:
            root.warn(f"the bot's own texts are missing in {language!r}: {', '.join(missing)}", "languages")


def _persona(root: Block, limits: Rules) -> str:
    persona = root.string("persona", limits.persona)
    if len(persona) > PERSONA_LIMIT:
        root.error(f"the persona has {len(persona)} characters; keep it under {PERSONA_LIMIT}", "persona")
    return persona.strip()


def _no_agent(root: Block) -> NoAgent | None:
    block = root.block("no_agent")
    if block is None:
        return None
    block.refuse_unknown(NO_AGENT_KEYS, "'no_agent'")
    then = block.string("then", "wait")
    if then not in THEN:
        block.error(f"there is no {then!r} here; {suggestion(then, THEN)}", "then")
    return NoAgent(after=silence(block), text=block.text("text", TEXT_LIMIT), then=THEN.get(then, "wait"))


def _hours(root: Block, limits: Rules) -> OpenHours:
    block = root.block("hours")
    if block is None:
        return limits.hours
    block.refuse_unknown(HOURS_KEYS, "'hours'")
    openings = {number: _day(block, day) for number, day in enumerate(WEEKDAYS) if day in block.entries}
    return OpenHours(zone=_zone(block, limits.hours.zone), days=openings)


def _zone(block: Block, default: ZoneInfo) -> ZoneInfo:
    name = block.string("zone")
    try:
        return ZoneInfo(name) if name else default
    except (ZoneInfoNotFoundError, ValueError, OSError):
        block.error(f"there is no time zone {name!r}; use a name such as Asia/Kolkata", "zone")
        return default


def _day(block: Block, day: str) -> tuple[tuple[int, int], ...]:
    if block.is_empty_list(day):
        return ()
    openings = (_opening(block, day, text) for text in block.strings(day))
    return tuple(sorted(opening for opening in openings if opening is not None))


def _opening(block: Block, day: str, text: str) -> tuple[int, int] | None:
    found = _OPENING.fullmatch(text.strip())
    if found is None or int(found[2]) > 59 or int(found[4]) > 59:
        block.error(f"{text!r} is not an opening such as 09:00-18:00", day)
        return None
    start, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if not start < end <= _DAY_MINUTES:
        block.error(f"{text!r} must end after it starts and by 24:00; put the rest into the next day", day)
        return None
    return start, end
