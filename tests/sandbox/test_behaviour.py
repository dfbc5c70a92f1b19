"""Bad behaviour on request: rules, faults, and documents that are not good ones."""

import asyncio
import random
import time
from typing import Any

import aiohttp
import pytest

from bot.sandbox.behaviour import Latency
from tests.sandbox.conftest import CUSTOMER, KEY, SEND, Client, behave, send, sent_to, text_to


async def statuses(box: Client, calls: int, to: str = CUSTOMER) -> list[int]:
    return [(await send(box, text_to(to)))[0] for _ in range(calls)]


async def test_a_fixed_status_lasts_for_count_calls_and_has_msg91s_body(box: Client) -> None:
    await behave(box, {"msg91": {"status": 500, "count": 2}})
    assert (await send(box, text_to()))[1] == {
        "status": "fail",
        "hasError": True,
        "data": None,
        "errors": "Something went wrong",
    }
    assert await statuses(box, 2) == [500, 200]
    assert len(await sent_to(box)) == 1


async def test_401_has_the_body_of_a_wrong_key(box: Client) -> None:
    await behave(box, {"msg91": {"status": 401}})
    assert (await send(box, text_to()))[1]["errors"] == "Unauthorized"


async def test_a_rule_may_meet_one_recipient_only_and_the_first_that_matches_is_used(box: Client) -> None:
    await behave(box, {"msg91": [{"to": CUSTOMER, "status": 503}, {"status": 429, "headers": {"Retry-After": "2"}}]})
    assert await statuses(box, 1) == [503]
    async with box.post(SEND, json=text_to("919000000009"), headers=KEY) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "2")


async def test_the_share_that_fails_is_seeded(box: Client) -> None:
    rule = {"msg91": {"error_rate": 0.5, "seed": 3}}
    await behave(box, rule)
    first = await statuses(box, 30)
    await behave(box, rule)
    assert await statuses(box, 30) == first
    assert 5 < first.count(500) < 25
    assert len(await sent_to(box)) == 2 * first.count(200)


async def test_a_body_of_ones_own_may_be_json_or_text(box: Client) -> None:
    await behave(box, {"msg91": [{"status": 418, "body": {"why": "tea"}, "count": 1}, {"status": 503, "body": "busy"}]})
    assert await send(box, text_to()) == (418, {"why": "tea"})
    async with box.post(SEND, json=text_to(), headers=KEY) as response:
        assert (response.status, await response.text()) == (503, "busy")


async def test_an_error_inside_200(box: Client) -> None:
    await behave(box, {"msg91": [{"fault": "error_in_200", "count": 1}, {"fault": "error_in_200", "body": {"own": 1}}]})
    status, answer = await send(box, text_to())
    assert (status, answer["hasError"]) == (200, True)
    assert await send(box, text_to()) == (200, {"own": 1})
    assert await sent_to(box) == []


async def test_html_and_empty_answers(box: Client) -> None:
    await behave(box, {"msg91": [{"fault": "html", "count": 1}, {"fault": "empty"}]})
    async with box.post(SEND, json=text_to(), headers=KEY) as response:
        assert (response.status, response.content_type) == (502, "text/html")
    async with box.post(SEND, json=text_to(), headers=KEY) as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_a_cut_answer_took_effect_unless_told_otherwise(box: Client) -> None:
    await behave(box, {"msg91": [{"fault": "cut", "count": 1}, {"fault": "cut", "accepted": False}]})
    for kept in (1, 1):
        with pytest.raises(aiohttp.ClientPayloadError):
            await send(box, text_to())
        assert len(await sent_to(box)) == kept


async def test_an_answer_may_trickle(box: Client) -> None:
    await behave(box, {"msg91": {"fault": "trickle", "seconds": 0.1}})
    begun = time.monotonic()
    assert (await send(box, text_to()))[0] == 200
    assert time.monotonic() - begun >= 0.1


async def test_a_call_that_hangs_ends_without_an_answer_when_its_time_is_up(box: Client) -> None:
    await behave(box, {"msg91": {"fault": "hang", "seconds": 0.05, "accepted": True}})
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await send(box, text_to())
    assert len(await sent_to(box)) == 1


async def test_a_reset_lets_go_the_calls_that_hang_and_forgets(box: Client) -> None:
    await behave(box, {"msg91": {"fault": "hang"}})
    hanging = asyncio.ensure_future(send(box, text_to()))
    while not (await _counters(box)).get("sends"):
        pass
    await box.post("/sandbox/reset")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await hanging
    assert await statuses(box, 1) == [200]


async def test_latency_delays_the_answer(box: Client) -> None:
    await behave(box, {"msg91": {"latency": {"fixed": 0.05}}})
    begun = time.monotonic()
    assert await statuses(box, 1) == [200]
    assert time.monotonic() - begun >= 0.05


def test_latencies_follow_their_distribution() -> None:
    chance = random.Random(1)
    uniform = [Latency(uniform=(0.1, 0.3)).draw(chance) for _ in range(500)]
    lognormal = sorted(Latency(lognormal=(0.2, 0.5)).draw(chance) for _ in range(501))
    assert 0.1 <= min(uniform) < 0.15
    assert 0.25 < max(uniform) <= 0.3
    assert lognormal[250] == pytest.approx(0.2, rel=0.15)
    assert Latency(fixed=0.0).draw(chance) == 0.0


async def test_what_is_in_force_is_shown_and_null_clears_it(box: Client) -> None:
    await behave(box, {"msg91": {"status": 500, "count": 5}, "openrouter": {"fault": "html"}, "reports": {"off": True}})
    await statuses(box, 2)
    async with box.get("/sandbox/behaviour") as response:
        assert await response.json() == {
            "msg91": [{"status": 500, "count": 5, "left": 3}],
            "openrouter": [{"fault": "html"}],
            "reports": [{"off": True}],
        }
    await behave(box, {"msg91": None, "reports": []})
    async with box.get("/sandbox/behaviour") as response:
        assert await response.json() == {"msg91": [], "openrouter": [{"fault": "html"}], "reports": []}


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"msg92": {}}, "msg92"),
        ({"msg91": {"latncy": {}}}, "latncy"),
        ({"msg91": {"model": "a/b"}}, "model"),
        ({"openrouter": {"to": CUSTOMER}}, "to"),
        ({"msg91": {"error_rate": 2}}, "$.msg91.error_rate"),
        ({"msg91": [{"status": 99}]}, "$.msg91[0].status"),
        ({"msg91": {"count": 0}}, "$.msg91.count"),
        ({"msg91": {"latency": {"fixed": -1}}}, "$.msg91.latency.fixed"),
        ({"msg91": {"latency": {}}}, "latency needs exactly one of fixed, uniform, lognormal"),
        ({"msg91": {"latency": {"uniform": [2, 1]}}}, "latency uniform needs its smaller bound first"),
        ({"openrouter": {"fault": "explode"}}, "$.openrouter.fault"),
        ({"reports": {"late": "soon"}}, "$.reports.late"),
        ([], "expected `object`"),
    ],
)
async def test_a_bad_document_is_refused_with_the_name_of_the_field(box: Client, document: Any, named: str) -> None:
    await behave(box, {"msg91": {"status": 500}})
    async with box.post("/sandbox/behaviour", json=document) as response:
        assert response.status == 400
        assert (
            named in (await response.json())["error"]["message"].replace("Object contains unknown field ", "").lower()
        )
    assert await statuses(box, 1) == [500]


async def _counters(box: Client) -> dict[str, int]:
    async with box.get("/sandbox/counters") as response:
        return dict(await response.json())
