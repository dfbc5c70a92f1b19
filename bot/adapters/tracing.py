"""Traces by OpenTelemetry: spans go over OTLP/HTTP to the collector that the `OTEL_*` variables name.

Sampler, limits, size of the queue, address and headers are the SDK's own settings. Spans wait in a queue with a bound
and are sent by a thread of their own. While nobody takes them they are dropped, and the service goes on as if they
were.

Nothing else imports OpenTelemetry, and this module is imported only where traces are on.
"""

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from typing import Final

from opentelemetry.context import Context as Surroundings
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind as OtelKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bot import metrics
from bot.ports.tracing import Attributes, Context, SpanKind

INSTRUMENTATION: Final = "whatsapp-support-desk"
NANOSECONDS: Final = 1_000_000_000

_KINDS: Final[dict[SpanKind, OtelKind]] = {
    "internal": OtelKind.INTERNAL,
    "server": OtelKind.SERVER,
    "client": OtelKind.CLIENT,
}
_NOWHERE: Final = Surroundings()
_propagator: Final = TraceContextTextMapPropagator()


class RecordedSpan:
    """A `bot.ports.tracing.Span`."""

    __slots__ = ("_span", "context")

    def __init__(self, span: OtelSpan) -> None:
        self._span = span
        self.context: Context = span.get_span_context()

    @property
    def open(self) -> bool:
        return self._span.is_recording()

    def note(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def end(self, *, error: str = "") -> None:
        if error:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class ChosenIds(RandomIdGenerator):
    """Random ids, but for those that are chosen for the span that is begun next."""

    trace_id = 0
    span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id or super().generate_trace_id()

    def generate_span_id(self) -> int:
        return self.span_id or super().generate_span_id()


class CountedExporter(OTLPSpanExporter):
    """Counts what was taken and what was not. Called by the processor's thread."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        metrics.spans_total.labels("exported" if result is SpanExportResult.SUCCESS else "failed").inc(len(spans))
        return result


class CountedProcessor(BatchSpanProcessor):
    """Counts what is to be told."""

    def on_end(self, span: ReadableSpan) -> None:
        metrics.spans_ended_total.inc()
        super().on_end(span)


class OtelTracer:
    """A `bot.ports.tracing.Tracer`, for the event loop's thread alone."""

    def __init__(self, *, version: str, replica: str) -> None:
        """What `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say of the service goes before what is said here."""
        ours = Resource({"service.name": INSTRUMENTATION, "service.version": version, "service.instance.id": replica})
        self._ids = ChosenIds()
        self._provider = TracerProvider(
            resource=ours.merge(OTELResourceDetector().detect()), id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(CountedProcessor(CountedExporter()))
        self._tracer = self._provider.get_tracer(INSTRUMENTATION, version)

    def begin(
        self,
        name: str,
        *,
        kind: SpanKind = "internal",
        parent: Context | None = None,
        links: Sequence[Context] = (),
        at: float | None = None,
        attributes: Attributes | None = None,
        trace_id: int = 0,
        span_id: int = 0,
    ) -> RecordedSpan:
        self._ids.trace_id, self._ids.span_id = trace_id, span_id
        span = self._tracer.start_span(
            name,
            _NOWHERE if parent is None else _below(parent),
            _KINDS[kind],
            attributes,
            [Link(_native(one)) for one in links],
            None if at is None else int(at * NANOSECONDS),
        )
        return RecordedSpan(span)

    def known(self, name: bytes) -> SpanContext:
        """Whether it is sampled is what the sampler says of a trace with this id, here as anywhere."""
        trace_id, span_id = int.from_bytes(name[:16], "big") or 1, int.from_bytes(name[:8], "big") or 1
        decision = self._provider.sampler.should_sample(_NOWHERE, trace_id, "").decision
        flags = TraceFlags(TraceFlags.SAMPLED if decision is Decision.RECORD_AND_SAMPLE else TraceFlags.DEFAULT)
        return SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags)

    def incoming(self, traceparent: str, tracestate: str) -> SpanContext | None:
        carrier = {"traceparent": traceparent, "tracestate": tracestate}
        context = get_current_span(_propagator.extract(carrier, _NOWHERE)).get_span_context()
        return context if context.is_valid else None

    def header(self, context: Context) -> str:
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, _below(context))
        return carrier.get("traceparent", "")

    async def close(self, seconds: float) -> None:
        """Tell what waits, for so many seconds at most; a collector that hangs does not hold the process up."""
        loop = asyncio.get_running_loop()
        closed = asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop did not wait for so long
                loop.call_soon_threadsafe(closed.set)

        threading.Thread(target=shut_down, name="last traces", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(closed.wait(), seconds)


def _below(parent: Context) -> Surroundings:
    return set_span_in_context(NonRecordingSpan(_native(parent)), _NOWHERE)


def _native(context: Context) -> SpanContext:
    """Contexts come from here and come back here."""
    if not isinstance(context, SpanContext):
        raise TypeError("a context of another tracer")
    return context
