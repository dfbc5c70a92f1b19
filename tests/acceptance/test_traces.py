"""With traces on, a collector is told where the time of a message went, nothing of who wrote what, and may be away."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.acceptance.collector import Collector, Told, collecting
from tests.acceptance.sharing import new_phone, shared_stage
from tests.acceptance.stage import COMMIT, Stage
from tests.acceptance.test_webhooks_out import receiving, subscribe
from tests.acceptance.world import ROOT, until
from tests.conftest import Servers

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVER, CLIENT = 2, 3
"""Kinds of spans, as OTLP numbers them."""
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ARRIVAL = ["webhook.receive", "intake.journal", "actor.step", "commit"]
HOURS = "We are open Monday to Saturday, 9 am to 6 pm. (simulated)"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as collector:
        yield collector


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(
    servers: Servers, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("traces")
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_SERVICE_NAME": "desk"}
    async with shared_stage(servers, folder, TRACING="otlp", WEBHOOK_ALLOW_PRIVATE="true", **told) as stage:
        yield stage


async def found(collector: Collector, name: str, trace: str = "", count: int = 1) -> list[Told]:
    await until(lambda: len(collector.named(name, trace)) >= count, f"{count} spans {name}")
    return collector.named(name, trace)


async def test_a_conversation_is_one_trace_a_message_from_the_webhook_to_the_provider(
    stage: Stage, collector: Collector
) -> None:
    phone, words = new_phone(), "hello zanzibar"
    await stage.hear(words, phone)
    await stage.reached(1, phone)
    (sent,) = await found(collector, "delivery.send")
    await found(collector, "webhook.receive", sent.trace)
    assert collector.path(sent) == [*ARRIVAL, "delivery.send"]
    spans = {span.name: span for span in collector.spans if span.trace == sent.trace}
    assert spans["webhook.receive"].attributes == {
        "http.request.method": "POST",
        "http.route": "/webhook/msg91",
        "http.response.status_code": 200,
        "bot.events": 1,
        "bot.messages": 1,
    }
    talk = (await stage.conversation(phone))["id"]
    assert {spans[name].attributes["bot.conversation.id"] for name in ("actor.step", "commit", "delivery.send")} == {
        talk
    }
    assert spans["actor.step"].attributes["bot.event"] == spans["intake.journal"].attributes["bot.event"]
    assert (spans["webhook.receive"].kind, sent.kind) == (SERVER, CLIENT)
    assert sent.attributes["http.request.method"] == "POST"
    assert sent.attributes["http.response.status_code"] == 200
    assert str(sent.attributes["url.full"]).startswith(stage.sandbox.url)
    assert sent.attributes["server.address"] == "127.0.0.1"
    assert sent.resource["service.name"] == "desk"
    assert not any(span.failed or span.seconds < 0 for span in spans.values())
    told = b"".join(collector.raw)
    assert not [secret for secret in (phone, "zanzibar", "Heard") if secret.encode() in told]


async def test_the_question_to_a_model_and_its_answer_are_in_the_trace_of_the_message(
    stage: Stage, collector: Collector
) -> None:
    phone = new_phone()
    await stage.hear("What are your opening hours?", phone)
    await stage.told(HOURS, phone=phone)
    (asked,) = await found(collector, "model.ask")
    await until(lambda: len(collector.named("delivery.send", asked.trace)) == 1, "the answer's span")
    (sent,) = collector.named("delivery.send", asked.trace)
    heard = ["intake.journal", "actor.step", "commit"]
    assert collector.path(asked) == [*ARRIVAL, *heard, "model.ask"]
    assert collector.path(sent) == [*ARRIVAL, *heard, "model.ask", *heard, "delivery.send"]
    assert (asked.kind, asked.attributes["gen_ai.request.model"]) == (CLIENT, "stand-in/first")
    assert asked.attributes["gen_ai.response.model"] == "stand-in/first"
    assert int(asked.attributes["gen_ai.usage.input_tokens"]) > 0
    assert int(asked.attributes["gen_ai.usage.output_tokens"]) > 0
    assert not [words for words in (b"opening", b"Monday", phone.encode()) if words in b"".join(collector.raw)]


async def test_a_callers_trace_goes_on_here_and_in_what_we_tell_other_systems(
    stage: Stage, collector: Collector
) -> None:
    phone, trace = new_phone(), CALLER.split("-")[1]
    status, _ = await stage.service.post(stage.message(phone, "hello"), traceparent=CALLER)
    assert status == 200
    await stage.reached(1, phone)
    (came,) = await found(collector, "webhook.receive", trace)
    await found(collector, "delivery.send", trace)
    assert came.parent == CALLER.split("-")[2]
    async with receiving() as receiver:
        await subscribe(stage, receiver, "conversation.resolved")
        talk = (await stage.conversation(phone))["id"]
        trace = "f" * 32
        caller = f"00-{trace}-{'e' * 16}-01"
        await stage.service.api("POST", f"/conversations/{talk}/resolve", {"by": "zoe"}, traceparent=caller)
        await until(lambda: receiver.told, "it is told")
        (delivered,) = await found(collector, "webhook.deliver", trace)
        (asked,) = await found(collector, "api.request", trace)
    assert receiver.told[0].headers["traceparent"] == f"00-{trace}-{delivered.span}-01"
    assert collector.path(delivered) == ["api.request", "intake.journal", "actor.step", "commit", "webhook.deliver"]
    assert asked.parent == "e" * 16
    assert asked.attributes["http.route"] == "/api/v1/conversations/{id}/resolve"
    assert asked.attributes["http.response.status_code"] == 200
    await stage.service.api("GET", "/stats", token="wrong", traceparent=f"00-{'d' * 32}-{'e' * 16}-01")
    await stage.service.api("GET", "/stats", traceparent=f"00-{'c' * 32}-{'e' * 16}-01")
    await found(collector, "api.request", "c" * 32)
    assert not collector.named("api.request", "d" * 32)


async def test_who_goes_on_after_a_death_goes_on_in_the_same_trace(stage: Stage, collector: Collector) -> None:
    phone = new_phone()
    known = {span.span for span in collector.spans}
    trap = stage.proxy.trap(COMMIT, "before")
    await stage.hear("hello", phone)
    await asyncio.wait_for(trap.sprung.wait(), 30)

    def journalled() -> list[Told]:
        return [span for span in collector.named("intake.journal") if span.span not in known]

    (event,) = await until(journalled, "the journalling is told before the death")
    await stage.die_at(trap)
    await stage.service.start()
    await stage.told("Heard hello", phone=phone)
    (sent,) = await found(collector, "delivery.send", event.trace)
    (resumed,) = (step for step in collector.named("actor.step", event.trace) if "bot.resumed" in step.attributes)
    assert resumed.parent == event.span
    assert collector.path(sent)[-3:] == ["actor.step", "commit", "delivery.send"]


async def test_a_collector_that_refuses_or_hangs_is_nobodys_trouble(stage: Stage, collector: Collector) -> None:
    phone = new_phone()
    collector.status = 400
    failed = 'bot_spans_total{outcome="failed"}'
    await stage.hear("hello", phone)
    await stage.told("Heard hello", phone=phone)
    await until(lambda: told_metric(stage, failed), "spans are counted as lost")
    collector.well.clear()
    await stage.hear("again", phone)
    await stage.told("Heard hello", "Echo again", phone=phone)
    began = time.monotonic()
    assert await stage.service.terminate() == 0
    assert time.monotonic() - began < 6
    collector.status = 200
    collector.well.set()
    await stage.service.start()


async def told_metric(stage: Stage, series: str) -> bool:
    async with stage.session.get(f"{stage.service.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return any(line.startswith(series) and float(line.split()[-1]) > 0 for line in lines)


async def test_while_traces_are_off_nothing_that_makes_or_sends_them_is_imported() -> None:
    """The client for Redis imports OpenTelemetry's metrics by itself where they are installed."""
    program = """
import asyncio, sys
import bot.commands.serve
from bot.config import Settings
from bot.tracing import tracing_of

async def run():
    async with tracing_of(Settings(), None) as tracing:
        assert tracing is None

asyncio.run(run())
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk.trace", "opentelemetry.exporter"))])
"""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
