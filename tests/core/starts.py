"""Conversations to begin a test with, one in each mode, made by what happens in them; and what the bot says."""

from bot.core.book import DEFAULT_TEXTS, NoAgent
from bot.core.events import AgentAssigned, AgentReplied, ConversationResolved, EscalationRequested, ReturnedToBot
from bot.core.flow import Reminder
from bot.core.messages import Text
from tests.core.talking import Talk

APOLOGY = DEFAULT_TEXTS["apology"]["en"]
HANDED_OVER = DEFAULT_TEXTS["handed_over"]["en"]
UNREADABLE = DEFAULT_TEXTS["unreadable"]["en"]
LEFT = DEFAULT_TEXTS["left_flow"]["en"]
OUT = DEFAULT_TEXTS["opted_out"]["en"]
IN = DEFAULT_TEXTS["opted_in"]["en"]
ZOE = AgentAssigned(agent="zoe")
RESOLVED = ConversationResolved(by="zoe")
RETURNED = ReturnedToBot(by="zoe")
DAY = 86400.0
REMINDER = Reminder(after=300.0, text={"en": "Still there, {user_name}?", "hi": "क्या आप यहाँ हैं?"})
NOBODY = NoAgent(after=600.0, text={"en": "Nobody is free yet, {user_name}.", "hi": "अभी कोई खाली नहीं है।"})
REPLY = AgentReplied(agent="yan", content=Text(text="hello"))


def closed() -> Talk:
    talk = in_bot()
    talk.apply(RESOLVED)
    return talk


def in_bot() -> Talk:
    talk = Talk()
    talk.hear("pick")
    return talk


def in_model() -> Talk:
    talk = Talk()
    talk.hear("what is this?")
    talk.fire("quiet")
    return talk


def in_queue() -> Talk:
    talk = in_model()
    talk.apply(EscalationRequested(by="zoe", department="sales"))
    return talk


def with_agent() -> Talk:
    talk = in_queue()
    talk.apply(ZOE)
    return talk
