"""The stand-in model: rules from the customer's last words to an answer. It always says that it is simulated.

It answers in Hindi when asked in Devanagari. When a person is wanted and the system prompt names a hand-off token, the
token is the whole answer, as a model that was told so would do.
"""

import re
import zlib
from collections.abc import Sequence
from typing import Any, Final

from bot.core.messages import Value

SIGN: Final = "(simulated)"
_TOKEN: Final = re.compile(
    r"(\[\[[A-Z][A-Z _-]+\]\]|<<[A-Z][A-Z _-]+>>|\{\{[A-Z][A-Z _-]+\}\}|<[A-Z][A-Z_-]{3,}>|\[[A-Z][A-Z_-]{3,}\])"
)
_REFERENCE: Final = re.compile(r"#\d+")
"""A number that the customer refers to; the answer names it, so that a load test knows which questions it answers."""
_DEVANAGARI: Final = re.compile(r"[\u0900-\u097f]")


class Topic(Value, frozen=True, kw_only=True):
    """Words that name a topic, in both languages, and what is said about it."""

    name: str
    words: re.Pattern[str]
    english: str
    hindi: str


def _topic(name: str, words: str, english: str, hindi: str) -> Topic:
    return Topic(name=name, words=re.compile(words, re.IGNORECASE), english=english, hindi=hindi)


PERSON: Final = _topic(
    "person",
    r"\b(person|human|agent|representative|someone real|operator)\b|इंसान|एजेंट|व्यक्ति से",
    "I will ask a colleague to join this chat.",
    "मैं अपने एक सहकर्मी को इस चैट में बुलाता हूँ।",
)
TOPICS: Final = (
    _topic(
        "refund",
        r"\b(refund|money back|return(ed|ing)?)\b|रिफंड|पैसे वापस|वापसी",
        "A refund takes five working days once the parcel is back with us.",
        "पार्सल हमें वापस मिलने के बाद रिफंड में पाँच कार्य दिवस लगते हैं।",
    ),
    _topic(
        "order",
        r"\b(orders?|parcel|package|delivery|deliver(ed)?|shipping|track(ing)?)\b|ऑर्डर|डिलीवरी|पार्सल",
        "Please tell me your order number, and I will look it up.",
        "कृपया अपना ऑर्डर नंबर बताइए, मैं देखता हूँ।",
    ),
    _topic(
        "hours",
        r"\b(hours|open(ing)?|clos(e|ed|ing)|when are you)\b|समय|कब खुल|खुला",
        "We are open Monday to Saturday, 9 am to 6 pm.",
        "हम सोमवार से शनिवार, सुबह 9 से शाम 6 बजे तक खुले हैं।",
    ),
    _topic(
        "thanks",
        r"\b(thanks|thank you|thx|cheers)\b|धन्यवाद|शुक्रिया",
        "You are welcome! Is there anything else?",
        "आपका स्वागत है! क्या और कुछ है?",
    ),
    _topic(
        "greeting",
        r"\b(hi|hello|hey|good (morning|afternoon|evening))\b|नमस्ते|नमस्कार|हैलो",
        "Hello! How can I help you today?",
        "नमस्ते! मैं आपकी क्या मदद कर सकता हूँ?",
    ),
)
UNSURE: Final = (
    ("I can help with orders, refunds and opening hours.", "मैं ऑर्डर, रिफंड और खुलने के समय में मदद कर सकता हूँ।"),
    ("Could you tell me a little more about that?", "क्या आप इसके बारे में थोड़ा और बता सकते हैं?"),
)


def reply(messages: Sequence[dict[str, Any]]) -> str:
    """The answer to a conversation of checked chat messages."""
    asked = _last_said(messages)
    hindi = bool(_DEVANAGARI.search(asked))
    if PERSON.words.search(asked):
        return _handoff_token(messages) or _signed(PERSON.hindi if hindi else PERSON.english)
    named = "".join(f"{number} " for number in dict.fromkeys(_REFERENCE.findall(asked)))
    for topic in TOPICS:
        if topic.words.search(asked):
            return named + _signed(topic.hindi if hindi else topic.english)
    english, other = UNSURE[zlib.crc32(asked.encode()) % len(UNSURE)]
    return named + _signed(other if hindi else english)


def plain(content: Any) -> str:
    """The text of a chat message, whose content is a text or a list of parts."""
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content or () if part.get("type") == "text")


def _last_said(messages: Sequence[dict[str, Any]]) -> str:
    said = (plain(message.get("content")) for message in reversed(messages) if message["role"] == "user")
    return next(said, "")


def _handoff_token(messages: Sequence[dict[str, Any]]) -> str:
    for message in messages:
        if message["role"] in {"system", "developer"}:
            found = _TOKEN.search(plain(message.get("content")))
            if found:
                return found[0]
    return ""


def _signed(text: str) -> str:
    return f"{text} {SIGN}"
