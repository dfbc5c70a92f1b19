"""The flows that simulated customers meet. Replies name the message they answer, so what reached them tells all."""

from bot.core.book import Book
from bot.core.flow import Ask as Input
from bot.core.flow import AskModelStep, Continue, End, Escalate, Finish, Menu, Reply, Say, Validation
from tests.runtime.books import flow
from tests.runtime.replica import book_of

WORDS = {"say": 1, "twice": 2, "thrice": 3}
"""Commands that are answered at once, and with how many messages."""


def echoed(text: str) -> list[str]:
    """What the customer hears after `text`, when the flows are what answers."""
    return [f"{number} {text}" for number in range(1, WORDS[text.partition(" ")[0]] + 1)]


def support_book(*, quiet_moment: float, session_timeout: float, conversation_timeout: float) -> Book:
    """Echoes, an input with a menu, a question to the model, and the way to a person."""
    says = [Say(step_id=f"say{number}", text={"": f"{number} {{message}}"}) for number in (1, 2, 3)]
    number = Input(
        step_id="number",
        text={"": "number? {message}"},
        variable="number",
        validate=Validation(type="number"),
        retry={"": "digits please, not {message}"},
        attempts=3,
        otherwise=None,
    )
    menu = Menu(
        step_id="menu",
        text={"": "what about {number}?"},
        replies=(
            Reply(id="menu:more", title={"": "More"}, description={}, action=Continue()),
            Reply(id="menu:done", title={"": "Done"}, description={}, action=Finish()),
        ),
        variable="choice",
        retry={"": "please choose"},
        attempts=3,
        otherwise=None,
    )
    return book_of(
        flow("say", *says[:1], pattern="^say"),
        flow("twice", *says[:2], pattern="^twice"),
        flow("thrice", *says, pattern="^thrice"),
        flow("order", number, menu, End(step_id="end", text={"": "{number} it is: {choice}"}), pattern="^order"),
        flow("ask", AskModelStep(step_id="ask", instruction="Be kind."), End(step_id="end", text={}), pattern="^ask"),
        flow("person", Escalate(step_id="out", department="sales", reason="", text={}), pattern="^person"),
        quiet_moment=quiet_moment,
        session_timeout=session_timeout,
        conversation_timeout=conversation_timeout,
    )
