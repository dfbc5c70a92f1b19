"""Silences, sessions, languages, and the wait before the next try."""

import pytest

from bot.core.effects import (
    AskModel,
    CloseConversation,
    StartTimer,
)
from bot.core.events import (
    NoticeRequested,
)
from bot.core.language import written_language
from bot.core.messages import Template
from bot.core.retries import send_delay
from tests.core.starts import DAY, RETURNED, ZOE, in_bot, in_queue, with_agent
from tests.core.talking import PHONE, Talk

# --- time ------------------------------------------------------------------------------------------------------------


def test_a_session_ends_its_flow_after_a_silence() -> None:
    talk = in_bot()
    talk.fire("session")
    assert (talk.state.flow, talk.state.mode) == (None, "bot")
    assert talk.state.timers.keys() == {"conversation"}


def test_a_session_timer_looks_how_long_the_silence_was() -> None:
    talk = in_bot()
    talk.hear("hello", after=1800.0)
    talk.fire("session")
    assert talk.state.flow is not None
    talk.fire("session")
    assert talk.state.flow is None


def test_a_session_timer_leaves_a_person_in_peace() -> None:
    talk = with_agent()
    talk.fire("session")
    assert talk.state.mode == "agent"


def test_after_the_silence_of_a_session_the_next_message_begins_a_new_one() -> None:
    talk = in_bot()
    session, conversation = talk.state.session, talk.state.id
    talk.hear("hello", after=3601.0)
    assert talk.state.session != session
    assert talk.state.id == conversation
    assert talk.state.flow is None


def test_a_conversation_ends_after_a_long_silence() -> None:
    talk = in_bot()
    talk.fire("session")
    talk.fire("conversation")
    assert (talk.state.mode, talk.state.outcome) == ("closed", "expired")
    (close,) = talk.of(CloseConversation)
    assert isinstance(close, CloseConversation)
    assert close.by == "timeout"
    talk.hear("hello")
    assert talk.state.mode == "model"


def test_a_conversation_timer_looks_how_long_the_silence_was() -> None:
    talk = in_bot()
    talk.fire("session")
    talk.hear("hello", after=10.0)
    assert "session" in talk.state.timers
    talk = in_bot()
    talk.apply(ZOE)
    talk.fire("session")
    talk.hear("thanks", after=1000.0)
    talk.apply(RETURNED)
    talk.fire("conversation")
    assert not talk.of(CloseConversation)
    talk.fire("conversation")
    assert talk.of(CloseConversation)


def test_a_conversation_that_waits_for_a_person_never_ends_by_itself() -> None:
    talk = in_queue()
    talk.fire("session")
    for _ in range(3):
        talk.fire("conversation")
        assert talk.state.mode == "queue"
    talk.hear("still there?", after=3 * DAY)
    assert talk.state.mode == "queue"


def test_a_message_after_a_very_long_silence_is_of_a_new_conversation() -> None:
    talk = in_bot()
    old = talk.state.id
    talk.hear("hello", after=2 * DAY)
    assert talk.state.id != old
    assert [type(effect) for effect in talk.last.effects].count(CloseConversation) == 1
    assert talk.state.started_at == talk.at


def test_a_conversation_that_the_company_began_lasts_as_long_as_any() -> None:
    template = Template(name="offer", language="en")
    talk = Talk()
    talk.apply(NoticeRequested(by="api", content=template, phone=PHONE))
    begun, conversation = talk.at, talk.state.id
    talk.hear("yes please", after=600.0)
    assert talk.state.id == conversation
    talk = Talk()
    talk.apply(NoticeRequested(by="api", content=template, phone=PHONE))
    begun = talk.at
    talk.fire("session")
    talk.fire("conversation")
    assert talk.state.mode == "closed"
    assert talk.at - begun >= DAY - 1


# --- language --------------------------------------------------------------------------------------------------------


def test_the_script_a_customer_writes_chooses_their_language() -> None:
    talk = Talk()
    talk.hear("मुझे मदद चाहिए")
    assert talk.state.customer.language == "hi"
    talk.hear("pick")
    assert talk.said == ["आगे क्या?"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("hello", None),
        ("नमस्ते", "hi"),
        ("ok नमस्ते दोस्त", "hi"),
        ("hello dear friend नमस्ते", None),
        ("😀", None),
        ("ابجد", None),
        ("é", None),
    ],
)
def test_the_language_of_a_text(text: str, language: str | None) -> None:
    assert written_language(text, ("en", "hi")) == language


# --- waiting before the next try -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempts", "recipient", "retry_after", "low", "high"),
    [
        (1, False, None, 1.0, 1.25),
        (3, False, None, 4.0, 5.0),
        (50, False, None, 60.0, 75.0),
        (1, True, None, 1.0, 1.25),
        (3, True, None, 16.0, 20.0),
        (50, True, None, 256.0, 320.0),
        (1, False, 30.0, 30.0, 30.0),
        (9, False, 0.1, 60.0, 75.0),
    ],
)
def test_the_wait_before_the_next_try(
    attempts: int, recipient: bool, retry_after: float | None, low: float, high: float
) -> None:
    waits = [send_delay(attempts, recipient=recipient, retry_after=retry_after, chance=chance) for chance in (0.0, 1.0)]
    assert waits == [pytest.approx(low), pytest.approx(high)]


def test_a_timer_is_due_after_its_silence() -> None:
    talk = in_bot()
    (started,) = [e for e in talk.effects if isinstance(e, StartTimer) and e.kind == "session"]
    assert started.due == pytest.approx(talk.at + 3600.0)
    assert not [e for e in talk.effects if isinstance(e, AskModel)]
