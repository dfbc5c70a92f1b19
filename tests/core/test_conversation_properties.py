"""Whatever happens in whatever order, what must always be so is so: `tests.core.talking` looks after every step."""

from typing import get_args

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core.conversation import needs_flow
from bot.core.effects import SendMessage
from bot.core.events import (
    AgentAssigned,
    AgentReplied,
    ConversationResolved,
    CustomerMerged,
    EscalationRequested,
    Event,
    MessageReceived,
    ModelAnswered,
    ModelFailed,
    ModelUse,
    NoticeRequested,
    PreferencesChanged,
    ReturnedToBot,
    Sender,
    SendFailed,
    TimerFired,
    TimerKind,
)
from bot.core.hearing import MENU_TAP, PERSON_TAP
from bot.core.ids import ConversationId, EffectId, MessageId, TimerId
from bot.core.messages import Location, Media, Other, Tap, Template, Text
from tests.core.starts import NOBODY, REMINDER
from tests.core.talking import FLOWS, MONDAY, PHONE, WELCOME, Talk, book

WORDS = (
    *(
        "menu",
        "agent",
        "STOP",
        "start",
        "pick",
        "name",
        "think",
        "person",
        "circle",
        "long",
        "odd one",
        "hi",
        "speak",
        "unsure",
    ),
    *("go on", "2", "what is this?", "नमस्ते", "", "   ", "😀", "x" * 5000, "[[HANDOFF]]", "{name}"),
)
ENDING: tuple[TimerKind, ...] = ("quiet", "reminder", "session", "conversation")
OLDER, PRESENT = "00000000-0000-7000-8000-000000000000", "present"
AFTER = st.sampled_from((0.0, 0.2, 1.0, 30.0, 1800.0, 3600.6, 7200.0, 86401.0, 200000.0, -0.3))

contents = st.one_of(
    st.sampled_from(WORDS).map(lambda text: Text(text=text)),
    st.text(max_size=30).map(lambda text: Text(text=text)),
    st.sampled_from((PERSON_TAP, MENU_TAP, "pick:go", "pick:stop", "pick:agent", "old")).map(
        lambda id_: Tap(id=id_, title="Agent" if id_ == "pick:agent" else "")
    ),
    st.sampled_from(("", "pick", "agent")).map(lambda caption: Media(kind="image", url="https://x", caption=caption)),
    st.just(Location(latitude=1.0, longitude=2.0)),
    st.sampled_from(("reaction", "sticker", "contacts")).map(lambda kind: Other(kind=kind)),
)
senders = st.sampled_from((Sender(phone=PHONE, name="Asha"), Sender(user_id="IN.1"), Sender(phone=PHONE)))
answers = st.sampled_from(("Yes.", "", "[[HANDOFF]]", "One moment. [[HANDOFF]]", "y" * 9000, "**bold**"))
outbound = st.sampled_from(
    (Text(text="hello"), Text(text="z" * 9000), Text(text=""), Template(name="t", language="en"))
)
conversations = st.sampled_from(("", PRESENT, OLDER)).map(ConversationId)
uses = st.just(ModelUse(model="m", cost_usd=0.01, attempts=1))

events = st.one_of(
    st.builds(
        MessageReceived,
        provider_id=st.just("wamid"),
        sender=senders,
        content=contents,
        number=st.sampled_from(("", "919000000001")),
        sent_at=st.sampled_from((None, MONDAY - 10_000, MONDAY + 1e9)),
    ),
    st.builds(TimerFired, timer_id=st.just(TimerId("")), kind=st.sampled_from(get_args(TimerKind))),
    st.builds(TimerFired, timer_id=st.just(TimerId("stopped")), kind=st.just("session")),
    st.builds(ModelAnswered, ask_id=st.sampled_from(("", "old")).map(EffectId), text=answers, use=uses),
    st.builds(ModelFailed, ask_id=st.just(EffectId("")), failure=st.sampled_from(("unavailable", "refused", "budget"))),
    st.builds(SendFailed, message_id=st.just(MessageId("m")), reason=st.just("r"), code=st.sampled_from((0, 131050))),
    st.builds(AgentReplied, agent=st.sampled_from("ab"), content=outbound, conversation=conversations),
    st.builds(NoticeRequested, by=st.just("api"), content=outbound, phone=st.sampled_from(("", PHONE))),
    st.builds(AgentAssigned, agent=st.sampled_from("ab"), conversation=conversations),
    st.builds(EscalationRequested, by=st.just("a"), conversation=conversations),
    st.builds(ConversationResolved, by=st.just("a"), conversation=conversations),
    st.builds(ReturnedToBot, by=st.just("a"), conversation=conversations),
    st.builds(CustomerMerged, absorbed=st.just(7), held_by_person=st.booleans()),
    st.builds(
        PreferencesChanged,
        by=st.just("a"),
        name=st.sampled_from((None, "Asha")),
        language=st.sampled_from((None, "hi")),
        opted_out=st.sampled_from((None, True, False)),
    ),
)
histories = st.lists(st.tuples(events, AFTER), min_size=1, max_size=25)
books = st.sampled_from(
    (
        book(),
        book(*FLOWS, WELCOME),
        book(quiet_moment=0.0, history_turns=3, history_characters=10),
        book(quiet_restarts=1, session_timeout=60.0, conversation_timeout=600.0),
        book(remind=REMINDER, no_agent=NOBODY),
        book(remind=REMINDER, no_agent=msgspec.structs.replace(NOBODY, then="return_to_bot")),
    )
)


def aimed(talk: Talk, event: Event) -> Event:
    """`event` at what is really there: the running timer, the question under way, the present conversation."""
    match event:
        case TimerFired(timer_id="", kind=kind):
            return TimerFired(timer_id=talk.state.timers.get(kind, TimerId("none")), kind=kind)
        case ModelAnswered(ask_id="", text=text, use=use) if talk.state.asking:
            return ModelAnswered(ask_id=talk.state.asking.ask_id or EffectId("none"), text=text, use=use)
        case ModelFailed(ask_id="", failure=failure) if talk.state.asking:
            return ModelFailed(ask_id=talk.state.asking.ask_id or EffectId("none"), failure=failure)
        case AgentReplied(conversation="present", agent=agent, content=content):
            return AgentReplied(conversation=talk.state.id, agent=agent, content=content)
        case _:
            return event


@settings(max_examples=1000, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(books, histories)
def test_any_history_keeps_what_must_always_be_so(rules, history) -> None:  # type: ignore[no-untyped-def]
    talk = Talk(rules)
    for event, after in history:
        talk.apply(aimed(talk, event), after=after)
    state, effects = talk.replayed()
    assert (state, effects) == (talk.state, talk.effects)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(histories)
def test_silence_ends_every_conversation_that_no_person_holds(history) -> None:  # type: ignore[no-untyped-def]
    talk = Talk()
    for event, after in history:
        talk.apply(aimed(talk, event), after=after)
    for _ in range(10):
        kinds = [kind for kind in ENDING if kind in talk.state.timers]
        if not kinds:
            break
        talk.fire(kinds[0])
    assert talk.state.mode in {"closed", "queue", "agent"} or talk.state.asking is not None


@settings(max_examples=100, deadline=None, derandomize=True)
@given(histories)
def test_a_message_that_is_to_be_answered_is_answered_or_asked_about(history) -> None:  # type: ignore[no-untyped-def]
    """The count of unanswered customers rests on this: a reply, a question under way, a person, or a reason."""
    from bot.core.effects import RecordMessage

    talk = Talk()
    for event, after in history:
        done = talk.apply(aimed(talk, event), after=after)
        recorded = [effect for effect in done.effects if isinstance(effect, RecordMessage)]
        if recorded and not recorded[0].unanswered:
            replied = any(isinstance(effect, SendMessage) for effect in done.effects)
            assert replied or done.conversation.asking is not None or done.conversation.mode == "queue"


@given(histories)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_only_a_flow_that_the_book_lacks_is_asked_for(history) -> None:  # type: ignore[no-untyped-def]
    talk = Talk()
    for event, after in history:
        talk.apply(aimed(talk, event), after=after)
        assert needs_flow(talk.state, talk.book) is None
    position = talk.state.flow
    assert needs_flow(talk.state, book(WELCOME)) == (position.digest if position else None)
