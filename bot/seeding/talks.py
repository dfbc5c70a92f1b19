"""What is said in a conversation, as lines with pauses: a few kinds of talks, in English and Hindi, with details drawn.

The texts are those of the flows that come with the service where a flow speaks, and invented where people or models do.
"""

from collections.abc import Sequence
from random import Random
from typing import Final, Literal

from bot.core.messages import Buttons, Choice, Inbound, Outbound, Tap, Text, Value

Speaker = Literal["customer", "flow", "model", "system", "agent"]
Ending = Literal["silence", "resolved", "queue"]
"""`silence`: the conversation ends by itself a day later; `resolved`: by a person; `queue`: nobody took it yet."""

AGENTS: Final = ("asha", "daniel", "meera", "imran", "kavya")
DEPARTMENTS: Final = ("delivery", "payments", "refunds", "general")


class Line(Value, frozen=True, kw_only=True):
    """`pause`: seconds after the line before."""

    by: Speaker
    content: Inbound | Outbound
    pause: float


class Talk(Value, frozen=True, kw_only=True):
    """`escalated`: the place of the line after which a person has it, -1 for never. `reason` is the customer's.

    `kept`: seconds for which a person keeps it after the last line.
    """

    lines: tuple[Line, ...]
    ending: Ending = "silence"
    escalated: int = -1
    department: str = ""
    reason: str = ""
    agent: str = ""
    kept: float = 0.0
    score: int | None = None


class _Script:
    """A talk in the making. Texts come as pairs: English, Hindi."""

    def __init__(self, chance: Random, language: str) -> None:
        self._chance = chance
        self._hindi = language == "hi"
        self.lines: list[Line] = []

    def text(self, pair: tuple[str, str]) -> str:
        return pair[self._hindi]

    def asks(self, *pair: str) -> None:
        self._add("customer", Text(text=self.text((pair[0], pair[-1]))), self._chance.lognormvariate(3.2, 0.8))

    def taps(self, *pair: str) -> None:
        title = self.text((pair[0], pair[-1]))
        self._add(
            "customer", Tap(id=pair[0].lower().replace(" ", "_"), title=title), self._chance.lognormvariate(2.4, 0.7)
        )

    def flow(self, *pair: str, choices: Sequence[tuple[str, str]] = ()) -> None:
        text = self.text((pair[0], pair[-1]))
        buttons = tuple(Choice(id=choice[0].lower().replace(" ", "_"), title=self.text(choice)) for choice in choices)
        self._add("flow", Buttons(text=text, buttons=buttons) if buttons else Text(text=text), self._quick())

    def system(self, *pair: str) -> None:
        self._add("system", Text(text=self.text((pair[0], pair[-1]))), self._quick())

    def model(self, *pair: str) -> None:
        self._add("model", Text(text=self.text((pair[0], pair[-1]))), self._chance.lognormvariate(0.6, 0.5))

    def agent(self, *pair: str) -> None:
        self._add("agent", Text(text=self.text((pair[0], pair[-1]))), self._chance.lognormvariate(5.0, 0.9))

    def _quick(self) -> float:
        return self._chance.uniform(0.2, 0.9)

    def _add(self, by: Speaker, content: Inbound | Outbound, pause: float) -> None:
        self.lines.append(Line(by=by, content=content, pause=pause))


_MENU: Final = (("My order", "मेरा ऑर्डर"), ("Ask a question", "प्रश्न पूछें"), ("More", "और विकल्प"))
_QUESTIONS: Final = (
    (
        ("Do you deliver on Sundays?", "क्या आप रविवार को डिलीवरी करते हैं?"),
        ("We deliver Monday to Saturday. Sunday orders leave on Monday morning.",
         "हम सोमवार से शनिवार तक डिलीवरी करते हैं। रविवार के ऑर्डर सोमवार सुबह निकलते हैं।"),
    ),
    (
        ("Can I pay cash on delivery?", "क्या कैश ऑन डिलीवरी मिलेगी?"),
        ("Yes, up to ₹5,000. Please keep the exact amount ready.", "हाँ, ₹5,000 तक। कृपया सही राशि तैयार रखें।"),
    ),
    (
        ("How long do I have to return shoes?", "जूते कितने दिन में लौटा सकते हैं?"),
        ("You have ten days. They should be unworn and in their box.", "दस दिन में। जूते पहने न हों और डिब्बे में हों।"),
    ),
    (
        ("Is the blue kurta back in size L?", "क्या नीला कुर्ता L साइज़ में आ गया?"),
        ("I cannot see the stock from here. Shall I connect you with a colleague?",
         "मैं यहाँ से स्टॉक नहीं देख सकता। क्या मैं आपको सहकर्मी से जोड़ूँ?"),
    ),
    (
        ("My coupon does not work", "मेरा कूपन काम नहीं कर रहा"),
        ("Coupons count once for each number and not on sale items. Which code did you enter?",
         "कूपन हर नंबर पर एक बार चलता है और सेल के सामान पर नहीं। आपने कौन सा कोड डाला?"),
    ),
)  # fmt: skip
_TROUBLES: Final = (
    ("The parcel was open and the charger is missing", "पार्सल खुला था और चार्जर नहीं है", "delivery"),
    ("I was charged twice for the same order", "एक ही ऑर्डर के दो बार पैसे कट गए", "payments"),
    ("Refund has not come for twelve days", "बारह दिन से रिफंड नहीं आया", "refunds"),
    ("I got the wrong size again", "फिर से गलत साइज़ आया", "delivery"),
    ("The invoice shows a wrong GST number", "बिल में GST नंबर गलत है", "general"),
)
_ANSWERS: Final = (
    ("I am sorry about that. I have looked at it and a new one leaves today.",
     "क्षमा करें। मैंने देखा है, नया आज ही भेजा जाएगा।"),
    ("Thank you for waiting. The amount goes back to your account within three days.",
     "प्रतीक्षा के लिए धन्यवाद। राशि तीन दिन में आपके खाते में आ जाएगी।"),
    ("That was our mistake. It is corrected now.", "यह हमारी गलती थी। अब ठीक कर दिया है।"),
)  # fmt: skip
_THANKS: Final = (("Thank you!", "धन्यवाद!"), ("ok thanks", "ठीक है, धन्यवाद"), ("great 👍", "बहुत बढ़िया 👍"))


def talk(chance: Random, language: str) -> Talk:
    """One talk of a kind drawn by how often such talks happen."""
    kind = chance.choices((_order, _question, _trouble, _left), weights=(34, 34, 20, 12))[0]
    return kind(chance, _Script(chance, language))


def farewell(chance: Random, language: str) -> Talk:
    """How somebody opts out."""
    script = _Script(chance, language)
    script.asks("STOP", "रोकें")
    script.system("You get no more messages from us. Write START to hear from us again.",
                  "अब आपको हमारे संदेश नहीं मिलेंगे। फिर से पाने के लिए START लिखें।")  # fmt: skip
    return Talk(lines=tuple(script.lines))


def _greeted(script: _Script) -> None:
    script.asks("Hi", "नमस्ते")
    script.flow("Hello! 👋 Welcome to our support.", "नमस्ते! 👋 हमारी सहायता सेवा में आपका स्वागत है।")
    script.flow("What can we do for you?", "हम आपके लिए क्या कर सकते हैं?", choices=_MENU)


def _order(chance: Random, script: _Script) -> Talk:
    number = str(chance.randrange(100_000, 1_000_000))
    _greeted(script)
    script.taps("My order", "मेरा ऑर्डर")
    script.flow("What is your order number? It has six digits, for example 482913.",
                "आपका ऑर्डर नंबर क्या है? उसमें छह अंक होते हैं, जैसे 482913।")  # fmt: skip
    if chance.random() < 0.15:
        script.asks("where do I find it", "यह कहाँ मिलेगा")
        script.flow(
            "That does not look like an order number. Six digits, please.", "यह ऑर्डर नंबर नहीं लगता। कृपया छह अंक लिखें।"
        )
    script.asks(number)
    script.flow(f"Thank you. What about order {number}?", f"धन्यवाद। ऑर्डर {number} के बारे में क्या जानना है?",
                choices=(("Delivery", "डिलीवरी"), ("Refund", "रिफंड"), ("Invoice", "बिल")))  # fmt: skip
    script.taps("Delivery", "डिलीवरी")
    script.flow("Orders arrive within five working days.", "ऑर्डर पाँच कार्य दिवसों में पहुँचते हैं।")
    script.flow(
        "Anything else? Write MENU for the main menu, or simply ask.", "कुछ और? मुख्य मेनू के लिए MENU लिखें, या बस पूछें।"
    )
    return Talk(lines=tuple(script.lines), score=chance.choice((None, None, 4, 5)))


def _question(chance: Random, script: _Script) -> Talk:
    for question, answer in chance.sample(_QUESTIONS, chance.choices((1, 2, 3), weights=(6, 3, 1))[0]):
        script.asks(*question)
        script.model(*answer)
    return Talk(lines=tuple(script.lines), score=chance.choice((None, None, None, 3, 4, 5)))


def _trouble(chance: Random, script: _Script) -> Talk:
    english, hindi, department = chance.choice(_TROUBLES)
    reason = script.text((english, hindi))
    script.asks("I want to complain", "मुझे शिकायत करनी है")
    script.flow("I will connect you with a colleague. What is it about?",
                "मैं आपको हमारे सहकर्मी से जोड़ता हूँ। बात किस बारे में है?",
                choices=(("Delivery", "डिलीवरी"), ("Payment", "भुगतान"), ("Something else", "कुछ और")))  # fmt: skip
    script.taps("Something else", "कुछ और")
    script.flow("Please tell us in one message what happened, so that nobody has to ask you again.",
                "कृपया एक संदेश में बताएँ कि क्या हुआ, ताकि आपसे दोबारा न पूछना पड़े।")  # fmt: skip
    script.asks(english, hindi)
    script.system("Thank you. A colleague will answer you here.", "धन्यवाद। हमारे सहकर्मी आपको यहीं उत्तर देंगे।")
    escalated = len(script.lines) - 1
    if chance.random() < 0.12:
        return Talk(
            lines=tuple(script.lines), ending="queue", escalated=escalated, department=department, reason=reason
        )
    script.agent(*chance.choice(_ANSWERS))
    script.asks(*chance.choice(_THANKS))
    score = chance.choices((None, 1, 2, 3, 4, 5), weights=(40, 4, 4, 10, 20, 22))[0]
    return Talk(
        lines=tuple(script.lines), ending="resolved", escalated=escalated, department=department, reason=reason,
        agent=chance.choice(AGENTS), kept=chance.lognormvariate(9.0, 1.5), score=score,
    )  # fmt: skip


def _left(_: Random, script: _Script) -> Talk:
    """The customer looked at the menu and went away."""
    _greeted(script)
    return Talk(lines=tuple(script.lines))
