"""What HTTP did is in the span of a send, and neither MSG91 nor OpenRouter is told of a trace."""

from collections.abc import AsyncIterator

import pytest

from bot.adapters.tracing import OtelTracer
from bot.config import Settings
from bot.core.effects import AskModel
from bot.core.ids import ConversationId, EffectId
from bot.core.messages import Text
from bot.providers import channel_of, model_of, provider_of, session_of
from bot.runtime.traced import TracedChannel, TracedModel
from bot.runtime.tracing import Tracing
from tests.acceptance.collector import Collector, collecting
from tests.adapters.raw_server import Peer, raw_server


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    async with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector


async def test_the_providers_see_what_they_always_see(collector: Collector) -> None:
    asked: list[bytes] = []

    async def manner(peer: Peer) -> None:
        asked.append(await peer.request())
        await peer.say(b"HTTP/1.1 418 odd\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    tracer = OtelTracer(version="1", replica="blue")
    tracing = Tracing(tracer, fingerprint=lambda *_: b"", asking={})
    async with raw_server(manner) as server:
        base = f"http://127.0.0.1:{server.port}/v5"
        settings = Settings(
            msg91_base_url=base, openrouter_base_url=base, openrouter_api_key="key", openrouter_primary_model="a/b"
        )
        provider = provider_of(settings)
        watched = channel_of(provider, settings, tracing)
        channel = TracedChannel(watched, tracing)
        async with session_of(settings) as session:
            for one in (channel, watched):
                await one.send(Text(text="hello"), number="1", recipient="919000000002", reference="m1")
            model = model_of(session, settings)
            assert model is not None
            question = AskModel(id=EffectId("e"), conversation=ConversationId("c"), system="", turns=(), caused_at=1.0)
            await TracedModel(model, tracing).answer(question, customer_hash="")
            await model.close()
        await provider.close()
    await tracer.close(5.0)
    sent = next(span for span in collector.spans if span.name == "delivery.send")
    assert sent.attributes["http.response.status_code"] == 418
    assert str(sent.attributes["url.full"]).startswith(f"{base}/")
    assert (sent.attributes["server.port"], sent.attributes["url.scheme"]) == (server.port, "http")
    assert len(asked) >= 3
    assert not [request for request in asked if b"traceparent" in request.lower()]
