"""The chain of models against a real server: what is tried again, what goes to the next model, what ends."""

import time
from typing import NoReturn

import aiohttp
import orjson
import pytest

from bot.adapters.openrouter import guards
from bot.adapters.openrouter.chain import OpenRouter
from bot.adapters.openrouter.client import Client
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
    reset,
    said,
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
