"""What the company's own systems are told of each step: nothing that did not happen, and each thing once."""

from typing import Any, get_args

import msgspec
import pytest

from bot.core.announcements import (
    DATA,
    FIRST_INDEX,
    PING,
    Announcement,
    EventType,
    announcements,
    encode_announcement,
    ping,
)
from bot.core.conversation import step
from bot.core.events import (
    AgentAssigned,
    ConversationResolved,
    Event,
    PreferencesChanged,
    Sender,
    SendFailed,
)
from bot.core.ids import MessageId, new_id
from bot.core.messages import Media, Tap
from bot.core.state import Conversation
from tests.core.starts import DAY, REPLY, RESOLVED, RETURNED, ZOE, closed, in_bot, in_model, in_queue, with_agent
from tests.core.talking import PHONE, Talk

ALL = frozenset(get_args(EventType))


def told(talk: Talk, wanted: frozenset[str] = ALL) -> tuple[Announcement, ...]:
    """What the last step of `talk` announces, stepped again from the beginning."""
    state = Conversation()
    for envelope in talk.history[:-1]:
        state = step(state, envelope, talk.book).conversation
    return announcements(state, talk.history[-1], step(state, talk.history[-1], talk.book), wanted)


def types(talk: Talk) -> list[str]:
    return [one.type for one in told(talk)]


def data_of(talk: Talk, kind: str) -> Any:
    (found,) = [one.data for one in told(talk) if one.type == kind]
    return found


def test_a_first_message_starts_a_conversation_and_is_told_after_that() -> None:
    talk = in_bot()
    assert types(talk) == ["conversation.started", "message.received"]
    message = data_of(talk, "message.received")
    assert (message.conversation_id, message.phone_number, message.user_id) == (talk.state.id, PHONE, None)
    assert (message.text, message.message_type, message.provider_message_id) == ("pick", "text", "wamid.0")
    assert message.unanswered == ""


def test_the_next_message_is_told_alone() -> None:
    talk = in_bot()
    talk.hear(Tap(id="x", title="Rate us"))
    assert types(talk) == ["message.received"]
    assert data_of(talk, "message.received").message_type == "tap"
    talk.hear(Media(kind="image", url="https://example.com/a.png"))
    message = data_of(talk, "message.received")
    assert (message.message_type, message.text) == ("image", "[image]")


def test_a_message_that_the_bot_does_not_answer_says_why() -> None:
    talk = with_agent()
    talk.hear("still there?")
    assert data_of(talk, "message.received").unanswered == "person"


def test_a_conversation_that_ended_in_silence_is_told_before_the_one_that_begins() -> None:
    talk = in_model()
    talk.answered("Hello.")
    before = talk.state.id
    talk.hear("hello again", after=2 * DAY)
    assert types(talk) == ["conversation.resolved", "conversation.started", "message.received"]
    ended = data_of(talk, "conversation.resolved")
    assert (ended.conversation_id, ended.outcome, ended.by) == (before, "expired", "timeout")
    assert ended.seconds == pytest.approx(2 * DAY, rel=0.01)
    assert data_of(talk, "conversation.started").conversation_id == talk.state.id != before


def test_a_person_who_is_asked_for_and_comes_and_is_done_is_told_of() -> None:
    talk = in_queue()
    escalated = data_of(talk, "conversation.escalated")
    assert (escalated.department, escalated.by, types(talk)) == ("sales", "zoe", ["conversation.escalated"])
    talk.apply(ZOE)
    assigned = data_of(talk, "conversation.assigned")
    assert (assigned.agent, assigned.by) == ("zoe", "zoe")
    talk.apply(RESOLVED)
    resolved = data_of(talk, "conversation.resolved")
    assert (resolved.conversation_id, resolved.outcome, resolved.by) == (talk.state.id, "resolved", "zoe")
    assert resolved.seconds > 0


def test_an_agent_who_takes_a_closed_conversation_starts_one() -> None:
    talk = closed()
    talk.apply(AgentAssigned(agent="yan"))
    assert types(talk) == ["conversation.started", "conversation.assigned"]


@pytest.mark.parametrize("event", [REPLY, RETURNED])
def test_what_is_only_said_or_given_back_is_not_told(event: Event) -> None:
    talk = with_agent()
    talk.apply(REPLY)
    talk.apply(event)
    assert types(talk) == []


def test_what_is_refused_is_not_told() -> None:
    talk = closed()
    talk.apply(ConversationResolved(by="zoe"))
    assert (types(talk), talk.last.refusal) == ([], "resolve is not possible while the conversation is closed")


def test_an_opt_out_is_told_once_whoever_wants_it() -> None:
    by_word = in_model()
    by_word.hear("STOP")
    assert data_of(by_word, "customer.opted_out").by == "customer"
    by_word.hear("STOP")
    assert types(by_word) == ["message.received"]
    by_desk = in_bot()
    by_desk.apply(PreferencesChanged(by="zoe", opted_out=True))
    assert data_of(by_desk, "customer.opted_out").by == "zoe"
    by_desk.apply(PreferencesChanged(by="zoe", opted_out=False))
    assert types(by_desk) == []
    by_provider = in_bot()
    by_provider.apply(SendFailed(message_id=MessageId("m"), reason="stopped", code=131050))
    assert types(by_provider) == ["customer.opted_out", "message.failed"]
    assert data_of(by_provider, "customer.opted_out").by == "provider"


def test_a_message_that_never_arrives_is_told_with_its_reason() -> None:
    talk = closed()
    talk.apply(SendFailed(message_id=MessageId("m"), reason="not on WhatsApp", code=131026))
    failed = data_of(talk, "message.failed")
    assert (failed.message_id, failed.reason, failed.code) == ("m", "not on WhatsApp", 131026)


def test_who_is_not_known_by_number_is_told_of_by_user_id() -> None:
    talk = Talk()
    talk.hear("hello", sender=Sender(user_id="IN.26001"), number="919000000001")
    message = data_of(talk, "message.received")
    assert (message.phone_number, message.user_id, message.number) == (None, "IN.26001", "919000000001")
    assert types(talk)[-1] == "conversation.escalated"


def test_a_preference_of_somebody_who_never_wrote_belongs_to_no_conversation() -> None:
    talk = Talk()
    talk.apply(PreferencesChanged(by="zoe", opted_out=True))
    (one,) = told(talk)
    assert (one.conversation, data_of(talk, "customer.opted_out").conversation_id) == (None, None)


def test_only_what_is_wanted_is_told_and_a_repeated_step_tells_it_under_the_same_id() -> None:
    talk = in_bot()
    wanted = frozenset({"message.received"})
    (first,), (second,) = told(talk, wanted), told(talk, wanted)
    assert encode_announcement(first) == encode_announcement(second)
    envelope = talk.history[-1]
    assert first.id == new_id(envelope.at, envelope.seed, FIRST_INDEX)
    assert len({one.id for one in told(talk)}) == 2
    assert told(talk, frozenset()) == ()


def test_the_body_is_json_of_four_fields() -> None:
    talk = in_queue()
    (one,) = told(talk)
    body = msgspec.json.decode(encode_announcement(one))
    assert body.keys() == {"id", "type", "created_at", "data"}
    assert body["created_at"].endswith("Z")
    assert body["data"]["conversation_id"] == one.conversation == talk.state.id


def test_a_ping_belongs_to_nobody() -> None:
    one = ping("e1", at=1_750_000_000.0, seed=7)
    assert (one.type, one.conversation) == (PING, None)
    assert msgspec.json.decode(encode_announcement(one))["data"] == {"webhook_id": "e1"}


def test_every_type_has_its_data() -> None:
    assert set(DATA) == {*ALL, PING}
