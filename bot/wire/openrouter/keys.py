"""The state of the key, from `GET /key`, in words for an operator, without the label that shows part of the key."""

from bot.wire.openrouter import untrusted


def read_key(status: int, body: bytes) -> str:
    """`ok` and what the key may still spend. Raises `ValueError` with a sentence when the key does not serve."""
    if status in {401, 403}:
        raise ValueError(f"OpenRouter refuses OPENROUTER_API_KEY ({status}).")
    data = untrusted.mapping(untrusted.mapping(untrusted.decoded(body)).get("data"))
    if status != 200 or not data:
        raise ValueError(f"OpenRouter answered GET /key with status {status} and no state of the key.")
    limit, left = untrusted.decimal(data.get("limit")), untrusted.decimal(data.get("limit_remaining"))
    reset = untrusted.text(data.get("limit_reset")) or "never"
    if left is None:
        return "ok, the key has no spending limit"
    if left <= 0:
        raise ValueError(f"The spending limit of OPENROUTER_API_KEY is used up; it is renewed {reset}.")
    return f"ok, {left:.2f} of {left if limit is None else limit:.2f} USD left, renewed {reset}"
