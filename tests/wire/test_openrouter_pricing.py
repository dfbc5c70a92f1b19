"""Costs are exact where OpenRouter names them and marked estimates where it does not."""

from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.wire.openrouter.pricing import Price, Usage, cost_of, guessed_usage, price_for, read_prices, read_usage

PRICE = Price(
    prompt=Decimal("0.00003"),
    completion=Decimal("0.00006"),
    cache_read=Decimal("0.000003"),
    request=Decimal("0.001"),
    tiers=((200_000, Decimal("0.00006"), Decimal("0.00009")),),
)


def test_the_charge_is_the_cost_and_the_upstream_part_is_not_added() -> None:
    usage = Usage(prompt_tokens=10, cost=Decimal("0.5"), upstream_cost=Decimal("0.4"))
    assert cost_of(usage, PRICE) == (Decimal("0.5"), False)


def test_a_charge_of_nothing_is_a_charge() -> None:
    assert cost_of(Usage(prompt_tokens=10, cost=Decimal(0)), PRICE) == (Decimal(0), False)


def test_with_a_key_of_our_own_the_upstream_cost_comes_on_top_of_the_fee() -> None:
    usage = Usage(prompt_tokens=10, cost=Decimal("0.01"), upstream_cost=Decimal("0.4"), is_byok=True)
    assert cost_of(usage, PRICE) == (Decimal("0.41"), False)
    fee_only = Usage(prompt_tokens=10, cost=Decimal("0.01"), is_byok=True)
    assert cost_of(fee_only, None) == (Decimal("0.01"), True)


def test_without_a_charge_tokens_times_list_price_is_an_estimate() -> None:
    usage = Usage(prompt_tokens=100, completion_tokens=50, cached_tokens=40)
    assert cost_of(usage, PRICE) == (Decimal("0.0018") + Decimal("0.00012") + Decimal("0.003") + Decimal("0.001"), True)


def test_cached_tokens_cost_the_full_price_where_no_other_is_known() -> None:
    price = Price(prompt=Decimal(2), completion=Decimal(3))
    assert cost_of(Usage(prompt_tokens=10, cached_tokens=50), price) == (Decimal(20), True)


def test_a_long_prompt_is_estimated_in_its_tier() -> None:
    cost, estimated = cost_of(Usage(prompt_tokens=200_000), PRICE)
    assert (cost, estimated) == (Decimal("12.001"), True)


def test_without_charge_and_price_the_cost_is_an_unknown_nothing() -> None:
    assert cost_of(Usage(prompt_tokens=10), None) == (Decimal(0), True)


@pytest.mark.parametrize("value", [None, {}, [], "x", {"prompt_tokens": None}, {"cost": -1, "prompt_tokens": "nan"}])
def test_usage_that_counts_nothing_is_none(value: object) -> None:
    assert read_usage(value) is None


def test_usage_numbers_may_be_strings_and_are_never_negative() -> None:
    usage = read_usage({"prompt_tokens": "12", "completion_tokens": -4, "cost": "0.01", "is_byok": "yes"})
    assert usage == Usage(prompt_tokens=12, cost=Decimal("0.01"))


def test_a_guess_counts_characters() -> None:
    assert guessed_usage(10, 0) == Usage(prompt_tokens=4, completion_tokens=0)


def test_list_prices_are_read_and_unknown_ones_left_out() -> None:
    body = {
        "data": [
            {
                "id": "openai/gpt-4",
                "pricing": {
                    "prompt": "0.00003",
                    "completion": 0.00006,
                    "request": "0.001",
                    "input_cache_read": "0.000003",
                    "overrides": [
                        {"min_prompt_tokens": 200000, "prompt": "0.00006", "completion": "0.00009"},
                        {"min_prompt_tokens": 100, "utc_start": "01:00", "prompt": "9"},
                        "x",
                    ],
                },
            },
            {"id": "openrouter/auto", "pricing": {"prompt": "-1", "completion": "-1"}},
            {"id": "no/price"},
            {"pricing": {"prompt": "1", "completion": "1"}},
            None,
        ]
    }
    assert read_prices(orjson.dumps(body)) == {"openai/gpt-4": PRICE}


def test_a_tier_keeps_the_price_it_does_not_change() -> None:
    pricing = {"prompt": "1", "completion": "2", "overrides": [{"min_prompt_tokens": 5}]}
    prices = read_prices(orjson.dumps({"data": [{"id": "a/b", "pricing": pricing}]}))
    assert prices["a/b"].tiers == ((5, Decimal(1), Decimal(2)),)


def test_a_price_is_found_by_the_model_that_ran_or_the_one_asked_for() -> None:
    prices = {"a/b": PRICE}
    assert price_for(prices, "a/b-2026-01-01", "a/b") == PRICE
    assert price_for(prices, "a/b:nitro") == PRICE
    assert price_for(prices, "x/y") is None
    free = price_for(prices, "a/b:free")
    assert free is not None
    assert cost_of(Usage(prompt_tokens=1000), free) == (Decimal(0), True)


@given(st.binary() | st.dictionaries(st.sampled_from(["data", "x"]), st.lists(st.none() | st.text())).map(orjson.dumps))
def test_no_body_of_the_price_list_makes_it_raise(body: bytes) -> None:
    assert read_prices(body) == {}
