"""Money and key: what stops every call, what only waits, and what an operator and the log may read of it."""

import asyncio
import logging
import time
from typing import Any

import aiohttp
import orjson
import pytest

from bot.adapters.openrouter import guards
from bot.adapters.openrouter.chain import OpenRouter
from bot.adapters.openrouter.retries import IN_FLIGHT_WAIT
from bot.core.events import ModelAnswered, ModelFailed
from tests.adapters.openrouter_script import (
    QUESTION,
    Entry,
    body,
    completion,
    desk,
    error,
    hang,
    reset,
    said,
)

AFFORD = (
    "This request requires more credits, or fewer max_tokens. You requested up to 500 tokens, but can only afford {}."
)
RELAYED = "Provider returned error"


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


async def test_a_probe_of_the_account_is_not_lost_on_a_model_that_may_not_be_called() -> None:
    async with desk(error(402, "Insufficient credits"), models=("a/one",)) as it:
        await it.failed()
        it.chain.breakers()["a/one"].failed(open_for=guards.ACCOUNT_STOP + 60)
        it.time.now += guards.ACCOUNT_STOP
        assert (await it.failed()).use.attempts == 0
        it.time.now += 60
        assert (await it.answered()).text == "the script is over"


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
        assert [other.failure for other in others] == ["timeout"] * 2
        assert min(other.use.attempts for other in others) == 0
        await first


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
