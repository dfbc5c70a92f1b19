"""An OTLP/HTTP collector on loopback: it decodes what it is sent and keeps the spans."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from tests.acceptance.world import free_port

Value = str | int | float | bool


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One span, its ids in hex; `parent` is empty at a root. `links`: ids of spans."""

    name: str
    trace: str
    span: str
    parent: str
    links: tuple[str, ...]
    kind: int
    seconds: float
    failed: bool
    attributes: dict[str, Value]
    resource: dict[str, Value]


class Collector:
    """Answers `status` to whatever comes, once it is `well`; `raw` is every body that came."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.status = 200
        self.well = asyncio.Event()
        self.well.set()
        self.spans: list[Told] = []
        self.raw: list[bytes] = []

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.raw.append(body)
        await self.well.wait()
        if self.status == 200:
            self.spans += spans_in(body)
        return web.Response(status=self.status)

    def named(self, name: str, trace: str = "") -> list[Told]:
        return [span for span in self.spans if span.name == name and trace in {"", span.trace}]

    def path(self, span: Told) -> list[str]:
        """The names from the root down to this span, as far as they are known."""
        known = {one.span: one for one in self.spans}
        names = [span.name]
        while span.parent in known:
            span = known[span.parent]
            names.append(span.name)
        return names[::-1]


def spans_in(body: bytes) -> Sequence[Told]:
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    return [
        Told(
            name=span.name,
            trace=span.trace_id.hex(),
            span=span.span_id.hex(),
            parent=span.parent_span_id.hex(),
            links=tuple(link.span_id.hex() for link in span.links),
            kind=span.kind,
            seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
            failed=span.status.code == span.status.STATUS_CODE_ERROR,
            attributes=_attributes(span.attributes),
            resource=_attributes(group.resource.attributes),
        )
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _attributes(pairs: Sequence[KeyValue]) -> dict[str, Value]:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in pairs}


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", collector.port).start()
    try:
        yield collector
    finally:
        await runner.cleanup()
