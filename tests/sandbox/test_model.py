"""OpenRouter's calls, and the rules by which the stand-in model answers."""

from contextlib import suppress
from typing import Any

import aiohttp
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core.prompt import HANDOFF_TOKEN
from bot.sandbox.model import reply
from bot.sandbox.questions import Unfit, question_of
from tests.sandbox.conftest import Client, Start, behave

PATH = "/api/v1/chat/completions"
BEARER = {"Authorization": "Bearer sk-or-test"}


def question(*said: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text} for text in said or ("Hello",)]
    return {"model": "openai/gpt-5-mini", "messages": messages, "max_tokens": 500, **more}


async def ask(box: Client, body: Any, **headers: str) -> tuple[int, Any]:
    async with box.post(PATH, json=body, headers=headers or BEARER) as response:
        return response.status, orjson.loads(await response.read())


async def test_an_answer_has_what_openrouters_answers_have(box: Client) -> None:
    status, answer = await ask(box, question("Hi there"))
    assert status == 200
    assert answer["id"].startswith("gen-")
    assert (answer["object"], answer["model"]) == ("chat.completion", "openai/gpt-5-mini")
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"] == {
        "role": "assistant",
        "content": "Hello! How can I help you today? (simulated)",
        "refusal": None,
    }
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["cost"] > 0


async def test_calls_are_kept_with_question_and_answer(box: Client) -> None:
    await ask(box, question("What are your opening hours?"))
    async with box.get("/sandbox/model_calls") as response:
        (call,) = await response.json()
    assert call["body"]["messages"][0]["content"] == "What are your opening hours?"
    assert "9 am" in call["answer"]
    async with box.get("/api/v1/key", headers=BEARER) as response:
        assert (await response.json())["data"]["usage"] == pytest.approx(call["cost"])


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ("hello", "How can I help"),
        ("Where is my parcel?", "order number"),
        ("I want my money back", "refund takes"),
        ("when do you open, what hours?", "Monday"),
        ("Thanks!", "welcome"),
        ("नमस्ते", "नमस्ते!"),
        ("मेरा ऑर्डर कहाँ है", "ऑर्डर नंबर"),
        ("I need a person", "colleague"),
        ("मुझे एजेंट चाहिए", "सहकर्मी"),
        ("", "(simulated)"),
        ("qwerty", "(simulated)"),
        ("कखग", "(simulated)"),
    ],
)
def test_the_last_words_decide_and_the_answer_says_that_it_is_simulated(said: str, part: str) -> None:
    answer = reply([{"role": "user", "content": "thanks"}, {"role": "user", "content": said}])
    assert part in answer
    assert answer.endswith("(simulated)")


def test_unknown_words_in_devanagari_are_answered_in_hindi() -> None:
    assert any("\u0900" <= letter <= "\u097f" for letter in reply([{"role": "user", "content": "कखग"}]))


@pytest.mark.parametrize("token", ["[[HANDOFF]]", "<<HAND_OFF>>", "[HANDOFF]", "<HANDOFF>", "{{HUMAN}}"])
def test_wanting_a_person_gives_the_token_that_the_system_prompt_names(token: str) -> None:
    system = {"role": "system", "content": [{"type": "text", "text": f"If a person is wanted answer {token} alone."}]}
    assert reply([system, {"role": "user", "content": "Let me talk to a human"}]) == token
    assert reply([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "human!"}]).endswith(
        "(simulated)"
    )


def test_the_token_of_our_own_prompt_is_found() -> None:
    told = f"When the customer asks for a person, write {HANDOFF_TOKEN} and nothing else."
    assert (
        reply([{"role": "system", "content": told}, {"role": "user", "content": "A person, please"}]) == HANDOFF_TOKEN
    )


async def test_an_answer_longer_than_max_tokens_is_cut_and_says_so(box: Client) -> None:
    _, answer = await ask(box, question(max_tokens=2))
    assert answer["choices"][0]["finish_reason"] == "length"
    assert len(answer["choices"][0]["message"]["content"]) <= 8


async def test_a_stream_ends_with_finish_usage_and_done(box: Client) -> None:
    async with box.post(PATH, json=question(stream=True), headers=BEARER) as response:
        assert response.content_type == "text/event-stream"
        lines = [line for line in (await response.text()).split("\n\n") if line]
    chunks = [orjson.loads(line.removeprefix("data: ")) for line in lines[1:-1]]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"])
    assert (lines[0], lines[-1]) == (": OPENROUTER PROCESSING", "data: [DONE]")
    assert text.strip().endswith("(simulated)")
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["completion_tokens"] > 0


BAD = [
    ({}, "No model was given"),
    ([], "expected an object"),
    (question(model="gpt"), "gpt is not a valid model ID"),
    (question(model=7), "7 is not a valid model ID"),
    (question(models="a/b"), "'models' must be an array"),
    (question(models=["a/b"] * 4), "'models' array must have 3 items or fewer."),
    (question(messages=[]), 'Input required: specify "messages"'),
    (question(messages=["hi"]), "messages[0] must be an object"),
    (question(messages=[{"role": "customer", "content": "hi"}]), "messages[0].role is not known"),
    (question(messages=[{"role": "user"}]), "messages[0].content is missing"),
    (question(messages=[{"role": "user", "content": ""}]), "messages[0].content must be a text"),
    (question(messages=[{"role": "user", "content": [7]}]), "messages[0].content has a bad part"),
    (question(max_tokens=0), "max_tokens must be a positive integer"),
    (question(max_tokens=True), "max_tokens must be a positive integer"),
    (question(max_tokens=None), "max_tokens must be a positive integer"),
    (question(temperature=3), "temperature must be between 0 and 2"),
    (question(temperature="hot"), "temperature must be between 0 and 2"),
    (question(provider=[]), "provider must be an object"),
    (question(provider={"colour": "red"}), "Unrecognized key in provider: colour"),
]


@pytest.mark.parametrize(("body", "problem"), BAD)
async def test_an_ill_formed_question_is_refused_in_openrouters_envelope(box: Client, body: Any, problem: str) -> None:
    status, answer = await ask(box, body)
    assert (status, answer["error"]["code"]) == (400, 400)
    assert problem in answer["error"]["message"]


async def test_a_body_that_is_not_json_is_refused(box: Client) -> None:
    async with box.post(PATH, data=b"{", headers=BEARER) as response:
        assert response.status == 400


async def test_without_the_right_key_it_is_401_everywhere(start: Start) -> None:
    box = await start(model_key="right")
    for authorization in ("", "Bearer", "Bearer wrong", "Basic right"):
        headers = {"Authorization": authorization}
        assert (await ask(box, question(), **headers))[1] == {
            "error": {"code": 401, "message": "No auth credentials found"}
        }
        for path in ("/api/v1/models", "/api/v1/key"):
            async with box.get(path, headers=headers) as response:
                assert response.status == 401
    assert (await ask(box, question(), Authorization="Bearer right"))[0] == 200


async def test_the_models_that_exist_can_be_said(start: Start) -> None:
    box = await start(models=("a/one", "a/two"))
    assert "not a valid model ID" in (await ask(box, question()))[1]["error"]["message"]
    assert (await ask(box, question(model="a/one", models=["a/two"])))[0] == 200
    async with box.get("/api/v1/models", headers=BEARER) as response:
        listed = (await response.json())["data"]
    assert [model["id"] for model in listed] == ["a/one", "a/two"]
    assert listed[0]["pricing"] == {"prompt": "0.00000025", "completion": "0.00000200"}


async def test_an_unknown_path_is_404_in_the_envelope(box: Client) -> None:
    async with box.get("/api/v1/nothing") as response:
        assert (response.status, (await response.json())["error"]["code"]) == (404, 404)


@pytest.mark.parametrize(
    ("status", "message"), [(402, "Insufficient credits"), (503, "Service Unavailable"), (529, "Provider")]
)
async def test_a_fixed_status_has_openrouters_body(box: Client, status: int, message: str) -> None:
    await behave(box, {"openrouter": {"model": "openai/gpt-5-mini", "status": status, "count": 1}})
    code, answer = await ask(box, question())
    assert (code, answer["error"]["code"]) == (status, status)
    assert message in answer["error"]["message"]
    assert (await ask(box, question()))[0] == 200


async def test_an_error_inside_200_and_a_cut_answer(box: Client) -> None:
    await behave(box, {"openrouter": [{"fault": "error_in_200", "count": 1}, {"fault": "cut", "count": 1}]})
    status, answer = await ask(box, question())
    assert (status, answer["error"]["code"]) == (200, 429)
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(box, question())


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(["model", "models", "messages", "max_tokens", "provider", "temperature"]),
        st.none()
        | st.integers()
        | st.text(max_size=9)
        | st.lists(
            st.none() | st.text(max_size=5) | st.dictionaries(st.sampled_from(["role", "content"]), st.text(max_size=5))
        ),
        max_size=6,
    )
)
def test_whatever_is_asked_is_a_question_or_a_refusal(body: dict[str, Any]) -> None:
    with suppress(Unfit, orjson.JSONEncodeError):
        assert question_of(orjson.dumps(body), ()).messages
