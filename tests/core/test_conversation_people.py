"""What people do to a conversation, who is not answered, and the customer's right to be left alone."""

from collections.abc import Callable

import msgspec
import pytest

from bot.core.book import DEFAULT_TEXTS
from bot.core.effects import (
    RecordMessage,
    WriteAudit,
)
from bot.core.events import (
    AgentReplied,
    CustomerMerged,
    EscalationRequested,
    Event,
    PreferencesChanged,
    Sender,
    SendFailed,
)
from bot.core.ids import ConversationId, EffectId, MessageId
from bot.core.messages import Location, Media, Other, Tap, Template, Text
from bot.core.window import WINDOW_SECONDS
from tests.core.starts import (
    IN,
    OUT,
    REPLY,
    RESOLVED,
    RETURNED,
    UNREADABLE,
    ZOE,
    closed,
    in_bot,
    in_model,
    in_queue,
    with_agent,
)
from tests.core.talking import PHONE, Talk

# --- people ----------------------------------------------------------------------------------------------------------


def test_a_person_who_answers_takes_the_conversation() -> None:
    talk = in_model()
    talk.apply(AgentReplied(agent="zoe", content=Text(text="I am Zoe.")))
    assert (talk.state.mode, talk.state.agent, talk.said) == ("agent", "zoe", ["I am Zoe."])
    talk.apply(AgentReplied(agent="zoe", content=Text(text="Hm.")))
    assert not talk.of(WriteAudit)
    talk.apply(REPLY)
    assert talk.state.agent == "yan"


def test_outside_the_window_only_a_template_reaches_the_customer() -> None:
    talk = with_agent()
    refused = talk.apply(REPLY, after=WINDOW_SECONDS + 1)
    assert refused.refusal == "the 24 hour session window is closed: send a template"
    talk.apply(AgentReplied(agent="zoe", content=Template(name="t", language="en")))
    assert talk.said == ["[template t]"]


def test_a_deed_to_a_conversation_that_is_over_is_refused() -> None:
    talk = in_bot()
    old = talk.state.id
    talk.apply(RESOLVED)
    talk.hear("pick")
    for deed in (REPLY, ZOE, RESOLVED, RETURNED, EscalationRequested(by="zoe")):
        done = talk.apply(msgspec.structs.replace(deed, conversation=old))
        assert done.refusal == "this is not the customer's present conversation"
        assert done.effects == ()
    talk.apply(msgspec.structs.replace(ZOE, conversation=ConversationId(talk.state.id)))
    assert talk.state.agent == "zoe"


def test_a_reply_to_a_closed_conversation_opens_the_next() -> None:
    talk = closed()
    old = talk.state.id
    talk.apply(msgspec.structs.replace(REPLY, conversation=old))
    assert talk.state.id != old
    assert (talk.state.mode, talk.said) == ("agent", ["hello"])


def test_a_conversation_given_back_is_the_bots_again() -> None:
    talk = with_agent()
    talk.apply(RETURNED)
    assert (talk.state.mode, talk.state.agent, talk.said) == ("bot", "", [])
    talk.hear("pick")
    assert talk.said == ["What next?"]


def test_a_long_text_of_a_person_is_split() -> None:
    talk = with_agent()
    talk.apply(AgentReplied(agent="zoe", content=Text(text="word " * 2000)))
    assert len(talk.said) == 3


def test_a_merge_with_somebody_a_person_was_talking_to_goes_to_people() -> None:
    talk = Talk()
    talk.apply(CustomerMerged(absorbed=7, held_by_person=True, department="sales"))
    assert (talk.state.mode, talk.state.department, talk.said) == ("queue", "sales", [])


def test_preferences_are_changed_and_the_others_left() -> None:
    talk = in_bot()
    talk.apply(PreferencesChanged(by="zoe", name="Asha", language="hi"))
    assert (talk.state.customer.name, talk.state.customer.phone) == ("Asha", PHONE)
    talk.hear("menu")
    assert talk.said == [DEFAULT_TEXTS["left_flow"]["hi"]]


# --- opting out ------------------------------------------------------------------------------------------------------


def test_stop_is_confirmed_once_and_then_there_is_silence_until_start() -> None:
    talk = in_model()
    talk.hear("STOP")
    assert talk.said == [OUT]
    for text in ("hello?", "menu", "stop", "agent"):
        talk.hear(text)
        assert talk.said == []
        (record,) = talk.of(RecordMessage)
        assert isinstance(record, RecordMessage)
        assert record.unanswered == "opted_out"
    assert talk.apply(REPLY).refusal == "the customer opted out of messages"
    talk.hear("Start")
    assert talk.said == [IN]
    talk.hear("start")
    assert talk.state.asking is not None


@pytest.mark.parametrize("start", [in_queue, with_agent])
def test_stop_and_start_work_while_a_person_holds_the_conversation(start: Callable[[], Talk]) -> None:
    talk = start()
    talk.hear("stop")
    assert (talk.state.customer.opted_out, talk.said) == (True, [OUT])
    assert talk.state.mode == start().state.mode
    talk.hear("start")
    assert (talk.state.customer.opted_out, talk.said) == (False, [IN])
    talk.apply(REPLY)
    assert talk.said == ["hello"]


@pytest.mark.parametrize(
    "event",
    [
        PreferencesChanged(by="zoe", opted_out=True),
        SendFailed(message_id=MessageId("m"), reason="stopped", code=131050),
    ],
)
@pytest.mark.parametrize("asked", [True, False])
def test_whoever_says_so_an_opt_out_voids_what_is_under_way(event: Event, asked: bool) -> None:
    talk = Talk()
    talk.hear("think")
    if asked:
        talk.fire("quiet")
    question = talk.ask_id
    talk.apply(event)
    assert talk.state.customer.opted_out
    talk.answered("too late", ask_id=question or EffectId("none"))
    assert talk.said == []
    assert talk.state.flow is None


def test_a_stop_that_comes_late_is_obeyed_without_a_word() -> None:
    talk = in_model()
    talk.hear("stop", sent_at=talk.at - 7200)
    assert (talk.state.customer.opted_out, talk.said) == (True, [])


# --- who is not answered ---------------------------------------------------------------------------------------------


def unanswered(talk: Talk) -> str:
    (record,) = talk.of(RecordMessage)
    assert isinstance(record, RecordMessage)
    return record.unanswered


def test_an_old_message_is_kept_and_not_answered() -> None:
    talk = Talk()
    talk.hear("hello", sent_at=talk.at - 3601)
    assert (talk.said, unanswered(talk)) == ([], "stale")
    talk.hear("hello", sent_at=talk.at - 3500)
    assert unanswered(talk) == ""


def test_a_customer_without_a_number_is_shown_to_people() -> None:
    talk = Talk()
    talk.hear("hello", sender=Sender(user_id="IN.1"))
    assert (talk.state.mode, talk.said, unanswered(talk)) == ("queue", [], "no_number")
    assert talk.apply(REPLY).refusal == "the customer has no phone number the provider can send to"
    talk.hear("it is me", sender=Sender(phone=PHONE, user_id="IN.1", name="Asha"))
    assert talk.state.customer.phone == PHONE
    talk.apply(REPLY)
    assert talk.said == ["hello"]


@pytest.mark.parametrize("kind", ["reaction", "sticker", "system"])
def test_kinds_that_ask_for_nothing_get_nothing(kind: str) -> None:
    talk = Talk()
    talk.hear(Other(kind=kind))
    assert (talk.said, unanswered(talk)) == ([], kind)


@pytest.mark.parametrize(
    "content",
    [Media(kind="image", url="https://x"), Location(latitude=1.0, longitude=2.0), Other(kind="contacts", text="Anna")],
)
def test_what_cannot_be_read_is_said_to_be_so(content: Media | Location | Other) -> None:
    talk = Talk()
    talk.hear(content)
    assert talk.said == [UNREADABLE]


@pytest.mark.parametrize(
    "content",
    [
        Media(kind="image", url="https://x", caption="pick"),
        Location(latitude=1.0, longitude=2.0, name="pick"),
        Location(latitude=1.0, longitude=2.0, address="pick"),
        Tap(id="pick", title=""),
    ],
)
def test_what_has_words_is_heard_by_them(content: Media | Location | Tap) -> None:
    talk = Talk()
    talk.hear(content)
    assert talk.said == ["What next?"]


# --- delivery --------------------------------------------------------------------------------------------------------


def test_a_failure_long_after_the_customer_wrote_calls_nobody() -> None:
    talk = in_bot()
    talk.apply(SendFailed(message_id=MessageId("m"), reason="gone"), after=WINDOW_SECONDS + 2)
    assert talk.state.mode == "bot"


def test_a_failure_is_a_reason_to_call_a_person_without_a_word() -> None:
    talk = in_bot()
    talk.apply(SendFailed(message_id=MessageId("m"), reason="x" * 900))
    assert talk.said == []
    assert len(talk.state.reason) == 500
