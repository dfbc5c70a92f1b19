"""The door to the rules: `step`. Everything that happens to a conversation passes here, and nothing else changes one.

A step is a pure function of the conversation, the sealed event and the rules in force, so a journal of envelopes
replays
to the same conversation. What cannot be done is a refusal in the result, never an exception.
"""

from collections.abc import Sequence
from typing import assert_never

import msgspec

from bot.core.book import Book
from bot.core.draft import Draft
from bot.core.effects import Effect, ReplyKind, WithholdMessage
from bot.core.events import (
    AgentAssigned,
    AgentReplied,
    ConversationResolved,
    CustomerMerged,
    Envelope,
    EscalationRequested,
    Event,
    MessageReceived,
    ModelAnswered,
    ModelFailed,
    NoticeRequested,
    PreferencesChanged,
    ReturnedToBot,
    Sender,
    SendFailed,
    TimerFired,
)
from bot.core.fitting import plain
from bot.core.hearing import apologise, escalate, follow, hear, meet, opt, scene
from bot.core.ids import MessageId
from bot.core.interpreter import after_model, reminder, worded
from bot.core.messages import Outbound, Text, Value
from bot.core.modes import held_by_person
from bot.core.prompt import read_reply
from bot.core.state import Conversation
from bot.core.window import WINDOW_SECONDS, may_send

STOPPED_MARKETING = 131050
"""Meta: the customer stopped messages from this business."""

DEEDS = AgentReplied | AgentAssigned | EscalationRequested | ConversationResolved | ReturnedToBot
"""What people do to one particular conversation."""

NO_AGENT = "no_agent_in_time"
"""What the audit log says of a conversation that nobody took in time."""

TIMER_SLACK = 0.5
"""Seconds by which a timer may be early and still count."""


class Step(Value, frozen=True, kw_only=True):
    """What came of an envelope. `refusal` says why nothing, or not all, of what was asked for was done."""

    conversation: Conversation
    effects: tuple[Effect, ...]
    refusal: str = ""
    counted: tuple[str, ...] = ()
    """Things worth counting: `over_budget`, `condition_fault`."""


def step(conversation: Conversation, envelope: Envelope, book: Book) -> Step:
    """Apply one event. Total: any event in any state gives a step."""
    draft = Draft(conversation, envelope, book)
    if _is_for_present(draft, envelope.event):
        _apply(draft, envelope.event)
    return Step(
        conversation=draft.finished(), effects=tuple(draft.effects), refusal=draft.refusal, counted=tuple(draft.counted)
    )


def needs_flow(conversation: Conversation, book: Book) -> str | None:
    """The digest of the flow version this conversation is pinned to, when `book` does not have it."""
    flow = conversation.flow
    if flow is None or flow.digest in book.versions:
        return None
    return flow.digest


def _is_for_present(draft: Draft, event: Event) -> bool:
    """What a person did to a conversation that is no longer the customer's present one has no effect."""
    if isinstance(event, DEEDS) and event.conversation not in {"", draft.id}:
        draft.refuse("this is not the customer's present conversation")
        return False
    return True


def _apply(draft: Draft, event: Event) -> None:
    match event:
        case MessageReceived():
            hear(draft, event)
        case TimerFired():
            _timer_fired(draft, event)
        case ModelAnswered():
            _model_answered(draft, event)
        case ModelFailed():
            _model_failed(draft, event)
        case SendFailed():
            _send_failed(draft, event)
        case AgentReplied():
            _agent_replied(draft, event)
        case NoticeRequested():
            _notice_requested(draft, event)
        case AgentAssigned():
            _agent_assigned(draft, event)
        case EscalationRequested():
            _escalation_requested(draft, event)
        case ConversationResolved():
            _resolved(draft, event)
        case ReturnedToBot():
            _returned(draft, event)
        case CustomerMerged():
            _merged(draft, event)
        case PreferencesChanged():
            _preferences_changed(draft, event)
        case _:
            assert_never(event)


# --- timers ----------------------------------------------------------------------------------------------------------


def _timer_fired(draft: Draft, event: TimerFired) -> None:
    if draft.timers.get(event.kind) != event.timer_id:
        draft.refuse("the timer was stopped")
        return
    draft.stop_timer(event.kind)
    match event.kind:
        case "quiet":
            draft.put_question()
        case "session":
            _session_timer(draft)
        case "conversation":
            _conversation_timer(draft)
        case "reminder":
            _reminder_timer(draft)
        case "no_agent":
            _no_agent_timer(draft)
        case _:
            assert_never(event.kind)


def _session_timer(draft: Draft) -> None:
    """A timer is not moved by each message; when it fires it looks how long the silence really was."""
    due = draft.quiet_since + draft.rules.session_timeout
    if draft.at < due - TIMER_SLACK:
        draft.start_timer("session", due)
        return
    if not held_by_person(draft.mode):
        draft.flow = None
        draft.drop_question()
    draft.start_timer("conversation", draft.quiet_since + draft.rules.conversation_timeout)


def _conversation_timer(draft: Draft) -> None:
    due = draft.quiet_since + draft.rules.conversation_timeout
    if held_by_person(draft.mode):
        draft.start_timer("conversation", draft.at + draft.rules.conversation_timeout)
        return
    if draft.at < due - TIMER_SLACK:
        draft.start_timer("conversation", due)
        return
    if draft.move("expire"):
        draft.close_conversation(by="timeout", expired=True)


def _reminder_timer(draft: Draft) -> None:
    """No answer came: ask for it once. When the service was away until the session was over, so is the flow."""
    position = draft.flow
    remind = reminder(draft.book, position) if position is not None else None
    if position is None or remind is None:
        draft.refuse("there is no reminder for this question any more")
    elif draft.at - draft.quiet_since >= draft.rules.session_timeout:
        draft.refuse("the session is over")
    else:
        _say_if_it_reaches(draft, worded(draft.book, remind.text, scene(draft, ""), position.variables), kind="flow")


def _no_agent_timer(draft: Draft) -> None:
    """Nobody took the conversation in time: tell the customer once, note it, and do what the rules say then.

    Who cannot be told stays in the queue in any case: going back to the bot would only hide them.
    """
    rule = draft.rules.no_agent
    if rule is None:
        draft.refuse("the rules have nothing for this any more")
        return
    draft.audit(NO_AGENT, by="bot", detail=draft.department)
    told = _say_if_it_reaches(draft, worded(draft.book, rule.text, scene(draft, ""), {}), kind="system")
    if told and rule.then == "return_to_bot":
        _return(draft, by="timeout")


def _say_if_it_reaches(draft: Draft, contents: Sequence[Outbound], *, kind: ReplyKind) -> bool:
    """Say something that the customer did not just ask for; a refusal when it could not reach them."""
    if not contents or not all(_may_reach(draft, content) for content in contents):
        return False
    draft.say(*contents, kind=kind)
    return True


# --- model -----------------------------------------------------------------------------------------------------------


def _awaited(draft: Draft, ask_id: str) -> bool:
    return draft.asking is not None and draft.asking.ask_id == ask_id


def _model_answered(draft: Draft, event: ModelAnswered) -> None:
    draft.spent_usd += event.use.cost_usd
    asking = draft.asking
    if asking is None or asking.ask_id != event.ask_id:
        _keep_void_answer(draft, event)
        return
    draft.asking = None
    reply = read_reply(event.text)
    draft.say(*plain(reply.text), kind="model", use=event.use, caused_at=asking.caused_at)
    if reply.wants_person:
        escalate(draft, reason="The model could not help.")
    elif asking.for_flow and draft.flow is not None:
        follow(draft, after_model(draft.book, draft.flow, scene(draft, ""), reply.text))


def _keep_void_answer(draft: Draft, event: ModelAnswered) -> None:
    draft.refuse("the question is void")
    if held_by_person(draft.mode):
        draft.effects.append(
            WithholdMessage(
                id=MessageId(draft.fresh()), conversation=draft.id, text=event.text, use=event.use, at=draft.at
            )
        )


def _model_failed(draft: Draft, event: ModelFailed) -> None:
    draft.spent_usd += event.use.cost_usd
    if not _awaited(draft, event.ask_id):
        draft.refuse("the question is void")
        return
    draft.asking = None
    if event.failure == "refused":
        escalate(draft, reason="The model refused to answer; a person should look.")
        return
    _give_up(draft)


def _give_up(draft: Draft) -> None:
    draft.flow = None
    apologise(draft)


# --- delivery --------------------------------------------------------------------------------------------------------


def _send_failed(draft: Draft, event: SendFailed) -> None:
    if event.code == STOPPED_MARKETING and not draft.customer.opted_out:
        opt(draft, out=True, by="provider")
        return
    if draft.mode not in {"bot", "model"} or draft.at - draft.heard_at > WINDOW_SECONDS:
        return
    escalate(draft, reason=f"A message could not be delivered: {event.reason}"[:500], say=False)


# --- people ----------------------------------------------------------------------------------------------------------


def _agent_replied(draft: Draft, event: AgentReplied) -> None:
    if not _may_reach(draft, event.content):
        return
    if draft.mode != "agent" or draft.agent != event.agent:
        _take(draft, event.agent, by=event.agent)
    _send_from_person(draft, event.content, event.agent)


def _notice_requested(draft: Draft, event: NoticeRequested) -> None:
    meet(draft, Sender(phone=event.phone))
    if not _may_reach(draft, event.content):
        return
    if draft.mode == "closed":
        draft.move("message")
        draft.open_conversation()
    if not event.bulk:  # a bulk send is one deed, not one for each recipient
        draft.audit("message_sent", by=event.by)
    _send_from_person(draft, event.content, event.by, kind="bulk" if event.bulk else "agent")


def _may_reach(draft: Draft, content: Outbound) -> bool:
    if not draft.customer.phone:
        draft.refuse("the customer has no phone number the provider can send to")
    elif draft.customer.opted_out:
        draft.refuse("the customer opted out of messages")
    elif not may_send(content, heard_at=draft.heard_at, at=draft.at):
        draft.refuse("the 24 hour session window is closed: send a template")
    return not draft.refusal


def _send_from_person(draft: Draft, content: Outbound, agent: str, *, kind: ReplyKind = "agent") -> None:
    contents = plain(content.text) if isinstance(content, Text) else (content,)
    draft.say(*contents, kind=kind, agent=agent)


def _take(draft: Draft, agent: str, *, by: str) -> bool:
    """Give the conversation to `agent`; what the bot had under way is void."""
    was_closed = draft.mode == "closed"
    if not draft.move("assign"):
        return False
    if was_closed:
        draft.open_conversation()
    draft.flow = None
    draft.drop_question()
    draft.agent = agent
    draft.audit("assigned", by=by, detail=agent)
    return True


def _agent_assigned(draft: Draft, event: AgentAssigned) -> None:
    _take(draft, event.agent, by=event.by or event.agent)


def _escalation_requested(draft: Draft, event: EscalationRequested) -> None:
    if draft.mode == "closed":
        draft.refuse("the conversation is closed")
        return
    escalate(draft, department=event.department, reason=event.reason, by=event.by, say=False)


def _resolved(draft: Draft, event: ConversationResolved) -> None:
    if not draft.move("resolve"):
        return
    draft.audit("resolved", by=event.by, note=event.note)
    draft.close_conversation(by=event.by, expired=False)


def _returned(draft: Draft, event: ReturnedToBot) -> None:
    _return(draft, by=event.by)


def _return(draft: Draft, *, by: str) -> None:
    if not draft.move("return"):
        return
    draft.agent = ""
    draft.audit("returned_to_bot", by=by)


def _merged(draft: Draft, event: CustomerMerged) -> None:
    draft.audit("merged", by="bot", detail=f"customer {event.absorbed}")
    if not event.held_by_person or held_by_person(draft.mode):
        return
    if draft.mode == "closed":
        draft.move("message")
        draft.open_conversation()
    escalate(draft, department=event.department, reason="A conversation held by a person was merged in.", say=False)


def _preferences_changed(draft: Draft, event: PreferencesChanged) -> None:
    changes: dict[str, object] = {}
    for field in ("name", "language", "opted_out"):
        value = getattr(event, field)
        if value is not None:
            changes[field] = value
    draft.customer = msgspec.structs.replace(draft.customer, **changes)
    if event.opted_out:
        draft.flow = None
        draft.drop_question()
    draft.audit("preferences_changed", by=event.by, detail=", ".join(sorted(changes)))
