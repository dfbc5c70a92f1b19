"""What a step does with a customer's message, in this order: note it, decide who answers, let the flow or a model do
so.
"""

import msgspec

from bot.core.draft import Draft
from bot.core.events import MessageReceived, Sender
from bot.core.fitting import plain, question
from bot.core.hours import is_open
from bot.core.interpreter import (
    Asking,
    Ended,
    Escalated,
    Heard,
    OutOfBudget,
    Scene,
    Turnout,
    Waiting,
    answer,
    begin,
    offers,
    reminder,
)
from bot.core.language import written_language
from bot.core.messages import Choice, Inbound, Location, Media, Other, Outbound, Tap, Text
from bot.core.modes import held_by_person
from bot.core.triggers import Interrupt, interrupt, matching_flow

PERSON_TAP = "desk:person"
MENU_TAP = "desk:menu"
"""Payloads of the two buttons the bot offers on its own account."""

SILENT_KINDS = frozenset({"reaction", "sticker", "unsupported", "system", "ephemeral"})
"""Kinds of message that ask for no answer."""


def hear(draft: Draft, event: MessageReceived) -> None:
    """Apply one message of the customer."""
    meet(draft, event.sender)
    first = _begin_anew_if_due(draft) or draft.heard_at < draft.session_started_at
    draft.heard_at = max(draft.heard_at, draft.at)
    draft.number = event.number or draft.number
    heard = _heard(event.content)
    _notice_language(draft, heard)
    word = _word(draft, heard)
    unanswered = _why_not_answered(draft, event, word)
    draft.record(event.content, provider_id=event.provider_id, number=event.number, unanswered=unanswered)
    if unanswered == "no_number":
        escalate(
            draft, reason="The customer has no phone number, and the provider cannot send to a user id.", say=False
        )
    if unanswered == "stale" and word == "stop":
        opt(draft, out=True, by="customer")
    if unanswered:
        return
    _respond(draft, event.content, heard, word, first=first)


def meet(draft: Draft, sender: Sender) -> None:
    """Take over what the message tells of its sender; nothing that is known is forgotten."""
    known = draft.customer
    phone, user_id = sender.phone or known.phone, sender.user_id or known.user_id
    name = sender.name or known.name
    if (phone, user_id, name) != (known.phone, known.user_id, known.name):
        draft.customer = msgspec.structs.replace(known, phone=phone, user_id=user_id, name=name)


def _begin_anew_if_due(draft: Draft) -> bool:
    """Begin a conversation or a session when the one before is over; whether that was so."""
    silence, session = draft.at - draft.quiet_since, draft.session
    if draft.id and draft.mode != "closed" and not held_by_person(draft.mode):
        if silence > draft.rules.conversation_timeout:
            draft.move("expire")
            draft.close_conversation(by="timeout", expired=True)
        elif silence > draft.rules.session_timeout:
            draft.stop_timer("session")
            draft.stop_timer("conversation")
            draft.open_session()
    if draft.mode == "closed":
        draft.move("message")
        draft.open_conversation()
    return draft.session != session


def _heard(content: Inbound) -> Heard:
    match content:
        case Text(text=text):
            return Heard(text=text)
        case Tap(id=tapped, title=title):
            return Heard(text=title or tapped, choice_id=tapped)
        case Media(caption=caption):
            return Heard(text=caption)
        case Location(name=name, address=address):
            return Heard(text=name or address)
        case Other(text=text):
            return Heard(text=text)


def _notice_language(draft: Draft, heard: Heard) -> None:
    language = written_language(heard.text, draft.rules.languages)
    if language is not None and language != draft.customer.language:
        draft.customer = msgspec.structs.replace(draft.customer, language=language)


def _word(draft: Draft, heard: Heard) -> Interrupt | None:
    """The interrupt that was meant; a choice that the waiting step itself offers is none."""
    if draft.flow is not None and offers(draft.book, draft.flow, heard):
        return None
    if heard.choice_id == PERSON_TAP:
        return "agent"
    if heard.choice_id == MENU_TAP:
        return "menu"
    return interrupt(draft.rules, heard.text)


def _why_not_answered(draft: Draft, event: MessageReceived, word: Interrupt | None) -> str:
    """The decision not to reply, as one word for the desk and the count of unanswered customers; empty: to be
    answered.
    """
    if event.sent_at is not None and draft.at - event.sent_at > draft.rules.stale_after:
        return "stale"
    if not draft.customer.phone:
        return "no_number"
    if draft.customer.opted_out:
        return "" if word == "start" else "opted_out"
    if word == "stop":
        return ""
    if held_by_person(draft.mode):
        return "person"
    if isinstance(event.content, Other) and event.content.kind in SILENT_KINDS:
        return event.content.kind
    return ""


def _respond(draft: Draft, content: Inbound, heard: Heard, word: Interrupt | None, *, first: bool) -> None:
    if word == "stop" or (word == "start" and draft.customer.opted_out):
        opt(draft, out=word == "stop", by="customer")
        draft.say(*plain(draft.text("opted_out" if word == "stop" else "opted_in")), kind="system")
        return
    if draft.flow is not None and draft.asking is None and word not in {"menu", "agent"}:
        follow(draft, answer(draft.book, draft.flow, heard, scene(draft, heard.text)))
        return
    if word == "agent":
        escalate(draft, reason="The customer asked for a person.")
        return
    if word == "menu":
        first = True
        draft.flow = None
        draft.drop_question()
    _start_or_ask(draft, content, heard, first=first, menu=word == "menu")


def opt(draft: Draft, *, out: bool, by: str) -> None:
    """Opt the customer out or in. Whatever was under way is void, so that nothing more is said because of it."""
    draft.customer = msgspec.structs.replace(draft.customer, opted_out=out)
    draft.audit("opted_out" if out else "opted_in", by=by)
    draft.flow = None
    draft.drop_question()


def _start_or_ask(draft: Draft, content: Inbound, heard: Heard, *, first: bool, menu: bool) -> None:
    flow = None if draft.flow is not None else matching_flow(draft.book, heard.text, first_message=first)
    if flow is not None:
        draft.drop_question()
        draft.move("flow")
        follow(draft, begin(draft.book, flow, scene(draft, heard.text)))
        return
    if menu:
        draft.move("flow")
        draft.say(*plain(draft.text("left_flow")), kind="system")
        return
    if not heard.text.strip() or isinstance(content, Other):
        draft.say(*_offer(draft, draft.text("unreadable")), kind="system")
        return
    asking = draft.asking
    for_flow = asking is not None and asking.for_flow
    if not for_flow:
        draft.move("ask")
    draft.ask(instruction=asking.instruction if asking else "", for_flow=for_flow)


def scene(draft: Draft, message: str) -> Scene:
    """What a flow may look at."""
    return Scene(
        user_name=draft.customer.name,
        language=draft.language,
        phone=draft.customer.phone,
        message=message,
        at=draft.at,
        session_id=draft.session,
        session_started_at=draft.session_started_at,
        mode=draft.mode,
        opted_out=draft.customer.opted_out,
    )


def follow(draft: Draft, turnout: Turnout) -> None:
    """Do what the flow came to."""
    draft.say(*turnout.say, kind="flow")
    draft.flow = turnout.position
    draft.counted += ["condition_fault"] * len(turnout.faults)
    if turnout.language:
        draft.customer = msgspec.structs.replace(draft.customer, language=turnout.language)
    match turnout.outcome:
        case Waiting():
            await_answer(draft)
        case Ended():
            return
        case Escalated(department=department, reason=reason, announced=announced):
            escalate(draft, department=department, reason=reason, say=not announced)
        case Asking(instruction=instruction):
            draft.ask(instruction=instruction, for_flow=True)
        case OutOfBudget():
            draft.flow = None
            draft.counted.append("over_budget")
            apologise(draft)


def await_answer(draft: Draft) -> None:
    """The flow waits for the customer from now on: let a reminder come if one is to come."""
    remind = reminder(draft.book, draft.flow) if draft.flow is not None else None
    if remind is not None:
        draft.start_timer("reminder", draft.at + remind.after)


def escalate(draft: Draft, *, reason: str, department: str = "general", by: str = "", say: bool = True) -> bool:
    """Put the conversation in the queue; the bot is silent from here on. False when the table refuses."""
    if not draft.move("escalate"):
        return False
    draft.flow = None
    draft.drop_question()
    draft.department, draft.reason, draft.agent = department, reason, ""
    draft.audit("escalated", by=by or "bot", detail=department)
    if say:
        open_now = is_open(draft.rules.hours, draft.at)
        draft.say(*plain(draft.text("handed_over" if open_now else "outside_hours")), kind="system")
    return True


def apologise(draft: Draft) -> None:
    """No answer could be given: say so, and offer a person."""
    draft.say(*_offer(draft, draft.text("apology")), kind="system")


def _offer(draft: Draft, text: str) -> tuple[Outbound, ...]:
    choices = (
        Choice(id=PERSON_TAP, title=draft.text("person_button")),
        Choice(id=MENU_TAP, title=draft.text("menu_button")),
    )
    return question(text, choices, list_button=draft.text("list_button"), numbered_hint=draft.text("numbered"))
