"""Traces: where the time of one message went, told to whoever collects them.

The runtime knows spans and contexts and nothing of the library that sends them. While traces are off there is no tracer
at all, and nothing of this is asked for.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

Value = str | int | float | bool
Attributes = Mapping[str, Value]
"""Never what customers say, nor their numbers, names or other identities: ids of ours, words of ours, sizes."""
SpanKind = Literal["internal", "server", "client"]


class Context(Protocol):
    """Names one span of one trace. It is carried about and given back; only logs look into it."""

    @property
    def trace_id(self) -> int: ...

    @property
    def span_id(self) -> int: ...


class Span(Protocol):
    """Something under way. One that is never ended is never told."""

    @property
    def context(self) -> Context: ...

    @property
    def open(self) -> bool:
        """Whether it is recorded and has not ended."""
        ...

    def note(self, attributes: Attributes) -> None: ...

    def end(self, *, error: str = "") -> None:
        """It ends now; with `error`, a word of ours, it has failed."""
        ...


class Tracer(Protocol):
    """Never waits: what cannot be told in time is dropped."""

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
    ) -> Span:
        """A span that began `at` (unix seconds, or now). Without a parent it is in the trace `trace_id`; ids that are 0
        are random.
        """
        ...

    def known(self, name: bytes) -> Context:
        """The context that this name (16 bytes, as good as random) has in every process."""
        ...

    def incoming(self, traceparent: str, tracestate: str) -> Context | None:
        """The context of a caller (W3C Trace Context); None for what is none."""
        ...

    def header(self, context: Context) -> str:
        """`traceparent` for somebody who is called; empty when there is nothing to tell."""
        ...
