"""What comes of each event, in each mode, one example each; `tests.core.talking` checks what must always be so."""

from collections.abc import Callable

import pytest

from bot.core.book import DEFAULT_TEXTS, OpenHours
from bot.core.effects import (
    RecordMessage,
    SendMessage,
    WithholdMessage,
)
from bot.core.events import (
    CustomerMerged,
    EscalationRequested,
    Event,
    ModelAnswered,
    ModelFailed,
    ModelUse,
    NoticeRequested,
    PreferencesChanged,
    SendFailed,
    TimerFired,
)
from bot.core.hearing import MENU_TAP, PERSON_TAP
from bot.core.ids import EffectId, MessageId, TimerId
from bot.core.messages import Buttons, Tap, Text
from bot.core.modes import Mode
from tests.core.starts import (
    APOLOGY,
    HANDED_OVER,
    LEFT,
    REPLY,
    RESOLVED,
    RETURNED,
    ZOE,
    closed,
    in_bot,
    in_model,
    in_queue,
    with_agent,
)
from tests.core.talking import FLOWS, MONDAY, WELCOME, Talk, book

MODES: dict[Mode, Callable[[], Talk]] = {
    "closed": closed,
    "bot": in_bot,
    "model": in_model,
    "queue": in_queue,
    "agent": with_agent,
}
NOTICE = NoticeRequested(by="api", content=Text(text="news"))
USE = ModelUse(model="m", cost_usd=0.5, attempts=1)
LATE_ANSWER = ModelAnswered(ask_id=EffectId("old"), text="too late", use=USE)
DEED_TABLE: list[tuple[Event, dict[Mode, tuple[Mode, str]]]] = [
    (
        REPLY,
        dict.fromkeys(MODES, ("agent", "")),
    ),
    (ZOE, dict.fromkeys(MODES, ("agent", ""))),
    (
        EscalationRequested(by="zoe"),
        {
            "closed": ("closed", "the conversation is closed"),
            "bot": ("queue", ""),
            "model": ("queue", ""),
            "queue": ("queue", ""),
            "agent": ("queue", ""),
        },
    ),
    (
        RESOLVED,
        {
            "closed": ("closed", "resolve is not possible while the conversation is closed"),
            "bot": ("closed", ""),
            "model": ("closed", ""),
            "queue": ("closed", ""),
            "agent": ("closed", ""),
        },
    ),
    (
        RETURNED,
        {
            "closed": ("closed", "return is not possible while the conversation is closed"),
            "bot": ("bot", "return is not possible while the conversation is bot"),
            "model": ("model", "return is not possible while the conversation is model"),
            "queue": ("bot", ""),
            "agent": ("bot", ""),
        },
    ),
    (
        NOTICE,
        {
            "closed": ("bot", ""),
            "bot": ("bot", ""),
            "model": ("model", ""),
            "queue": ("queue", ""),
            "agent": ("agent", ""),
        },
    ),
    (PreferencesChanged(by="zoe", name="Asha"), {mode: (mode, "") for mode in MODES}),
    (CustomerMerged(absorbed=7), {mode: (mode, "") for mode in MODES}),
    (
        CustomerMerged(absorbed=7, held_by_person=True, department="sales"),
        {mode: ("agent" if mode == "agent" else "queue", "") for mode in MODES},
    ),
    (
        SendFailed(message_id=MessageId("m"), reason="gone", code=131026),
        {
            "closed": ("closed", ""),
            "bot": ("queue", ""),
            "model": ("queue", ""),
            "queue": ("queue", ""),
            "agent": ("agent", ""),
        },
    ),
    (SendFailed(message_id=MessageId("m"), reason="stop", code=131050), {mode: (mode, "") for mode in MODES}),
    (LATE_ANSWER, {mode: (mode, "the question is void") for mode in MODES}),
    (ModelFailed(ask_id=EffectId("old"), failure="timeout"), {mode: (mode, "the question is void") for mode in MODES}),
    (TimerFired(timer_id=TimerId("t"), kind="session"), {mode: (mode, "the timer was stopped") for mode in MODES}),
]
TABLE = [(event, mode, *outcome) for event, outcomes in DEED_TABLE for mode, outcome in outcomes.items()]


@pytest.mark.parametrize(
    ("event", "mode", "then", "refusal"), TABLE, ids=[f"{type(row[0]).__name__}-{row[1]}" for row in TABLE]
)
def test_every_event_in_every_mode(event: Event, mode: Mode, then: Mode, refusal: str) -> None:
    talk = MODES[mode]()
    assert talk.state.mode == mode
    done = talk.apply(event)
    assert (talk.state.mode, done.refusal) == (then, refusal)


@pytest.mark.parametrize(
    ("mode", "then"),
    [("closed", "model"), ("bot", "bot"), ("model", "model"), ("queue", "queue"), ("agent", "agent")],
)
def test_a_message_in_every_mode(mode: Mode, then: Mode) -> None:
    talk = MODES[mode]()
    talk.hear("I wonder")
    assert talk.state.mode == then
    (record,) = talk.of(RecordMessage)
    assert isinstance(record, RecordMessage)
    assert record.unanswered == ("person" if mode in {"queue", "agent"} else "")


# --- the quiet moment and the model ----------------------------------------------------------------------------------


def test_a_burst_of_messages_is_one_question() -> None:
    talk = Talk()
    for text in ("I ordered", "two shoes", "and got one"):
        talk.hear(text, after=0.4)
        assert not talk.asked
    talk.fire("quiet")
    (asked,) = talk.asked
    assert [turn.text for turn in asked.turns] == ["I ordered", "two shoes", "and got one"]
    assert asked.caused_at == pytest.approx(MONDAY + 0.4)
    assert talk.state.mode == "model"


def test_a_burst_that_does_not_end_is_asked_about_all_the_same() -> None:
    talk = Talk(book(quiet_restarts=3))
    for number in range(5):
        talk.hear(f"and {number}", after=0.5)
    assert len(talk.asked) == 1
    assert "quiet" not in talk.state.timers


def test_without_a_quiet_moment_the_question_goes_at_once() -> None:
    talk = Talk(book(quiet_moment=0.0))
    talk.hear("why?")
    assert len(talk.asked) == 1


def test_a_message_while_the_model_thinks_makes_the_question_anew() -> None:
    talk = in_model()
    first = talk.ask_id
    talk.hear("and also")
    done = talk.answered("to the first", ask_id=first)
    assert done.refusal == "the question is void"
    assert talk.said == []
    talk.fire("quiet")
    talk.answered("to both")
    assert talk.sent == ["to both"]
    assert talk.asked[1].spent_usd == pytest.approx(0.01)
    assert talk.asked[1].caused_at == talk.asked[0].caused_at


def test_an_answer_is_sent_as_what_the_model_said() -> None:
    talk = in_model()
    done = talk.answered("**Yes**, we do.", cost=0.02)
    (send,) = talk.of(SendMessage)
    assert isinstance(send, SendMessage)
    assert (send.kind, send.use and send.use.cost_usd) == ("model", 0.02)
    assert send.content == Text(text="*Yes*, we do.")
    assert done.conversation.spent_usd == 0.02
    assert done.conversation.asking is None


def test_a_long_answer_costs_once() -> None:
    talk = in_model()
    talk.answered("A sentence that goes on. " * 400)
    sends = [send for send in talk.of(SendMessage) if isinstance(send, SendMessage)]
    assert len(sends) > 1
    assert [send.use is not None for send in sends] == [True] + [False] * (len(sends) - 1)


@pytest.mark.parametrize("text", ["[[HANDOFF]]", "Let me get somebody. [[HANDOFF]]", "", "   "])
def test_a_model_can_call_a_person_and_silence_is_such_a_call(text: str) -> None:
    talk = in_model()
    talk.answered(text)
    assert talk.state.mode == "queue"
    assert talk.said[-1] == HANDED_OVER
    assert talk.said[:-1] == (["Let me get somebody."] if "Let" in text else [])


@pytest.mark.parametrize("failure", ["unavailable", "account", "budget", "invalid", "timeout"])
def test_when_no_model_answers_a_person_is_offered(failure: str) -> None:
    talk = in_model()
    talk.failed(failure)  # type: ignore[arg-type]
    assert talk.said == [APOLOGY]
    (send,) = talk.of(SendMessage)
    assert isinstance(send, SendMessage)
    assert isinstance(send.content, Buttons)
    assert [button.id for button in send.content.buttons] == [PERSON_TAP, MENU_TAP]
    talk.hear(Tap(id=PERSON_TAP, title="Talk to a person"))
    assert talk.state.mode == "queue"


def test_a_model_that_refuses_hands_over() -> None:
    talk = in_model()
    talk.failed("refused")
    assert talk.state.mode == "queue"
    assert talk.said == [HANDED_OVER]


def test_an_answer_that_comes_after_a_person_took_over_is_kept_and_not_sent() -> None:
    talk = in_model()
    asked = talk.ask_id
    talk.apply(ZOE)
    done = talk.answered("my answer", ask_id=asked)
    assert done.refusal == "the question is void"
    assert talk.said == []
    (kept,) = talk.of(WithholdMessage)
    assert isinstance(kept, WithholdMessage)
    assert kept.text == "my answer"
    assert talk.state.spent_usd == 0.01


def test_an_answer_after_the_end_is_void() -> None:
    talk = in_model()
    asked = talk.ask_id
    talk.apply(RESOLVED)
    talk.answered("late", ask_id=asked)
    assert talk.last.effects == ()


# --- flows -----------------------------------------------------------------------------------------------------------


def test_a_flow_goes_on_with_what_the_customer_chooses() -> None:
    talk = in_bot()
    assert talk.said == ["What next?"]
    talk.hear(Tap(id="pick:go", title="Go on"))
    assert talk.said == ["On we go.", "Bye."]
    assert talk.state.flow is None


def test_a_flow_that_waits_for_a_model_goes_on_with_its_answer() -> None:
    talk = Talk()
    talk.hear("think of a number")
    assert talk.state.flow is not None
    talk.fire("quiet")
    assert "Answer think of a number." in talk.asked[0].system
    talk.answered("Seven.")
    assert talk.said == ["Seven.", "I said: Seven."]
    assert talk.last.conversation.flow is None
    assert talk.last.conversation.mode == "bot"


def test_a_message_while_a_flow_waits_for_a_model_belongs_to_the_question() -> None:
    talk = Talk()
    talk.hear("think")
    talk.fire("quiet")
    talk.hear("pick a big one")
    talk.fire("quiet")
    assert talk.state.mode == "bot"
    assert "Answer think." in talk.asked[1].system
    talk.answered("Nine.")
    assert talk.said == ["Nine.", "I said: Nine."]


def test_a_flow_whose_model_fails_is_left() -> None:
    talk = Talk()
    talk.hear("think")
    talk.fire("quiet")
    talk.failed("timeout")
    assert talk.said == [APOLOGY]
    assert talk.state.flow is None


def test_a_flow_can_hand_over_in_words_of_its_own() -> None:
    talk = Talk()
    talk.hear("person please")
    assert talk.said == ["Somebody comes."]
    assert (talk.state.department, talk.state.reason) == ("sales", "they want person please")


def test_a_flow_that_runs_in_circles_is_stopped_and_a_person_offered() -> None:
    talk = Talk()
    done = talk.hear("circle")
    assert done.counted == ("over_budget",)
    assert talk.said == [APOLOGY]
    assert talk.state.flow is None


def test_a_flow_can_choose_the_customers_language() -> None:
    talk = Talk()
    talk.hear("speak to me")
    assert talk.said == ["आगे क्या?"]
    assert talk.state.customer.language == "hi"


def test_a_condition_that_cannot_be_evaluated_is_counted() -> None:
    talk = Talk()
    done = talk.hear("unsure")
    assert (talk.said, done.counted) == (["So be it."], ("condition_fault",))


def test_a_flow_starts_over_a_question_to_the_model() -> None:
    talk = in_model()
    talk.hear("pick")
    assert (talk.state.mode, talk.state.asking) == ("bot", None)
    assert talk.said == ["What next?"]


def test_the_first_message_of_a_session_is_greeted_once() -> None:
    talk = Talk(book(*FLOWS, WELCOME))
    talk.hear("good day")
    assert talk.said == ["Welcome!"]
    talk.hear("good day", after=0.0)
    assert talk.said == []
    talk.hear("good day again", after=4000.0)
    assert talk.said == ["Welcome!"]


def test_two_messages_of_the_same_moment_or_of_clocks_that_differ_are_greeted_once() -> None:
    for after in (0.0, -0.4):
        talk = Talk(book(*FLOWS, WELCOME))
        for _ in range(3):
            talk.hear("good day", after=after)
        assert talk.sent == ["Welcome!"]


# --- interrupts ------------------------------------------------------------------------------------------------------


def test_menu_leaves_the_flow() -> None:
    talk = in_bot()
    talk.hear("MENU")
    assert talk.said == [LEFT]
    assert talk.state.flow is None


def test_menu_begins_the_flow_for_first_messages_where_there_is_one() -> None:
    talk = Talk(book(*FLOWS, WELCOME))
    talk.hear("pick")
    talk.hear(Tap(id=MENU_TAP, title="Main menu"))
    assert talk.said == ["Welcome!"]


@pytest.mark.parametrize("said", [Text(text="agent"), Text(text="Human!"), Tap(id=PERSON_TAP, title="x")])
def test_agent_hands_over_from_anywhere(said: Text | Tap) -> None:
    for start in (in_model, Talk):
        talk = start()
        talk.hear(said)
        assert (talk.state.mode, talk.said) == ("queue", [HANDED_OVER])


def test_a_choice_that_the_waiting_step_offers_wins_over_an_interrupt_of_the_same_word() -> None:
    talk = in_bot()
    talk.hear("agent")
    assert (talk.state.mode, talk.state.department, talk.state.reason) == ("queue", "sales", "chosen")


@pytest.mark.parametrize("said", [Text(text="stop"), Tap(id="pick:stop", title="Stop")])
def test_a_choice_called_stop_is_no_opt_out(said: Text | Tap) -> None:
    talk = in_bot()
    talk.hear(said)
    assert not talk.state.customer.opted_out
    assert talk.said == ["Bye."]


def test_outside_business_hours_a_hand_over_says_so() -> None:
    talk = Talk(book(hours=OpenHours(days={2: ((540, 1080),)})))
    talk.hear("agent")
    assert talk.said == [DEFAULT_TEXTS["outside_hours"]["en"]]
