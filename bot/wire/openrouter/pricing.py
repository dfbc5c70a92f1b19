"""What an answer cost, in US dollars, exactly where OpenRouter says so and as a marked estimate where it does not.

`usage.cost` is the charge. `cost_details.upstream_inference_cost` is part of it and must not be added, except with a
key of one's own at the provider (`is_byok`), where `cost` is OpenRouter's fee alone. List prices come from `GET
/models` as strings in dollars for one token; `-1` means unknown; the provider that ran may have charged another price.
"""

from collections.abc import Mapping
from decimal import Decimal

from bot.core.messages import Value
from bot.wire.openrouter import untrusted

_CHARACTERS_PER_TOKEN = 3
"""Between English (about 4) and Hindi (about 2), for answers that carry no count at all."""


class Usage(Value, frozen=True, kw_only=True):
    """`prompt_tokens` includes the cached ones, `completion_tokens` the reasoning; costs are US dollars or unknown."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost: Decimal | None = None
    is_byok: bool = False
    upstream_cost: Decimal | None = None


class Price(Value, frozen=True, kw_only=True):
    """US dollars for one token, and for one request. `tiers`: from so many prompt tokens on, another price."""

    prompt: Decimal
    completion: Decimal
    cache_read: Decimal | None = None
    request: Decimal = Decimal(0)
    tiers: tuple[tuple[int, Decimal, Decimal], ...] = ()


def read_usage(value: object) -> Usage | None:
    """The `usage` object of an answer; None when there is none or it counts nothing."""
    usage = untrusted.mapping(value)
    read = Usage(
        prompt_tokens=untrusted.count(usage.get("prompt_tokens")),
        completion_tokens=untrusted.count(usage.get("completion_tokens")),
        cached_tokens=untrusted.count(untrusted.mapping(usage.get("prompt_tokens_details")).get("cached_tokens")),
        cost=_charge(usage.get("cost")),
        is_byok=usage.get("is_byok") is True,
        upstream_cost=_charge(untrusted.mapping(usage.get("cost_details")).get("upstream_inference_cost")),
    )
    return None if read == Usage() else read


def guessed_usage(prompt_characters: int, completion_characters: int) -> Usage:
    """A count for an answer that came without one."""
    return Usage(
        prompt_tokens=-(-prompt_characters // _CHARACTERS_PER_TOKEN),
        completion_tokens=-(-completion_characters // _CHARACTERS_PER_TOKEN),
    )


def cost_of(usage: Usage, price: Price | None) -> tuple[Decimal, bool]:
    """What `usage` cost and whether that is an estimate. Without a charge and without a price it is an unknown 0."""
    if usage.is_byok and usage.upstream_cost is not None:
        return (usage.cost or Decimal(0)) + usage.upstream_cost, False
    if usage.cost is not None and not usage.is_byok:
        return usage.cost, False
    if price is None:
        return usage.cost or Decimal(0), True
    return _listed(usage, price), True


def read_prices(body: bytes) -> dict[str, Price]:
    """List prices by model id from a body of `GET /models`; models without a known price are left out."""
    prices: dict[str, Price] = {}
    for entry in untrusted.items(untrusted.mapping(untrusted.decoded(body)).get("data")):
        model = untrusted.mapping(entry)
        price = _price(untrusted.mapping(model.get("pricing")))
        if price is not None and (name := untrusted.text(model.get("id"))):
            prices[name] = price
    return prices


def price_for(prices: Mapping[str, Price], *models: str) -> Price | None:
    """The price of the first of `models` that has one; a variant (`:nitro`) falls back to its model, `:free` is 0."""
    for model in models:
        if model.endswith(":free"):
            return Price(prompt=Decimal(0), completion=Decimal(0))
        price = prices.get(model) or prices.get(model.partition(":")[0])
        if price is not None:
            return price
    return None


def _listed(usage: Usage, price: Price) -> Decimal:
    prompt, completion = price.prompt, price.completion
    for tokens, tier_prompt, tier_completion in price.tiers:
        if usage.prompt_tokens >= tokens:
            prompt, completion = tier_prompt, tier_completion
    cached = min(usage.cached_tokens, usage.prompt_tokens)
    cache_read = prompt if price.cache_read is None else price.cache_read
    fresh = (usage.prompt_tokens - cached) * prompt
    return fresh + cached * cache_read + usage.completion_tokens * completion + price.request


def _price(pricing: Mapping[str, object]) -> Price | None:
    prompt, completion = _charge(pricing.get("prompt")), _charge(pricing.get("completion"))
    if prompt is None or completion is None:
        return None
    tiers = (_tier(untrusted.mapping(each), prompt, completion) for each in untrusted.items(pricing.get("overrides")))
    return Price(
        prompt=prompt,
        completion=completion,
        cache_read=_charge(pricing.get("input_cache_read")),
        request=_charge(pricing.get("request")) or Decimal(0),
        tiers=tuple(sorted(tier for tier in tiers if tier is not None)),
    )


def _tier(override: Mapping[str, object], prompt: Decimal, completion: Decimal) -> tuple[int, Decimal, Decimal] | None:
    """A tier by prompt length; tiers by hour of the day are too fine for an estimate."""
    tokens = untrusted.count(override.get("min_prompt_tokens"))
    if not tokens or "utc_start" in override:
        return None
    own_prompt, own_completion = _charge(override.get("prompt")), _charge(override.get("completion"))
    return (
        tokens,
        prompt if own_prompt is None else own_prompt,
        completion if own_completion is None else own_completion,
    )


def _charge(value: object) -> Decimal | None:
    """An amount of money; negative ones (`-1`: unknown) are None."""
    amount = untrusted.decimal(value)
    return None if amount is None or amount < 0 else amount
