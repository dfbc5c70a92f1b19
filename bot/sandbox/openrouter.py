"""OpenRouter's part: chat completions, the list of models, the key's state. Strict; errors in OpenRouter's envelope."""

import secrets
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
from aiohttp import web

from bot.core.messages import Value
from bot.sandbox.behaviour import pick
from bot.sandbox.box import BOX, Box
from bot.sandbox.faults import Answer, answer, perform
from bot.sandbox.model import plain, reply
from bot.sandbox.questions import Question, Unfit, question_of
from bot.sandbox.records import ModelCall

COMPLETIONS: Final = "/api/v1/chat/completions"
PROMPT_PRICE: Final = 0.00000025
"""USD per token, of every model here."""
COMPLETION_PRICE: Final = 0.000002
LETTERS_PER_TOKEN: Final = 4
SHOWN_MODELS: Final = ("openai/gpt-5-mini", "anthropic/claude-haiku-4.5", "google/gemini-2.5-flash")


class OpenRouterErrors:
    """OpenRouter's error bodies by status."""

    def error(self, status: int) -> dict[str, Any]:
        if status == 200:
            raw = "the stand-in provider is temporarily rate-limited upstream"
            metadata = {"raw": raw, "provider_name": "Sandbox"}
            return {
                "error": {"message": "Provider returned error", "code": 429, "metadata": metadata},
                "user_id": "user_sandbox",
            }
        return envelope(status, WORDS.get(status) or _phrase(status))


WORDS: Final = {
    401: "No auth credentials found",
    402: "Insufficient credits. Add more using https://openrouter.ai/credits",
    429: "Rate limit exceeded",
    500: "Internal Server Error",
    502: "Provider returned error",
}
ERRORS: Final = OpenRouterErrors()


class Usage(Value, frozen=True, kw_only=True):
    prompt: int
    completion: int

    @property
    def cost(self) -> float:
        return round(self.prompt * PROMPT_PRICE + self.completion * COMPLETION_PRICE, 9)


def routes() -> list[web.RouteDef]:
    return [web.post(COMPLETIONS, completions), web.get("/api/v1/models", models), web.get("/api/v1/key", key)]


def envelope(status: int, message: str) -> dict[str, Any]:
    """An error as OpenRouter writes it."""
    return {"error": {"message": message, "code": status}}


async def completions(request: web.Request) -> web.StreamResponse:
    """Answer a chat, at once or as a stream of events."""
    box = request.app[BOX]
    raw = await request.read()
    box.records.counters["model_calls"] += 1
    if not _key_holds(request, box):
        return _unauthorized()
    try:
        question = question_of(raw, box.settings.models)
    except Unfit as unfit:
        return answer(400, envelope(400, str(unfit)))
    rules = box.behaviours.openrouter
    active = pick(rules, (question.model,)) if rules else None
    if active is not None:
        return await perform(request, active, ERRORS, lambda: _answered(box, question))
    status, body = _answered(box, question)
    return await _stream(request, body) if question.stream else answer(status, body)


async def models(request: web.Request) -> web.Response:
    """The models that exist, with prices per token."""
    if not _key_holds(request, request.app[BOX]):
        return _unauthorized()
    listed = [_model(slug) for slug in request.app[BOX].settings.models or SHOWN_MODELS]
    return answer(200, {"data": listed, "total_count": len(listed), "links": {"next": None}})


async def key(request: web.Request) -> web.Response:
    """The state of the key: what it has spent here, no limit."""
    box = request.app[BOX]
    if not _key_holds(request, box):
        return _unauthorized()
    spent = round(sum(call.cost for call in box.records.calls), 9)
    limits = {"limit": None, "limit_remaining": None, "limit_reset": None}
    return answer(200, {"data": {"label": "sk-or-sandbox", **limits, "usage": spent, "is_free_tier": False}})


def _answered(box: Box, question: Question) -> Answer:
    text, finish = _limited(reply(question.messages), question.max_tokens)
    usage = Usage(prompt=_tokens(question.messages), completion=_count(text))
    body = _completion(question.model, text, finish, usage)
    box.records.calls.append(
        ModelCall(
            id=body["id"],
            model=question.model,
            at=time.time(),
            body=question.body,
            status=200,
            answer=text,
            cost=usage.cost,
        )
    )
    return 200, body


def _limited(text: str, most: int) -> tuple[str, str]:
    """The answer within `max_tokens`, and why it ends there."""
    room = most * LETTERS_PER_TOKEN
    return (text, "stop") if len(text) <= room else (text[:room], "length")


def _completion(model: str, text: str, finish: str, usage: Usage) -> dict[str, Any]:
    now = int(time.time())
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "logprobs": None, "finish_reason": finish, "native_finish_reason": finish, "message": message}
    head = {"id": f"gen-{now}-{secrets.token_hex(10)}", "provider": "Sandbox", "model": model}
    return {**head, "object": "chat.completion", "created": now, "choices": [choice], "usage": _usage(usage)}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "cost": usage.cost,
        "is_byok": False,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
        "cost_details": {"upstream_inference_cost": usage.cost},
    }


async def _stream(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """The same answer as server-sent events: a comment, the text in words, the finish, the usage, the end."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    await response.write(b": OPENROUTER PROCESSING\n\n")
    choice = body["choices"][0]
    for word in choice["message"]["content"].split(" "):
        await response.write(_chunk(body, [{"index": 0, "delta": {"content": word + " "}, "finish_reason": None}]))
    await response.write(_chunk(body, [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]))
    await response.write(_chunk(body, [], body["usage"]))
    await response.write(b"data: [DONE]\n\n")
    return response


def _chunk(body: dict[str, Any], choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
    head = {name: body[name] for name in ("id", "provider", "model", "created")}
    chunk = {**head, "object": "chat.completion.chunk", "choices": choices}
    return b"data: " + orjson.dumps({**chunk, "usage": usage} if usage else chunk) + b"\n\n"


def _tokens(messages: Sequence[dict[str, Any]]) -> int:
    return sum(_count(plain(message.get("content"))) for message in messages)


def _count(text: str) -> int:
    return -(-len(text) // LETTERS_PER_TOKEN)


def _model(slug: str) -> dict[str, Any]:
    pricing = {"prompt": f"{PROMPT_PRICE:.8f}", "completion": f"{COMPLETION_PRICE:.8f}"}
    parameters = ["max_tokens", "temperature", "stop"]
    limits = {"context_length": 128_000, "max_completion_tokens": 16_000, "is_moderated": False}
    head = {"id": slug, "name": f"{slug} (simulated)", "created": 1_700_000_000, "context_length": 128_000}
    return {
        **head,
        "pricing": pricing,
        "top_provider": limits,
        "supported_parameters": parameters,
        "expiration_date": None,
    }


def _key_holds(request: web.Request, box: Box) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        return False
    return not box.settings.model_key or given == box.settings.model_key


def _unauthorized() -> web.Response:
    return answer(401, ERRORS.error(401))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Provider returned error"
