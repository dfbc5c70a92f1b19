"""Time and cost of a chain: one deadline, shares of it, and a sum over every attempt."""

import asyncio
import time

import aiohttp
import orjson
import pytest

from tests.adapters.openrouter_script import (
    Entry,
    body,
    completion,
    cut_off,
    desk,
    error,
    hang,
    reset,
    said,
    trickle,
)

AFFORD = (
    "This request requires more credits, or fewer max_tokens. You requested up to 500 tokens, but can only afford {}."
)
RELAYED = "Provider returned error"


@pytest.mark.parametrize("slow", [hang, trickle])
async def test_a_model_that_hangs_leaves_half_the_time_for_its_fallback(slow: Entry) -> None:
    async with desk(slow, said("From two."), timeout=0.3, clock=time.monotonic) as it:
        outcome = await it.answered()
        assert outcome.text == "From two."
        assert it.script.models == ["a/one", "b/two"]
        assert outcome.use.seconds < 0.3
        assert outcome.use.estimated


async def test_the_only_model_has_all_the_time_and_then_it_is_over() -> None:
    async with desk(hang, models=("a/one",), timeout=0.06, clock=time.monotonic) as it:
        begun = time.monotonic()
        failure = await it.failed()
        assert failure.failure == "timeout"
        assert 0.05 <= time.monotonic() - begun < 1.0
        assert failure.use.attempts == 1


async def test_a_fallback_that_may_not_be_called_takes_no_share_of_the_time() -> None:
    async with desk(hang, timeout=0.1, clock=time.monotonic) as it:
        it.chain.breakers()["b/two"].failed(open_for=100.0)
        failure = await it.failed()
        assert failure.use.seconds >= 0.095


async def test_when_every_model_hangs_the_deadline_of_the_chain_holds() -> None:
    async with desk(hang, trickle, hang, models=("a", "b", "c"), timeout=0.12, clock=time.monotonic) as it:
        failure = await it.failed()
        assert failure.failure == "timeout"
        assert failure.use.seconds < 0.5


async def test_no_call_is_begun_with_hardly_any_time_left() -> None:
    async with desk(error(500, "x"), models=("a/one",), timeout=0.512) as it:
        assert (await it.failed()).failure == "timeout"
        assert len(it.script.calls) == 1


async def test_cancelling_a_question_frees_the_probe_it_held() -> None:
    async with desk(hang, models=("a/one",)) as it:
        it.chain.breakers()["a/one"].failed(open_for=10.0)
        it.time.now += 10
        question = asyncio.create_task(it.ask())
        await it.script.called()
        assert it.state("a/one") == "half_open"
        question.cancel()
        with pytest.raises(asyncio.CancelledError):
            await question
        assert (await it.answered()).text == "the script is over"


PRICES = {"data": [{"id": "a/one", "pricing": {"prompt": "0.001", "completion": "0.01"}}]}


async def test_an_answer_without_its_cost_is_estimated_from_the_list_price() -> None:
    no_cost = completion(usage={"prompt_tokens": 10, "completion_tokens": 5, "cost": None})
    async with desk(body(200, orjson.dumps(no_cost))) as it:
        it.script.gets["/api/v1/models"] = body(200, orjson.dumps(PRICES))
        await it.chain.refresh_prices()
        use = (await it.answered()).use
        assert use.cost_usd == pytest.approx(0.06)
        assert use.estimated


async def test_an_answer_without_usage_is_estimated_from_its_length() -> None:
    async with desk(said("x" * 300, usage=None)) as it:
        it.script.gets["/api/v1/models"] = body(200, orjson.dumps(PRICES))
        await it.chain.refresh_prices()
        use = (await it.answered()).use
        assert use.completion_tokens == 100
        assert use.estimated
        assert use.cost_usd > 1.0


async def test_a_call_that_broke_off_is_counted_at_its_highest_cost_but_not_in_tokens() -> None:
    async with desk(cut_off, said()) as it:
        it.script.gets["/api/v1/models"] = body(200, orjson.dumps(PRICES))
        await it.chain.refresh_prices()
        use = (await it.answered()).use
        assert use.cost_usd == pytest.approx(0.001 + 500 * 0.01 + 10 * 0.001)
        assert (use.prompt_tokens, use.completion_tokens, use.estimated) == (10, 5, True)


async def test_prices_are_fetched_in_the_background_once_an_estimate_was_needed() -> None:
    async with desk(said(usage=None), said(usage=None), said(usage=None)) as it:
        fetched = asyncio.Event()

        async def prices(_request: object) -> aiohttp.web.StreamResponse:
            fetched.set()
            return aiohttp.web.json_response(PRICES)

        it.script.gets["/api/v1/models"] = prices
        assert (await it.answered()).use.cost_usd == 0.0
        await asyncio.wait_for(fetched.wait(), 5)
        await it.background()
        assert (await it.answered()).use.cost_usd > 0
        assert it.script.fetched == ["/api/v1/models"]


@pytest.mark.parametrize("entry", [body(500, b"{}"), body(200, b"<html>"), reset])
async def test_prices_that_cannot_be_had_do_no_harm(entry: Entry) -> None:
    async with desk(said(usage=None)) as it:
        it.script.gets["/api/v1/models"] = entry
        await it.chain.refresh_prices()
        assert (await it.answered()).use.estimated


async def test_closing_ends_a_fetch_that_is_under_way() -> None:
    async with desk(said(usage=None)) as it:
        it.script.gets["/api/v1/models"] = hang
        await it.answered()
        await asyncio.wait_for(it.chain.close(), 5)
