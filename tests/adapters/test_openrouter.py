"""The chain of models against a real server: every failure ends in an answer, a fallback's answer, or a clear word."""

import asyncio
import logging
import time
from typing import Any, NoReturn

import aiohttp
import orjson
import pytest

from bot.adapters.openrouter import guards
from bot.adapters.openrouter.chain import OpenRouter
from bot.adapters.openrouter.client import Client
from bot.adapters.openrouter.retries import IN_FLIGHT_WAIT
from bot.core.events import ModelAnswered, ModelFailed, ModelFailure, ModelUse
from bot.runtime.breaker import BreakerState
from bot.wire.openrouter.failures import Failure
from tests.adapters.openrouter_script import (
    QUESTION,
    Entry,
    body,
    completion,
    cut_off,
    desk,
    error,
    flood,
    hang,
    reset,
    said,
    trickle,
)

AFFORD = (
    "This request requires more credits, or fewer max_tokens. You requested up to 500 tokens, but can only afford {}."
)
RELAYED = "Provider returned error"


async def test_the_first_model_answers_and_its_use_is_counted() -> None:
    async with desk(said("Hello.")) as it:
        outcome = await it.answered()
        assert outcome == ModelAnswered(
            ask_id=QUESTION.id,
            text="Hello.",
            use=ModelUse(
                model="a/one", prompt_tokens=10, completion_tokens=5, cost_usd=0.001, attempts=1, generation_id="gen-1"
            ),
        )
        call = it.script.calls[0]
        assert (call["model"], call["max_tokens"], call["user"]) == ("a/one", 500, "h-1")
        assert call["messages"][0] == {"role": "system", "content": "Be kind."}
        assert "models" not in call
        assert it.script.headers[0]["Authorization"] == "Bearer sk-or-v1-key"


async def test_keep_alive_lines_before_the_answer_do_no_harm() -> None:
    async with desk(body(200, b"\n\n \n\n" + orjson.dumps(completion("Hi")))) as it:
        assert (await it.answered()).text == "Hi"


@pytest.mark.parametrize(
    "entry",
    [
        error(500, "Internal Server Error"),
        error(503, RELAYED, provider_name="P"),
        body(502, b"<html>Bad gateway</html>"),
        body(524, b""),
        body(200, b"<html>"),
        body(200, b"\n\n\n"),
        body(200, orjson.dumps(completion())[:70]),
        body(200, b'{"id":null,"choices":null,"created":1,"model":null,"object":null,"usage":null}'),
        body(200, b'{"error":{"code":502,"message":"Provider disconnected"}}'),
        said(None),
        said("", finish="stop"),
        said("half", finish="error"),
        cut_off,
        flood,
        reset,
    ],
)
async def test_what_may_pass_is_tried_once_more_on_the_same_model(entry: Entry) -> None:
    async with desk(entry, said("Better now.")) as it:
        outcome = await it.answered()
        assert outcome.text == "Better now."
        assert it.script.models == ["a/one", "a/one"]
        assert outcome.use.attempts == 2
        assert it.time.slept == [0.5]


async def test_a_model_that_stays_down_hands_over_to_the_next() -> None:
    async with desk(error(500, "x"), error(500, "x"), said("From two.", model="b/two")) as it:
        outcome = await it.answered()
        assert (outcome.text, outcome.use.model, outcome.use.attempts) == ("From two.", "b/two", 3)
        assert it.script.models == ["a/one", "a/one", "b/two"]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404])
async def test_a_relayed_refusal_goes_to_the_next_model_and_stops_nothing(status: int) -> None:
    async with desk(error(status, RELAYED, provider_name="P", raw="x"), said()) as it:
        await it.answered()
        assert it.script.models == ["a/one", "b/two"]
        assert it.chain.stopped_reason == ""


async def test_money_and_tokens_of_failed_attempts_are_added_up() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 0, "cost": 0.0002}
    failed = body(200, orjson.dumps({"id": "gen-0", "choices": [], "usage": usage}))
    async with desk(failed, said()) as it:
        use = (await it.answered()).use
        assert (use.prompt_tokens, use.completion_tokens, use.attempts) == (17, 5, 2)
        assert use.cost_usd == pytest.approx(0.0012)
        assert not use.estimated
        assert use.seconds == 0.5


async def test_all_models_down_is_one_clear_failure_with_its_cost() -> None:
    async with desk(models=("a/one", "b/two", "a/one")) as it:
        it.script.otherwise = error(503, "x")
        failure = await it.failed()
        assert (failure.failure, failure.ask_id, failure.use.attempts) == ("unavailable", QUESTION.id, 4)
        assert it.script.models == ["a/one", "a/one", "b/two", "b/two"]


# --- account ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "entry",
    [
        error(401, "No auth credentials found"),
        error(402, "Insufficient credits. Add more using https://openrouter.ai/credits"),
        error(402, "x", limit_source="openrouter_key_limit"),
        error(403, "Key limit exceeded (monthly limit)."),
        error(403, "Workspace monthly budget of $500.00 exceeded."),
    ],
)
async def test_an_account_that_is_refused_stops_every_call_until_one_probe_gets_through(entry: Entry) -> None:
    async with desk(entry) as it:
        assert (await it.failed()).failure == "account"
        assert it.chain.stopped_reason
        assert it.state(guards.ACCOUNT) == "open"
        silent = await it.failed()
        assert (silent.failure, silent.use.attempts) == ("account", 0)
        assert len(it.script.calls) == 1
        it.time.now += guards.ACCOUNT_STOP
        assert (await it.answered()).text == "the script is over"
        assert it.chain.stopped_reason == ""
        assert len(it.script.calls) == 2


async def test_after_a_stop_only_one_of_many_questions_probes() -> None:
    async with desk(error(402, "Insufficient credits"), models=("a/one",)) as it:
        await it.failed()
        it.time.now += guards.ACCOUNT_STOP
        outcomes = await asyncio.gather(*(it.ask() for _ in range(10)))
        assert sum(isinstance(outcome, ModelAnswered) for outcome in outcomes) == 1
        assert len(it.script.calls) == 2


async def test_a_limit_that_ends_sooner_is_probed_sooner() -> None:
    async with desk(error(402, "x", {"Retry-After": "20"}, limit_source="openrouter_key_limit")) as it:
        await it.failed()
        it.time.now += 20
        assert isinstance(await it.ask(), ModelAnswered)


async def test_money_that_is_only_in_flight_is_waited_for_on_the_same_model() -> None:
    in_flight = error(402, "x", {"Retry-After": "8"}, reason="in_flight_budget_exhausted")
    async with desk(in_flight, said()) as it:
        await it.answered()
        assert it.script.models == ["a/one", "a/one"]
        assert it.time.slept == [8 * 1.125]
        assert it.chain.stopped_reason == ""


async def test_money_in_flight_for_too_long_ends_without_asking_another_model() -> None:
    async with desk() as it:
        it.script.otherwise = error(402, "x", reason="in_flight_budget_exhausted")
        assert (await it.failed()).failure == "unavailable"
        assert it.script.models == ["a/one"] * 4
        assert it.time.slept == [IN_FLIGHT_WAIT * 1.125] * 3
        assert it.state("a/one") == "closed"


async def test_a_wait_that_does_not_fit_the_deadline_is_not_begun() -> None:
    async with desk(error(402, "x", {"Retry-After": "31"}, reason="in_flight_budget_exhausted")) as it:
        assert (await it.failed()).failure == "unavailable"
        assert it.time.slept == []


async def test_with_money_in_flight_fewer_calls_go_out_at_once() -> None:
    async with desk(models=("a/one",)) as it:
        under_way = most = 0

        async def slow(request: object) -> aiohttp.web.StreamResponse:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.005)
            under_way -= 1
            return aiohttp.web.json_response(completion())

        it.script.entries = [error(402, "x", reason="in_flight_budget_exhausted")]
        it.script.otherwise = slow
        outcomes = await asyncio.gather(*(it.ask() for _ in range(2)))
        assert all(isinstance(outcome, ModelAnswered) for outcome in outcomes)
        most = 0
        await asyncio.gather(*(it.ask() for _ in range(6)))
        assert most < 6


async def test_a_question_that_finds_no_room_in_time_fails_without_a_call() -> None:
    settings: dict[str, Any] = {"timeout": 0.05, "clock": time.monotonic}
    async with desk(
        error(402, "x", {"Retry-After": "0"}, reason="in_flight_budget_exhausted"), models=("a/one",), **settings
    ) as it:
        it.script.otherwise = hang
        first = asyncio.create_task(it.ask())
        await it.script.called(2)
        others = await asyncio.gather(it.failed(), it.failed())
        assert [(other.failure, other.use.attempts) for other in others] == [("timeout", 0)] * 2
        await first
        assert len(it.script.calls) == 2


async def test_an_answer_that_is_too_dear_is_asked_for_shorter() -> None:
    async with desk(error(402, AFFORD.format(200)), said()) as it:
        await it.answered()
        assert [call["max_tokens"] for call in it.script.calls] == [500, 200]


async def test_a_request_too_heavy_for_the_balance_is_halved_then_taken_to_the_next_model() -> None:
    heavy = error(402, "x", reason="weight_exceeds_budget", limit_source="openrouter_credits")
    async with desk(heavy, heavy, said()) as it:
        await it.answered()
        assert [(call["model"], call["max_tokens"]) for call in it.script.calls] == [
            ("a/one", 500),
            ("a/one", 250),
            ("b/two", 500),
        ]
        assert it.chain.stopped_reason == ""


async def test_when_no_model_is_affordable_the_account_stops() -> None:
    async with desk() as it:
        it.script.otherwise = error(402, AFFORD.format(3))
        assert (await it.failed()).failure == "account"
        assert it.script.models == ["a/one", "b/two"]
        assert it.chain.stopped_reason == "no model is affordable any more"


async def test_one_model_that_is_too_dear_stops_nothing_while_another_rests() -> None:
    async with desk() as it:
        it.chain.breakers()["b/two"].failed(open_for=100.0)
        it.script.otherwise = error(402, AFFORD.format(3))
        assert (await it.failed()).failure == "unavailable"
        assert it.chain.stopped_reason == ""


# --- what was asked --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "failure"),
    [
        (error(403, "x requires moderation on Y.", reasons=["self-harm"], flagged_input="my secret"), "refused"),
        (error(403, "Request blocked: prompt injection patterns detected", patterns=["p"]), "refused"),
        (error(400, "no", error_type="content_policy_violation"), "refused"),
        (said("", finish="content_filter"), "refused"),
        (error(400, "bad", error_type="invalid_request"), "invalid"),
        (error(422, "bad"), "invalid"),
        (body(413, b"too large"), "invalid"),
    ],
)
async def test_what_no_model_will_take_is_not_offered_to_another(entry: Entry, failure: ModelFailure) -> None:
    async with desk(entry) as it:
        assert (await it.failed()).failure == failure
        assert len(it.script.calls) == 1
        assert {breaker.state for breaker in it.chain.breakers().values()} == {"closed"}


async def test_a_provider_that_refuses_leaves_it_to_the_next_and_a_person_if_all_fail() -> None:
    refusal = error(400, RELAYED, provider_name="P", error_type="content_policy_violation")
    async with desk(refusal, said()) as it:
        await it.answered()
    async with desk(refusal, error(400, RELAYED, provider_name="P")) as it:
        assert (await it.failed()).failure == "refused"


async def test_a_history_that_is_too_long_is_cut_and_whole_again_for_the_next_model() -> None:
    too_long = error(400, "x", error_type="context_length_exceeded")
    async with desk(too_long, too_long, said()) as it:
        await it.answered()
        said_turns = [[each["content"] for each in call["messages"][1:]] for call in it.script.calls]
        assert said_turns == [["One", "Two", "my secret words"], ["my secret words"], ["One", "Two", "my secret words"]]


async def test_a_question_too_long_for_every_model_is_our_fault() -> None:
    async with desk() as it:
        it.script.otherwise = error(400, "x", error_type="context_length_exceeded")
        assert (await it.failed()).failure == "invalid"


async def test_a_model_that_thinks_its_answer_away_gets_more_room_and_is_remembered() -> None:
    async with desk(said("", finish="length"), said(), said()) as it:
        await it.answered()
        await it.answered()
        assert [(call["max_tokens"], "reasoning" in call) for call in it.script.calls] == [
            (500, False),
            (1000, True),
            (500, True),
        ]


async def test_an_answer_cut_at_its_limit_ends_with_a_whole_sentence() -> None:
    async with desk(said("We open at nine. We close at", finish="length")) as it:
        assert (await it.answered()).text == "We open at nine."


# --- limits and breakers ---------------------------------------------------------------------------------------------


async def test_a_short_retry_after_is_waited_out() -> None:
    async with desk(error(429, RELAYED, {"Retry-After": "2"}, provider_name="P"), said()) as it:
        await it.answered()
        assert it.script.models == ["a/one", "a/one"]
        assert it.time.slept == [2 * 1.05]


async def test_a_long_retry_after_rests_the_model_for_that_long() -> None:
    async with desk(error(429, RELAYED, {"Retry-After": "40"}, provider_name="P")) as it:
        await it.answered()
        await it.answered()
        assert it.script.models == ["a/one", "b/two", "b/two"]
        assert it.time.slept == []
        it.time.now += 40
        await it.answered()
        assert it.script.models[-1] == "a/one"


async def test_a_retry_after_of_a_day_is_not_believed() -> None:
    async with desk(error(503, "x", {"Retry-After": "86400"})) as it:
        await it.answered()
        assert it.chain.breakers()["a/one"].seconds_until_probe() == guards.LONGEST_REST


async def test_429_without_a_hint_goes_to_the_next_model_at_once() -> None:
    async with desk(error(429, RELAYED, provider_name="P"), said()) as it:
        await it.answered()
        assert it.script.models == ["a/one", "b/two"]
        assert it.time.slept == []


async def test_the_daily_limit_rests_every_free_model_until_its_reset() -> None:
    reset_at = str((1_779_300_000 + 7200) * 1000)
    daily = error(
        429,
        "Rate limit exceeded: free-models-per-day.",
        headers={"X-RateLimit-Reset": reset_at},
        limit_source="openrouter_free_tier_daily",
    )
    async with desk(daily, models=("a/one:free", "b/two:free", "c/three")) as it:
        await it.answered()
        await it.answered()
        assert it.script.models == ["a/one:free", "c/three", "c/three"]
        assert it.state("a/one:free") == "closed"
        it.time.now += 7200
        await it.answered()
        assert it.script.models[-1] == "a/one:free"


async def test_a_daily_limit_without_an_end_rests_free_models_for_an_hour() -> None:
    async with desk(error(429, "free-models-per-day"), models=("a/one:free",)) as it:
        assert (await it.failed()).failure == "unavailable"
        it.time.now += guards.FREE_REST - 1
        await it.failed()
        it.time.now += 1
        await it.answered()
        assert len(it.script.calls) == 2


async def test_a_model_that_does_not_exist_rests_and_the_others_serve() -> None:
    async with desk(error(400, "a/one is not a valid model ID")) as it:
        await it.answered()
        await it.answered()
        assert it.script.models == ["a/one", "b/two", "b/two"]
        assert it.chain.breakers()["a/one"].seconds_until_probe() == guards.MISCONFIGURED_REST


async def test_models_that_all_do_not_exist_are_our_fault() -> None:
    async with desk() as it:
        it.script.otherwise = error(404, "No endpoints found for this model")
        assert (await it.failed()).failure == "invalid"


async def test_one_breaker_opens_for_one_model_and_a_probe_brings_it_back() -> None:
    changes: list[tuple[str, BreakerState]] = []
    async with desk(on_change=lambda name, state: changes.append((name, state))) as it:
        it.script.by_model["a/one"] = [error(500, "x")] * guards.MODEL_FAILURES
        for _ in range(4):
            await it.answered()
        assert it.state("a/one") == "open"
        assert it.script.models.count("a/one") == guards.MODEL_FAILURES
        assert it.state("b/two") == it.state(guards.GATEWAY) == "closed"
        it.time.now += guards.MODEL_REST
        assert (await it.answered()).text == "the script is over"
        assert it.script.models[-1] == "a/one"
        assert [state for name, state in changes if name == "a/one"] == ["open", "half_open", "closed"]


async def test_no_connection_counts_against_the_way_there_and_not_against_models() -> None:
    async with aiohttp.ClientSession() as session:
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        chain = OpenRouter(session, base_url="http://127.0.0.1:9", api_key="k", models=("a/one", "b/two"), sleep=sleep)
        outcome = await chain.answer(QUESTION, customer_hash="h")
        assert isinstance(outcome, ModelFailed)
        assert outcome.failure == "unavailable"
        assert outcome.use.attempts == guards.GATEWAY_FAILURES
        states = {name: breaker.state for name, breaker in chain.breakers().items()}
        assert states == {"a/one": "closed", "b/two": "closed", guards.GATEWAY: "open", guards.ACCOUNT: "closed"}
        again = await chain.answer(QUESTION, customer_hash="h")
        assert isinstance(again, ModelFailed)
        assert again.use.attempts == 0


async def test_a_wall_in_front_of_openrouter_is_a_failure_of_the_way_there() -> None:
    async with desk(body(403, b"<html>Attention required</html>"), said()) as it:
        await it.answered()
        assert it.script.models == ["a/one", "b/two"]
        assert it.state("a/one") == "closed"


async def test_a_connection_that_never_stands_is_a_failure_of_the_way_there() -> None:
    class Unconnectable(aiohttp.TCPConnector):
        async def connect(self, *_: object, **__: object) -> NoReturn:
            raise aiohttp.ConnectionTimeoutError

    async with aiohttp.ClientSession(connector=Unconnectable()) as session:
        client = Client(session, base_url="http://127.0.0.1:9", api_key="k", wall=time.time)
        verdict = await client.complete(b"{}", within=1.0)
        assert isinstance(verdict, Failure)
        assert verdict.kind == "unreachable"


async def test_a_list_that_never_ends_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.adapters.openrouter.client.LIST_BYTES", 100_000)
    async with desk() as it:
        it.script.gets["/api/v1/key"] = flood
        with pytest.raises(ValueError, match="more than 100000 bytes"):
            await it.chain.check_key()


async def test_no_models_at_all_is_unavailable() -> None:
    async with desk(models=()) as it:
        assert (await it.failed()).failure == "unavailable"


# --- time ------------------------------------------------------------------------------------------------------------


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


# --- estimates -------------------------------------------------------------------------------------------------------


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


# --- the key, and what is logged -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"limit": None, "limit_remaining": None}, "ok, the key has no spending limit"),
        (
            {"limit": 100, "limit_remaining": 74.5, "limit_reset": "monthly"},
            "ok, 74.50 of 100.00 USD left, renewed monthly",
        ),
        ({"label": "x", "limit_remaining": 1}, "ok, 1.00 of 1.00 USD left, renewed never"),
    ],
)
async def test_a_key_that_serves_says_what_is_left(data: object, words: str) -> None:
    async with desk() as it:
        it.script.gets["/api/v1/key"] = body(200, orjson.dumps({"data": data}))
        assert await it.chain.check_key() == words


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (error(401, "User not found."), "refuses OPENROUTER_API_KEY"),
        (body(200, b'{"data":{"limit":5,"limit_remaining":0,"limit_reset":"daily"}}'), "used up; it is renewed daily"),
        (body(404, b"<html>"), "status 404"),
        (body(200, b"[]"), "status 200"),
        (reset, "cannot be reached"),
    ],
)
async def test_a_key_that_does_not_serve_is_a_sentence(entry: Entry, words: str) -> None:
    async with desk() as it:
        it.script.gets["/api/v1/key"] = entry
        with pytest.raises(ValueError, match=words):
            await it.chain.check_key()


async def test_nothing_that_was_said_and_no_key_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    flagged = error(403, "flagged: my secret words", reasons=["x"], flagged_input="my secret words")
    with caplog.at_level(logging.DEBUG, logger="bot"):
        async with desk(error(500, "x"), flagged) as it:
            await it.failed()
    logged = "\n".join(str(record.__dict__) for record in caplog.records)
    assert "ask-1" in logged
    for secret in ("my secret words", "sk-or-v1-key", "user_2secret", "Be kind"):
        assert secret not in logged


async def test_a_fault_of_ours_is_logged_and_still_a_failure_and_not_an_exception(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken() -> float:
        raise RuntimeError("no chance")

    async with desk(error(500, "x"), chance=broken) as it:
        assert (await it.failed()).failure == "unavailable"
    assert "model chain broke" in caplog.text


async def test_a_session_that_is_closed_is_a_failure_and_not_an_exception() -> None:
    session = aiohttp.ClientSession()
    await session.close()
    chain = OpenRouter(session, base_url="http://127.0.0.1:9", api_key="k", models=("a",))
    outcome = await chain.answer(QUESTION, customer_hash="h")
    assert isinstance(outcome, ModelFailed)
    with pytest.raises(ValueError, match="cannot be reached"):
        await chain.check_key()
