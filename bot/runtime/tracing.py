"""Traces of what the engine does, where they are on. Nothing here runs while they are off.

A message costs no task of its own and its commit is one of many, so there is no block of code that a span could
surround. Each part is told of under names of what it was about: a webhook under the ids of its messages, its
journalling under the seed of the envelope, a step and a commit under the ids of the messages, questions and timers they
made. Whoever goes on finds its cause under that name, in a memory with a bound; what was forgotten begins a trace of
its own.

The trace of a customer's message, and the span of its journalling, have ids that follow from the message's id under the
key of fingerprints. So a replica that finds the event in the journal, after another died with it, goes on in the same
trace. A caller's own trace (`traceparent`) is not in the journal: there the later part is a trace of its own.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import msgspec
from yarl import URL

from bot.core.book import Book
from bot.core.conversation import Step, step
from bot.core.effects import AskModel, RecordMessage, SendMessage, StartTimer
from bot.core.events import Envelope, Event, MessageReceived, ModelAnswered, ModelFailed, SendFailed, TimerFired
from bot.core.ids import CustomerId
from bot.core.state import Conversation
from bot.ports.tracing import Attributes, Context, Span, Tracer, Value
from bot.runtime.journalling import Tell, kind_of
from bot.runtime.letters import Letter

REMEMBERED: Final = 50_000
"""Names whose cause is kept in memory; a message takes five or so, of some 300 bytes."""
CAUSE: Final = "trace_context"
"""Where an exception that left a step carries the context of the step, for the line that is logged of it."""

_current: ContextVar[Span | None] = ContextVar("span", default=None)


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """The span that something came of, and whose it is."""

    context: Context
    customer: CustomerId | None = None
    conversation: str = ""

    @property
    def attributes(self) -> Attributes:
        return whose(self.customer, self.conversation)


def current() -> Span | None:
    """What is under way here."""
    span = _current.get()
    return span if span is not None and span.open else None


@contextmanager
def within(span: Span) -> Iterator[None]:
    """While `span` is under way. It ends here only when this is left by an exception."""
    token = _current.set(span)
    try:
        yield
    except BaseException as problem:
        span.end(error=type(problem).__name__)
        raise
    finally:
        _current.reset(token)


def whose(customer: CustomerId | None, conversation: str) -> Attributes:
    """Ids of ours, as attributes; what is not known is left out."""
    attributes: dict[str, Value] = {}
    if customer is not None:
        attributes["bot.customer.id"] = customer
    if conversation:
        attributes["bot.conversation.id"] = conversation
    return attributes


def server_of(url: str) -> Attributes:
    """Who is called, by the conventions of HTTP; path and query stay away, because they may hold a secret."""
    parsed = URL(url)
    return {"server.address": parsed.host or "", "server.port": parsed.port or 0, "url.scheme": parsed.scheme}


class Tracing:
    """One for each process. `asking` are the attributes of every question to a model."""

    def __init__(
        self,
        tracer: Tracer,
        *,
        fingerprint: Callable[[str, str], bytes],
        asking: Attributes,
        now: Callable[[], float] = time.time,
        most: int = REMEMBERED,
    ) -> None:
        self.tracer = tracer
        self.asking = asking
        self.now = now
        self._fingerprint = fingerprint
        self._most = most
        self._causes: OrderedDict[Hashable, Cause] = OrderedDict()

    # --- memory ------------------------------------------------------------------------------------------------------

    def remember(self, name: Hashable, cause: Cause) -> None:
        self._causes[name] = cause
        self._causes.move_to_end(name)
        if len(self._causes) > self._most:
            self._causes.popitem(last=False)

    def cause(self, name: Hashable) -> Cause | None:
        return self._causes.get(name)

    # --- what comes in -----------------------------------------------------------------------------------------------

    def webhook(self, messages: Sequence[MessageReceived], attributes: Attributes, parent: Context | None) -> Span:
        """The span of a webhook that brings these messages. The trace is that of the first one, or the caller's."""
        known = self._known(messages[0]) if messages else None
        span = self.tracer.begin(
            "webhook.receive",
            kind="server",
            parent=parent,
            attributes={**attributes, "bot.messages": len(messages)},
            trace_id=known.trace_id if known else 0,
        )
        cause = Cause(context=span.context)
        for message in messages:
            if message.provider_id:
                self.remember(message.provider_id, cause)
        return span

    def asked(self, customer: CustomerId, key: bytes) -> None:
        """Whoever calls asks for an event, journalled under `key`."""
        span = current()
        if span is not None:
            self.remember(key, Cause(context=span.context, customer=customer))

    def telling(self, tell: Tell) -> Tell:
        """`tell`, with a span of how long the event took to become durable."""

        def told(customer: CustomerId, letter: Letter) -> None:
            self._journalled(customer, letter)
            tell(customer, letter)

        return told

    def _journalled(self, customer: CustomerId, letter: Letter) -> None:
        envelope = letter.envelope
        known = self._known(envelope.event)
        parent, links = self._origin(envelope.event, letter.dedup)
        span = self.tracer.begin(
            "intake.journal",
            parent=parent,
            links=links,
            at=envelope.at,
            attributes={"bot.event": kind_of(envelope.event), **whose(customer, "")},
            trace_id=known.trace_id if known else 0,
            span_id=known.span_id if known else 0,
        )
        span.end()
        self.remember(envelope.seed, Cause(context=span.context, customer=customer))

    def _known(self, event: Event) -> Context | None:
        """Where the journalling of this message is, in any replica's traces."""
        if not isinstance(event, MessageReceived) or not event.provider_id:
            return None
        return self.tracer.known(self._fingerprint("trace", event.provider_id))

    def _origin(self, event: Event, key: bytes) -> tuple[Context | None, Sequence[Context]]:
        """The span an event came of; or, by a link, the one it has to do with: a late timer is no part of that work."""
        name: Hashable = key
        match event:
            case MessageReceived():
                name = event.provider_id
            case TimerFired():
                name = event.timer_id
            case ModelAnswered() | ModelFailed():
                name = event.ask_id
            case SendFailed():
                name = event.message_id
            case _:
                pass
        cause = self.cause(name)
        if cause is None:
            return None, ()
        if isinstance(event, TimerFired) and event.kind != "quiet":
            return None, (cause.context,)
        return cause.context, ()

    # --- steps -------------------------------------------------------------------------------------------------------

    def step(self, conversation: Conversation, envelope: Envelope, book: Book) -> Step:
        """`bot.core.conversation.step`, with a span."""
        span = self._begin_step(envelope)
        with within(span):
            try:
                done = step(conversation, envelope, book)
            except Exception as problem:
                problem.__dict__[CAUSE] = span.context
                raise
        span.note({**whose(None, done.conversation.id), "bot.refused": bool(done.refusal)})
        span.end()
        cause = Cause(context=span.context, conversation=done.conversation.id)
        made = [one.id for one in done.effects if isinstance(one, RecordMessage | SendMessage | AskModel | StartTimer)]
        for name in (*made, done.conversation.id):
            self.remember(name, cause)
        return done

    def _begin_step(self, envelope: Envelope) -> Span:
        """Below its journalling; when that was elsewhere, where it must have been."""
        kind = kind_of(envelope.event)
        cause = self.cause(envelope.seed)
        if cause is not None:
            return self.tracer.begin(
                "actor.step", parent=cause.context, attributes={"bot.event": kind, **cause.attributes}
            )
        parent, links = self._origin(envelope.event, b"")
        return self.tracer.begin(
            "actor.step",
            parent=self._known(envelope.event) or parent,
            links=links,
            attributes={"bot.event": kind, "bot.resumed": True},
        )
