"""A chat-completions request, checked as OpenRouter checks it, and stricter where leniency hides mistakes."""

import re
from typing import Any, Final

import orjson

from bot.core.messages import Value

ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool"})
MODELS: Final = 3
"""Entries of `models` at most (OpenRouter's own undocumented limit)."""
PROVIDER_KEYS: Final = frozenset(
    (
        *("order", "allow_fallbacks", "require_parameters", "data_collection", "zdr", "only", "ignore", "sort"),
        *(
            "quantizations",
            "preferred_min_throughput",
            "preferred_max_latency",
            "max_price",
            "enforce_distillable_text",
        ),
    )
)
_SLUG: Final = re.compile(r"~?[a-z0-9][\w.-]*/[\w.-]+(:[a-z]+)?\Z", re.IGNORECASE)


class Unfit(Exception):
    """The request is refused with 400; the text is the message."""


class Question(Value, frozen=True, kw_only=True):
    """A request that was found good."""

    model: str
    messages: tuple[dict[str, Any], ...]
    max_tokens: int
    stream: bool
    body: dict[str, Any]


def question_of(raw: bytes, models: tuple[str, ...]) -> Question:
    """The question in a request's body; `models` are those that exist, empty for any of the right form."""
    body = _decoded(raw)
    _check_options(body)
    return Question(
        model=_model(body, models),
        messages=tuple(_messages(body.get("messages"))),
        max_tokens=_max_tokens(body),
        stream=bool(body.get("stream")),
        body=body,
    )


def _decoded(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Unfit("Invalid JSON body") from error
    if not isinstance(body, dict):
        raise Unfit("Invalid JSON body: expected an object")
    return body


def _model(body: dict[str, Any], models: tuple[str, ...]) -> str:
    chain = body.get("models", [])
    _require(chain, isinstance(chain, list), "'models' must be an array")
    _require(chain, len(chain) <= MODELS, f"'models' array must have {MODELS} items or fewer.")
    named = [body["model"], *chain] if "model" in body else chain
    _require(named, bool(named), "No model was given")
    for slug in named:
        good = isinstance(slug, str) and _SLUG.match(slug) and (not models or slug in models)
        _require(slug, bool(good), f"{slug} is not a valid model ID")
    return str(named[0])


def _messages(value: Any) -> list[dict[str, Any]]:
    _require(value, isinstance(value, list) and bool(value), 'Input required: specify "messages"')
    for index, message in enumerate(value):
        _check_message(message, f"messages[{index}]")
    return list(value)


def _check_message(message: Any, field: str) -> None:
    _require(message, isinstance(message, dict), f"{field} must be an object")
    _require(message, message.get("role") in ROLES, f"{field}.role is not known")
    content = message.get("content")
    if content is None:
        _require(
            message, message["role"] == "assistant" and bool(message.get("tool_calls")), f"{field}.content is missing"
        )
    elif isinstance(content, list):
        good = all(isinstance(part, dict) and isinstance(part.get("text", ""), str) for part in content)
        _require(content, bool(content) and good, f"{field}.content has a bad part")
    else:
        _require(content, isinstance(content, str) and bool(content), f"{field}.content must be a text")


def _max_tokens(body: dict[str, Any]) -> int:
    """Must be there: without it the real API holds credit for the model's maximum."""
    value = body.get("max_tokens", body.get("max_completion_tokens"))
    good = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return int(_require(value, good, "max_tokens must be a positive integer"))


def _check_options(body: dict[str, Any]) -> None:
    heat = body.get("temperature", 1)
    number = isinstance(heat, int | float) and not isinstance(heat, bool)
    _require(heat, number and 0 <= heat <= 2, "temperature must be between 0 and 2")
    provider = body.get("provider", {})
    _require(provider, isinstance(provider, dict), "provider must be an object")
    unknown = sorted(set(provider) - PROVIDER_KEYS)
    _require(provider, not unknown, f"Unrecognized key in provider: {', '.join(unknown)}")


def _require(value: Any, holds: bool, problem: str) -> Any:
    if not holds:
        raise Unfit(problem)
    return value
