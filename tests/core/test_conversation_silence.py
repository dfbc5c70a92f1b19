"""What is said when nobody answers: one reminder for a question, one word when no agent comes. Once, and only while it
is true.
"""

import msgspec
import pytest

from bot.core.book import Book, OpenHours
from bot.core.effects import SendMessage, StartTimer, WriteAudit
from bot.core.events import (
    AgentReplied,
    ConversationResolved,
    CustomerMerged,
    EscalationRequested,
    PreferencesChanged,
    TimerFired,
    TimerKind,
)
from bot.core.flow import Reminder
from bot.core.ids import TimerId
from bot.core.messages import Other, Text
from bot.core.state import Conversation, decode_conversation
from tests.core.starts import NOBODY, REMINDER, REPLY, RETURNED, ZOE
from tests.core.talking import FLOWS, MONDAY, NAME, Talk, book, flow, words

RETURNING = msgspec.structs.replace(NOBODY, then="return_to_bot")
OWN = Reminder(after=60.0, text={"": "Only your name, {user_name}. You wrote {message}{name}."})


def asked(rules: Book | None = None, word: str = "pick") -> Talk:
    """Asha was asked something by a flow."""
    talk = Talk(rules or book(remind=REMINDER))
    talk.apply(PreferencesChanged(by="zoe", name="Asha"))
    talk.hear(word)
    return talk


def queued(rules: Book | None = None) -> Talk:
    """Asha waits for a person."""
    talk = Talk(rules or book(no_agent=NOBODY))
    talk.apply(PreferencesChanged(by="zoe", name="Asha"))
    talk.hear("agent")
    assert talk.state.mode == "queue"
    return talk


def due(talk: Talk, kind: TimerKind) -> float:
    """Seconds from now until the running timer of this kind is due."""
    timer = talk.state.timers[kind]
    return next(e.due for e in talk.effects if isinstance(e, StartTimer) and e.id == timer) - talk.at


def audited(talk: Talk) -> list[tuple[str, str]]:
    return [(effect.action, effect.by) for effect in talk.last.effects if isinstance(effect, WriteAudit)]


# --- reminders -------------------------------------------------------------------------------------------------------


def test_a_question_without_an_answer_is_recalled_once_and_then_the_session_ends() -> None:
    talk = asked()
    assert due(talk, "reminder") == pytest.approx(300.0)
    talk.fire("reminder")
    assert talk.said == ["Still there, Asha?"]
    assert talk.state.flow is not None
    assert "reminder" not in talk.state.timers
    talk.fire("session")
    assert talk.said == []
    assert talk.state.flow is None


def test_a_question_is_answered_after_its_reminder_as_before_it() -> None:
    talk = asked()
    talk.fire("reminder")
    talk.hear("1")
    assert talk.said == ["On we go.", "Bye."]
    assert "reminder" not in talk.state.timers


def test_without_a_rule_nobody_is_reminded() -> None:
    assert "reminder" not in asked(book()).state.timers


def test_a_reminder_speaks_the_language_of_the_customer() -> None:
    talk = asked()
    talk.apply(PreferencesChanged(by="zoe", language="hi"))
    talk.fire("reminder")
    assert talk.said == ["क्या आप यहाँ हैं?"]
    talk = asked(word="speak")
    talk.fire("reminder")
    assert talk.said == ["क्या आप यहाँ हैं?"]


def test_each_question_has_a_reminder_of_its_own() -> None:
    talk = asked()
    talk.fire("reminder")
    talk.hear("what?")
    assert talk.said == ["Please choose."]
    assert due(talk, "reminder") == pytest.approx(300.0)
    talk.fire("reminder")
    assert talk.said == ["Still there, Asha?"]


def test_a_step_may_have_its_own_reminder_or_none() -> None:
    step = msgspec.structs.replace(NAME, remind=OWN)
    own = flow("name", step, triggers=words("name"))
    talk = asked(book(own, remind=REMINDER), "name")
    assert due(talk, "reminder") == pytest.approx(60.0)
    talk.fire("reminder")
    assert talk.said == ["Only your name, Asha. You wrote ."]
    silent = flow("name", msgspec.structs.replace(NAME, remind="none"), triggers=words("name"))
    assert "reminder" not in asked(book(silent, remind=REMINDER), "name").state.timers


@pytest.mark.parametrize("word", ["1", "menu", "agent", "STOP", "3"])
def test_an_answer_or_a_word_of_its_own_stops_the_reminder(word: str) -> None:
    talk = asked()
    timer = talk.state.timers["reminder"]
    talk.hear(word)
    talk.apply(TimerFired(timer_id=timer, kind="reminder"), after=300.0)
    assert (talk.said, talk.last.refusal) == ([], "the timer was stopped")


@pytest.mark.parametrize(
    "event",
    [
        ZOE,
        REPLY,
        EscalationRequested(by="zoe"),
        ConversationResolved(by="zoe"),
        PreferencesChanged(by="z", opted_out=True),
    ],
    ids=lambda event: type(event).__name__,
)
def test_whoever_takes_the_conversation_stops_the_reminder(event: object) -> None:
    talk = asked()
    talk.apply(event)  # type: ignore[arg-type]
    assert "reminder" not in talk.state.timers


def test_what_asks_for_no_answer_leaves_the_reminder() -> None:
    talk = asked()
    timer = talk.state.timers["reminder"]
    talk.hear(Other(kind="reaction", text="👍"))
    assert talk.state.timers["reminder"] == timer


def test_a_flow_that_waits_for_a_model_reminds_nobody() -> None:
    assert "reminder" not in asked(word="think").state.timers


def test_a_reminder_that_comes_when_the_session_is_over_is_not_said() -> None:
    talk = asked()
    talk.apply(TimerFired(timer_id=talk.state.timers["reminder"], kind="reminder"), after=3600.0)
    assert (talk.said, talk.last.refusal) == ([], "the session is over")


def test_a_reminder_that_the_rules_have_no_more_is_not_said() -> None:
    talk = asked()
    talk.book = book()
    talk.fire("reminder")
    assert (talk.said, talk.last.refusal) == ([], "there is no reminder for this question any more")


def test_outside_the_session_window_nobody_is_reminded() -> None:
    talk = asked(book(remind=REMINDER, session_timeout=200_000.0, conversation_timeout=300_000.0))
    talk.apply(TimerFired(timer_id=talk.state.timers["reminder"], kind="reminder"), after=86_400.0)
    assert talk.said == []
    assert "session window is closed" in talk.last.refusal


# --- no agent in time ------------------------------------------------------------------------------------------------


def test_when_nobody_takes_a_conversation_the_customer_hears_so_once() -> None:
    talk = queued()
    assert due(talk, "no_agent") == pytest.approx(600.0)
    talk.fire("no_agent")
    assert talk.said == ["Nobody is free yet, Asha."]
    assert [effect.kind for effect in talk.of(SendMessage) if isinstance(effect, SendMessage)] == ["system"]
    assert audited(talk) == [("no_agent_in_time", "bot")]
    assert talk.state.mode == "queue"
    talk.apply(EscalationRequested(by="zoe", department="sales"))
    talk.hear("hello?")
    assert "no_agent" not in talk.state.timers


def test_without_a_rule_the_queue_is_silent() -> None:
    assert "no_agent" not in queued(book()).state.timers


def test_the_bot_may_take_over_when_nobody_comes() -> None:
    talk = queued(book(no_agent=RETURNING))
    talk.fire("no_agent")
    assert talk.said == ["Nobody is free yet, Asha."]
    assert audited(talk) == [("no_agent_in_time", "bot"), ("returned_to_bot", "timeout")]
    assert talk.state.mode == "bot"
    talk.hear("pick")
    assert talk.said == ["What next?"]


@pytest.mark.parametrize(
    "event", [ZOE, REPLY, RETURNED, ConversationResolved(by="zoe")], ids=lambda e: type(e).__name__
)
def test_whoever_takes_or_ends_it_stops_the_waiting(event: object) -> None:
    talk = queued()
    timer = talk.state.timers["no_agent"]
    talk.apply(event)  # type: ignore[arg-type]
    assert "no_agent" not in talk.state.timers
    talk.apply(TimerFired(timer_id=timer, kind="no_agent"), after=600.0)
    assert (talk.said, talk.last.refusal) == ([], "the timer was stopped")


def test_another_department_does_not_make_the_waiting_longer() -> None:
    talk = queued()
    talk.apply(EscalationRequested(by="zoe", department="sales"), after=500.0)
    assert due(talk, "no_agent") == pytest.approx(100.0)


def test_who_is_put_back_in_the_queue_waits_anew() -> None:
    talk = queued()
    talk.fire("no_agent")
    talk.apply(ZOE)
    talk.apply(EscalationRequested(by="zoe", department="sales"))
    assert due(talk, "no_agent") == pytest.approx(600.0)


def test_outside_business_hours_the_time_begins_with_the_next_opening() -> None:
    hours = OpenHours(days={0: ((9 * 60, 18 * 60),)})
    talk = queued(book(no_agent=NOBODY, hours=hours))
    assert talk.at + due(talk, "no_agent") == MONDAY + 4 * 3600.0 + 600.0
    never = OpenHours(days={0: ()})
    assert "no_agent" not in queued(book(no_agent=NOBODY, hours=never)).state.timers


def test_who_cannot_be_told_stays_in_the_queue_for_people_to_see() -> None:
    talk = queued(book(no_agent=RETURNING))
    talk.hear("STOP")
    talk.fire("no_agent")
    assert (talk.said, talk.state.mode) == ([], "queue")
    assert audited(talk) == [("no_agent_in_time", "bot")]
    assert talk.last.refusal == "the customer opted out of messages"


def test_a_rule_that_is_gone_by_then_has_no_effect() -> None:
    talk = queued()
    talk.book = book()
    talk.fire("no_agent")
    assert (talk.said, audited(talk)) == ([], [])


def test_a_conversation_that_comes_into_the_queue_by_a_merge_waits_as_well() -> None:
    talk = Talk(book(no_agent=NOBODY))
    talk.hear("hello")
    talk.apply(CustomerMerged(absorbed=7, held_by_person=True))
    talk.apply(AgentReplied(agent="yan", content=Text(text="hello")))
    assert "no_agent" not in talk.state.timers
    talk = Talk(book(no_agent=NOBODY))
    talk.apply(CustomerMerged(absorbed=7, held_by_person=True))
    assert due(talk, "no_agent") == pytest.approx(600.0)


# --- what was stored before ------------------------------------------------------------------------------------------


def test_a_state_that_was_stored_before_there_were_reminders_goes_on() -> None:
    before = {
        "mode": "bot",
        "id": "c",
        "session": "s",
        "timers": {"session": "t"},
        "flow": {"flow_id": "pick", "digest": "digest-pick", "pc": 0, "step_id": "pick"},
    }
    state = decode_conversation(msgspec.msgpack.encode(before))
    assert state.timers == {"session": TimerId("t")}
    assert isinstance(state, Conversation)
    talk = asked(book(*FLOWS))
    talk.book = book(remind=REMINDER)
    talk.hear("what?")
    assert "reminder" in talk.state.timers
