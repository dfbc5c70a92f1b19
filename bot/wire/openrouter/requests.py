"""The body of `POST /chat/completions`: one model, no streaming, always a bound on the answer.

- `max_tokens` is never left out: without it OpenRouter holds back the price of the longest possible answer, and answers
  402 on a low balance.
- `models` (fallbacks on OpenRouter's side) is never sent: the chain is ours, with one breaker for each model, and two
  chains inside each other multiply retries.
- `user` is a hash that stays the same for a customer, so that a provider's policy block hits them and nobody else.
- `provider.data_collection: deny` keeps customers' words away from providers that train on them.
- Several providers refuse blank messages, two in a row of one role, or a conversation that does not begin and end with
  the user, so turns are put into that form.
"""

from collections.abc import Iterable
from typing import Literal

import orjson

from bot.core.effects import Turn

OPENING = "(The conversation begins.)"
"""Stands for the customer when the first line of the history is ours."""
ANSWER_NOW = "(Please answer now.)"
"""Stands for the customer when the last line of the history is ours."""


def build_request(
    *,
    model: str,
    system: str,
    turns: Iterable[Turn],
    max_tokens: int,
    user: str,
    little_reasoning: bool = False,
    data_collection: Literal["allow", "deny"] = "deny",
) -> bytes:
    """The JSON body. `little_reasoning` asks a reasoning model to leave room for the answer itself.

    It asks for little effort, not for none: endpoints where reasoning is mandatory answer 400 to the latter.
    """
    body: dict[str, object] = {
        "model": model,
        "messages": [*_system(system), *_messages(turns)],
        "max_tokens": max_tokens,
        "stream": False,
        "provider": {"data_collection": data_collection},
    }
    if user:
        body["user"] = user
    if little_reasoning:
        body["reasoning"] = {"effort": "low", "exclude": True}
    return orjson.dumps(body)


def _system(text: str) -> list[dict[str, str]]:
    said = _encodable(text).strip()
    return [{"role": "system", "content": said}] if said else []


def _messages(turns: Iterable[Turn]) -> list[dict[str, str]]:
    merged: list[dict[str, str]] = []
    for turn in turns:
        said = _encodable(turn.text).strip()
        if not said:
            continue
        if merged and merged[-1]["role"] == turn.role:
            merged[-1]["content"] += f"\n{said}"
        else:
            merged.append({"role": turn.role, "content": said})
    return _between_user_turns(merged)


def _between_user_turns(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    if not messages or messages[0]["role"] != "user":
        messages.insert(0, {"role": "user", "content": OPENING})
    if messages[-1]["role"] != "user":
        messages.append({"role": "user", "content": ANSWER_NOW})
    return messages


def _encodable(text: str) -> str:
    """`text` without lone surrogates, which JSON cannot carry as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")
