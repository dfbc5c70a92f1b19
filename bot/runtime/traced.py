"""The ports whose calls are told in traces: the store's commit, the channel, the model, the courier.

Each stands before its adapter and does what that does. They stand there only where traces are on.
"""

from collections.abc import Mapping, Sequence

import msgspec

from bot.core.effects import AskModel
from bot.core.events import ModelAnswered, ModelFailed
from bot.core.messages import Outbound
from bot.ports.outside import Channel, Model
from bot.ports.store import Store, Write
from bot.ports.tracing import Span, Value
from bot.ports.webhooks import Answered, Courier
from bot.runtime.engine import Ports
from bot.runtime.tracing import Cause, Tracing, server_of, whose, within
from bot.wire.msg91.outcomes import Accepted, Deferred, Rejected, SendOutcome


def traced(ports: Ports, tracing: Tracing) -> Ports:
    """The ports, each with its spans."""
    return msgspec.structs.replace(
        ports,
        store=TracedStore(ports.store, tracing),
        channel=TracedChannel(ports.channel, tracing),
        model=ports.model and TracedModel(ports.model, tracing),
        courier=TracedCourier(ports.courier, tracing),
    )


class TracedStore:
    """A `Store`. Each write of a batch has a span of its own, below one of its steps and linked to the others."""

    def __init__(self, store: Store, tracing: Tracing) -> None:
        self._tracing = tracing
        self._store = store
        self.load = store.load

    async def commit(self, writes: Sequence[Write]) -> Sequence[bool]:
        at = self._tracing.now()
        try:
            results = await self._store.commit(writes)
        except Exception as problem:
            for write in writes:
                self._tell(write, at, len(writes), error=type(problem).__name__)
            raise
        for write, done in zip(writes, results, strict=True):
            self._tell(write, at, len(writes), error="" if done else "stale")
        return results

    def _tell(self, write: Write, at: float, size: int, *, error: str) -> None:
        names = [row.id for rows in (write.messages, write.effects, write.timers) for row in rows]
        conversation = write.conversations[-1].id if write.conversations else ""
        causes = [cause for cause in map(self._tracing.cause, (*names, conversation)) if cause is not None]
        if not causes:
            return
        steps = {cause.context.span_id: cause.context for cause in causes}
        first, *others = steps.values()
        span = self._tracing.tracer.begin(
            "commit",
            parent=first,
            links=others,
            at=at,
            attributes={"db.operation.batch.size": size, **whose(write.customer, conversation)},
        )
        span.end(error=error)
        if not error:
            cause = Cause(context=span.context, customer=write.customer, conversation=conversation)
            for name in (*names, *(row.id for row in write.announcements)):
                self._tracing.remember(name, cause)


class TracedChannel:
    """A `Channel`. What HTTP has to say is noted by the client (`bot/adapters/watched_client.py`)."""

    def __init__(self, channel: Channel, tracing: Tracing) -> None:
        self._channel = channel
        self._tracing = tracing

    async def send(self, content: Outbound, *, number: str, recipient: str, reference: str) -> SendOutcome:
        cause = self._tracing.cause(reference)
        span = self._tracing.tracer.begin(
            "delivery.send",
            kind="client",
            parent=cause.context if cause else None,
            attributes={"bot.message.id": reference, **(cause.attributes if cause else {})},
        )
        with within(span):
            outcome = await self._channel.send(content, number=number, recipient=recipient, reference=reference)
        match outcome:
            case Accepted():
                span.end()
            case Rejected(code=code):
                span.note({"bot.provider.code": code})
                span.end(error="rejected")
            case Deferred(code=code, scope=scope, uncertain=uncertain):
                span.note({"bot.provider.code": code, "bot.deferred": scope, "bot.uncertain": uncertain})
                span.end(error="deferred")
        return outcome


class TracedModel:
    """A `Model`. One span for the whole chain of models, by the conventions for generative models, without content."""

    def __init__(self, model: Model, tracing: Tracing) -> None:
        self._model = model
        self._tracing = tracing

    async def answer(self, question: AskModel, *, customer_hash: str) -> ModelAnswered | ModelFailed:
        cause = self._tracing.cause(question.id)
        mine = cause.attributes if cause else whose(None, question.conversation)
        span = self._tracing.tracer.begin(
            "model.ask",
            kind="client",
            parent=cause.context if cause else None,
            attributes={**self._tracing.asking, **mine},
        )
        with within(span):
            outcome = await self._model.answer(question, customer_hash=customer_hash)
        self._end(span, outcome)
        self._tracing.remember(question.id, Cause(context=span.context, conversation=question.conversation))
        return outcome

    def _end(self, span: Span, outcome: ModelAnswered | ModelFailed) -> None:
        use = outcome.use
        told: dict[str, Value] = {
            "gen_ai.usage.input_tokens": use.prompt_tokens,
            "gen_ai.usage.output_tokens": use.completion_tokens,
            "bot.model.attempts": use.attempts,
            "bot.model.cost_usd": use.cost_usd,
        }
        if use.model:
            told["gen_ai.response.model"] = use.model
        if use.generation_id:
            told["gen_ai.response.id"] = use.generation_id
        span.note(told)
        span.end(error=outcome.failure if isinstance(outcome, ModelFailed) else "")


class TracedCourier:
    """A `Courier`. The receiver is told the trace, so that its own spans come below ours."""

    def __init__(self, courier: Courier, tracing: Tracing) -> None:
        self._courier = courier
        self._tracing = tracing

    async def deliver(self, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        cause = self._tracing.cause(headers.get("webhook-id", ""))
        span = self._tracing.tracer.begin(
            "webhook.deliver",
            kind="client",
            parent=cause.context if cause else None,
            attributes={**server_of(url), "http.request.method": "POST", **(cause.attributes if cause else {})},
        )
        traceparent = self._tracing.tracer.header(span.context)
        with within(span):
            answered = await self._courier.deliver(
                url, {**headers, "traceparent": traceparent} if traceparent else headers, body
            )
        if answered.status:
            span.note({"http.response.status_code": answered.status})
        span.end(error="" if 200 <= answered.status < 300 else str(answered.status or "no_answer"))
        return answered
