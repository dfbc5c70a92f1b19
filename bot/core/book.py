"""The rules in force: compiled flows, words, texts and limits, one immutable value with a version."""

from collections.abc import Mapping
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from bot.core.flow import Flow, Localised, Reminder
from bot.core.triggers import TriggerIndex, index_triggers

DEFAULT_WORDS: Mapping[str, tuple[str, ...]] = {
    "menu": ("menu", "restart"),
    "agent": ("agent", "human"),
    "stop": ("stop",),
    "start": ("start",),
}

DEFAULT_TEXTS: Mapping[str, Localised] = {
    "apology": {
        "en": "Sorry, I cannot answer that right now. Would you like to talk to a person?",
        "hi": "क्षमा करें, मैं अभी इसका उत्तर नहीं दे सकता। क्या आप किसी व्यक्ति से बात करना चाहेंगे?",
    },
    "offer": {"en": "Would you like to talk to a person?", "hi": "क्या आप किसी व्यक्ति से बात करना चाहेंगे?"},
    "person_button": {"en": "Talk to a person", "hi": "व्यक्ति से बात करें"},
    "menu_button": {"en": "Main menu", "hi": "मुख्य मेनू"},
    "handed_over": {
        "en": "Thank you. A colleague will answer you here as soon as possible.",
        "hi": "धन्यवाद। हमारे एक सहकर्मी आपको यहीं जल्द उत्तर देंगे।",
    },
    "outside_hours": {
        "en": "Thank you. Our team is away right now and will answer you here when it is back.",
        "hi": "धन्यवाद। हमारी टीम अभी उपलब्ध नहीं है, लौटने पर आपको यहीं उत्तर देगी।",
    },
    "opted_out": {
        "en": "You will get no more messages from us. Write START to hear from us again.",
        "hi": "अब आपको हमसे कोई संदेश नहीं मिलेगा। फिर से पाने के लिए START लिखें।",
    },
    "opted_in": {"en": "Welcome back! How can we help?", "hi": "वापसी पर स्वागत है! हम कैसे मदद करें?"},
    "left_flow": {"en": "All right. How can we help?", "hi": "ठीक है। हम कैसे मदद करें?"},
    "unreadable": {
        "en": "Sorry, I cannot read this kind of message. Please write it as text.",
        "hi": "क्षमा करें, मैं इस तरह का संदेश नहीं पढ़ सकता। कृपया लिखकर भेजें।",
    },
    "list_button": {"en": "Choose", "hi": "चुनें"},
    "numbered": {"en": "Please answer with a number.", "hi": "कृपया एक संख्या लिखें।"},
}
"""Every text the bot says on its own account; `flows/rules.yaml` may replace each by language."""


class OpenHours(msgspec.Struct, frozen=True, kw_only=True):
    """When people answer: for each weekday (0 = Monday) pairs of minutes since midnight in `zone`. No days: always
    open.
    """

    zone: ZoneInfo = ZoneInfo("UTC")
    days: dict[int, tuple[tuple[int, int], ...]] = {}


class NoAgent(msgspec.Struct, frozen=True, kw_only=True):
    """What the customer hears once when nobody took their conversation within `after` seconds, and what comes then."""

    after: float
    text: Localised
    then: Literal["wait", "return_to_bot"] = "wait"


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What `flows/rules.yaml` and the settings say. Words are folded (`core.words.fold`); times are seconds."""

    default_language: str = "en"
    languages: tuple[str, ...] = ("en", "hi")
    words: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=lambda: DEFAULT_WORDS)
    texts: Mapping[str, Localised] = msgspec.field(default_factory=lambda: DEFAULT_TEXTS)
    hours: OpenHours = OpenHours()
    persona: str = "You are the support assistant of this company on WhatsApp."
    step_budget: int = 50
    """Operations one event may run before the flow is stopped as an outcome."""
    history_turns: int = 12
    """Lines of conversation kept in the session for the model."""
    history_characters: int = 1000
    """Characters kept of each of those lines."""
    session_timeout: float = 3600.0
    conversation_timeout: float = 86400.0
    stale_after: float = 3600.0
    quiet_moment: float = 1.0
    quiet_restarts: int = 5
    """How often a further message may put off the question to the model before it is asked all the same."""
    remind: Reminder | None = None
    """The reminder of every question whose step says nothing of it."""
    no_agent: NoAgent | None = None


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """`flows`: current version by flow id. `versions`: every version some conversation may still be on, by digest.

    `triggers` is made from `flows` and need not be given.
    """

    version: str
    rules: Rules
    flows: Mapping[str, Flow]
    versions: Mapping[str, Flow]
    triggers: TriggerIndex = msgspec.field(default_factory=lambda: index_triggers(()))

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "triggers", index_triggers(self.flows.values()))
