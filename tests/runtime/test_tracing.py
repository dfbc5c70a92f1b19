"""What is told of commits, sends, questions and deliveries that fail, and how one part's span finds the next one's."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import pytest

from bot.adapters.tracing import OtelTracer
from bot.core.book import Book
from bot.core.effects import AskModel, SendMessage, StartTimer
from bot.core.events import (
    ConversationResolved,
    Envelope,
    Event,
    MessageReceived,
    ModelFailed,
    Sender,
    SendFailed,
    TimerFired,
)
from bot.core.ids import ConversationId, CustomerId, EffectId, JournalSeq, MessageId, TimerId
from bot.core.messages import Text
from bot.core.state import Conversation
from bot.ports.store import Loaded, TimerRow, Write
from bot.ports.webhooks import Answered
from bot.runtime.letters import Letter
from bot.runtime.traced import TracedChannel, TracedCourier, TracedModel, TracedStore
from bot.runtime.tracing import Cause, Tracing, current, within
from bot.tracing import TraceFields
from bot.wire.msg91.outcomes import SendOutcome
from tests.acceptance.collector import Collector, Told, collecting
from tests.core.talking import book
from tests.runtime.memory.outside import DOWN, REFUSED, MemoryChannel
from tests.runtime.memory.vault import MemoryVault

ZOE = CustomerId(7)
TALK = ConversationId("talk")


class Recorded:
    """Traces that go to a collector; `told` closes them and gives back what it heard."""

    def __init__(self, collector: Collector, **more: Any) -> None:
        self.tracer = OtelTracer(version="1", replica="blue")
        self.tracing = Tracing(self.tracer, fingerprint=MemoryVault().fingerprint, asking={}, **more)
        self._collector = collector

    async def told(self) -> Sequence[Told]:
        await self.tracer.close(5.0)
        return self._collector.spans


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    async with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector


@pytest.fixture
def recorded(collector: Collector) -> Recorded:
    return Recorded(collector)


def written(event: Event, seed: int = 1) -> Envelope:
    return Envelope(event=event, at=1.0, seed=seed)


def heard(identity: str = "wamid.1") -> MessageReceived:
    return MessageReceived(sender=Sender(phone="919000000002"), provider_id=identity, content=Text(text="odd"))


class Refusing:
    """A store that answers what it is told to, or raises it."""

    def __init__(self, answer: Sequence[bool] | Exception) -> None:
        self.answer = answer

    async def load(self, customers: Sequence[CustomerId]) -> dict[CustomerId, Loaded]:
        return {}

    async def commit(self, writes: Sequence[Write]) -> Sequence[bool]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def write(*timers: str) -> Write:
    return Write(
        customer=ZOE,
        version=1,
        commit_id=1,
        state=b"",
        consumed=(),
        at=1.0,
        timers=tuple(TimerRow(id=TimerId(name), kind="quiet", due=1.0) for name in timers),
    )


async def test_a_commit_of_several_steps_is_below_the_first_and_linked_to_the_others(recorded: Recorded) -> None:
    steps = [recorded.tracer.begin("step") for _ in range(2)]
    for name, step in zip(("first", "second"), steps, strict=True):
        recorded.tracing.remember(name, Cause(context=step.context))
    store = TracedStore(Refusing([True, False]), recorded.tracing)
    await store.commit([write("first", "second"), write("first")])
    done, stale = await recorded.told()
    assert int(done.parent, 16) == steps[0].context.span_id
    assert [int(link, 16) for link in done.links] == [steps[1].context.span_id]
    assert (done.failed, stale.failed, stale.attributes["error.type"]) == (False, True, "stale")
    assert done.attributes["bot.customer.id"] == ZOE
    cause = recorded.tracing.cause("second")
    assert cause is not None
    assert cause.context.span_id == int(done.span, 16)


async def test_a_commit_that_fails_is_told_and_one_of_nothing_known_is_not(recorded: Recorded) -> None:
    recorded.tracing.remember("known", Cause(context=recorded.tracer.begin("step").context))
    store = TracedStore(Refusing(ValueError("no")), recorded.tracing)
    with pytest.raises(ValueError, match="no"):
        await store.commit([write("known"), write("unknown")])
    (told,) = await recorded.told()
    assert (told.failed, told.attributes["error.type"]) == (True, "ValueError")


@pytest.mark.parametrize(
    ("outcome", "error"), [(REFUSED, "rejected"), (DOWN, "deferred"), (ValueError("odd"), "ValueError")]
)
async def test_a_send_that_fails_says_how(recorded: Recorded, outcome: SendOutcome | Exception, error: str) -> None:
    channel = MemoryChannel()
    channel.outcomes.append(outcome)
    traced = TracedChannel(channel, recorded.tracing)
    sending = traced.send(Text(text="secret"), number="1", recipient="919000000002", reference="m1")
    (came,) = await asyncio.gather(sending, return_exceptions=True)
    assert came is outcome
    (told,) = await recorded.told()
    assert (told.failed, told.attributes["error.type"], told.attributes["bot.message.id"]) == (True, error, "m1")
    assert not [secret for secret in ("secret", "919000000002", "no such number") if secret in str(told)]


async def test_a_question_nobody_answers_says_why(recorded: Recorded) -> None:
    class Down:
        async def answer(self, question: AskModel, *, customer_hash: str) -> ModelFailed:
            return ModelFailed(ask_id=question.id, failure="timeout")

    question = AskModel(id=EffectId("e"), conversation=TALK, system="secret", turns=(), caused_at=1.0)
    await TracedModel(Down(), recorded.tracing).answer(question, customer_hash="")
    (told,) = await recorded.told()
    assert (told.failed, told.attributes["error.type"]) == (True, "timeout")
    assert told.attributes["bot.conversation.id"] == TALK
    assert "gen_ai.response.model" not in told.attributes


@pytest.mark.parametrize(("answered", "error"), [(Answered(status=503), "503"), (Answered(error="x"), "no_answer")])
async def test_an_outgoing_webhook_that_is_not_taken_says_so(
    recorded: Recorded, answered: Answered, error: str
) -> None:
    class Closed:
        async def deliver(self, url: str, headers: Any, body: bytes) -> Answered:
            return answered

    courier = TracedCourier(Closed(), recorded.tracing)
    await courier.deliver("https://desk.example/hook?key=secret", {"webhook-id": "w"}, b"secret")
    (told,) = await recorded.told()
    assert (told.failed, told.attributes["error.type"]) == (True, error)
    assert "secret" not in str(told.attributes)


async def test_who_is_not_sampled_is_told_of_nowhere(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    recorded = Recorded(collector)
    recorded.tracing.telling(lambda *_: None)(ZOE, letter(heard()))
    assert await recorded.told() == []


def letter(event: Event, seed: int = 1) -> Letter:
    return Letter(seq=JournalSeq(1), dedup=b"key", envelope=written(event, seed))


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (ModelFailed(ask_id=EffectId("e"), failure="timeout"), "e"),
        (SendFailed(message_id=MessageId("m"), reason="gone", code=1), "m"),
        (ConversationResolved(by="zoe"), b"key"),
    ],
)
async def test_an_event_is_below_what_it_came_of(recorded: Recorded, event: Event, name: str | bytes) -> None:
    before = recorded.tracer.begin("before")
    recorded.tracing.remember(name, Cause(context=before.context))
    recorded.tracing.telling(lambda *_: None)(ZOE, letter(event))
    (told,) = await recorded.told()
    assert (int(told.parent, 16), told.attributes["bot.customer.id"]) == (before.context.span_id, ZOE)


@pytest.mark.parametrize(("kind", "below"), [("quiet", True), ("session", False)])
async def test_a_silence_goes_on_with_the_trace_and_a_late_timer_only_links_to_it(
    recorded: Recorded, kind: Any, below: bool
) -> None:
    before = recorded.tracer.begin("commit")
    recorded.tracing.remember("t", Cause(context=before.context))
    event = TimerFired(timer_id=TimerId("t"), kind=kind)
    recorded.tracing.telling(lambda *_: None)(ZOE, letter(event))
    (told,) = await recorded.told()
    above = f"{before.context.span_id:016x}"
    assert (told.parent, told.links) == ((above, ()) if below else ("", (above,)))


async def test_every_replica_gives_a_message_the_same_trace_and_no_id_of_the_providers_is_in_it(
    collector: Collector,
) -> None:
    first, second = Recorded(collector), Recorded(collector)
    first.tracing.telling(lambda *_: None)(ZOE, letter(heard()))
    second.tracing.step(Conversation(), written(heard()), book())
    await first.told()
    journalled, resumed = await second.told()
    assert (resumed.trace, resumed.parent) == (journalled.trace, journalled.span)
    assert resumed.attributes["bot.resumed"] is True
    assert b"wamid" not in b"".join(collector.raw)


async def test_a_message_without_an_id_has_a_trace_all_the_same(recorded: Recorded) -> None:
    recorded.tracing.webhook([heard("")], {}, None).end()
    recorded.tracing.telling(lambda *_: None)(ZOE, letter(heard("")))
    came, journalled = await recorded.told()
    assert came.trace != journalled.trace


async def test_a_step_that_raises_has_failed_and_its_line_in_the_log_names_the_trace(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.addFilter(TraceFields())
    try:
        recorded.tracing.step(Conversation(), written(heard()), cast("Book", None))
    except Exception:
        logging.getLogger("bot").exception("a step failed")
    logging.getLogger("bot").warning("something else")
    (told,) = await recorded.told()
    assert (told.failed, told.attributes["error.type"]) == (True, "AttributeError")
    assert (caplog.records[0].__dict__["trace_id"], caplog.records[0].__dict__["span_id"]) == (told.trace, told.span)
    assert "trace_id" not in caplog.records[1].__dict__
    caplog.handler.filters.clear()


async def test_what_is_logged_while_a_span_is_under_way_names_it_and_what_outlives_it_does_not(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.addFilter(TraceFields())
    span = recorded.tracer.begin("api.request")
    with within(span):
        recorded.tracing.asked(ZOE, b"key")
        logging.getLogger("bot").warning("within")
        span.end()
        assert current() is None
        recorded.tracing.asked(ZOE, b"later")
    assert caplog.records[0].__dict__["trace_id"] == f"{span.context.trace_id:032x}"
    assert recorded.tracing.cause(b"key") is not None
    assert recorded.tracing.cause(b"later") is None
    caplog.handler.filters.clear()
    await recorded.told()


async def test_what_a_step_asks_for_leads_back_to_it(recorded: Recorded) -> None:
    done = recorded.tracing.step(Conversation(), written(heard()), book())
    made = [one.id for one in done.effects if isinstance(one, SendMessage | StartTimer)]
    causes = [recorded.tracing.cause(name) for name in (*made, done.conversation.id)]
    (told,) = await recorded.told()
    assert len(made) > 1
    assert {int(told.span, 16)} == {cause.context.span_id for cause in causes if cause is not None}


async def test_the_memory_has_a_bound_and_keeps_what_was_used_last(collector: Collector) -> None:
    recorded = Recorded(collector, most=2)
    cause = Cause(context=recorded.tracer.begin("step").context)
    for name in ("one", "two", "one", "three"):
        recorded.tracing.remember(name, cause)
    assert [recorded.tracing.cause(name) for name in ("one", "two", "three")] == [cause, None, cause]
    await recorded.told()


@pytest.mark.parametrize("refused", ["", "00-zz-zz-01", "00-" + "0" * 32 + "-" + "1" * 16 + "-01"])
async def test_what_is_no_traceparent_is_nobodys_trace(recorded: Recorded, refused: str) -> None:
    assert recorded.tracer.incoming(refused, "") is None
    await recorded.told()


async def test_contexts_of_another_tracer_are_refused(recorded: Recorded) -> None:
    class Foreign:
        trace_id = span_id = 1

    with pytest.raises(TypeError):
        recorded.tracer.begin("step", parent=Foreign())
    await recorded.told()
