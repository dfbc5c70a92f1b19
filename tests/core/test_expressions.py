import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.expressions import (
    EXPRESSION_LIMIT,
    FIELDS,
    FUNCTIONS,
    BadExpression,
    compile_condition,
    free_names,
    judge,
)

SCALARS = st.one_of(st.text(), st.integers(-(2**70), 2**70), st.floats(), st.booleans())


def holds(source: str, **known: object) -> bool:
    return judge(compile_condition(source), known).holds


def test_a_condition_looks_at_variables() -> None:
    assert holds("order_id == '123456' && topic != 'x'", order_id="123456", topic="delivery")
    assert not holds("order_id == '123456' && topic != 'x'", order_id="123456", topic="x")


def test_an_unknown_variable_is_the_empty_text() -> None:
    assert holds("nothing == ''")
    assert not holds("nothing == 'x'")


def test_whole_and_broken_numbers_compare() -> None:
    assert holds("amount > 100", amount=100.5)
    assert holds("amount <= 100.5", amount=100)


@pytest.mark.parametrize("source", ["count > 5", "count + 1 == 2", "5 / zero == 1", "count", "user.name.first == ''"])
def test_what_cannot_be_evaluated_does_not_hold_and_is_told(source: str) -> None:
    verdict = judge(compile_condition(source), {"count": "many", "zero": 0, "user": {"name": "x"}})
    assert not verdict.holds
    assert verdict.fault.startswith(source)


def test_values_of_different_types_are_unequal_without_a_fault() -> None:
    verdict = judge(compile_condition("count == 5"), {"count": "5"})
    assert (verdict.holds, verdict.fault) == (False, "")


def test_one_bad_side_of_an_or_does_not_spoil_the_other() -> None:
    assert holds("count > 5 || vip == 'yes'", count="many", vip="yes")


def test_maps_give_their_fields() -> None:
    assert holds("user.language == 'hi' && now.hour < 12", user={"language": "hi"}, now={"hour": 9})


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("a ==", "at character 5"),
        ("a = b", "token recognition error"),
        ("", "at character"),
        ("launch(a) == 1", "'launch'"),
        ("user.age > 5", "'user' has no 'age'"),
        ("session.phone == ''", "it has id, mode, started_at"),
        ("a" * (EXPRESSION_LIMIT + 1), "longer than"),
        ("9" * 30 + " == a", "invalid int"),
    ],
)
def test_a_bad_expression_is_found_when_it_is_compiled(source: str, part: str) -> None:
    with pytest.raises(BadExpression, match=part.replace("(", r"\(")):
        compile_condition(source)


def test_a_field_inside_a_text_is_not_a_field() -> None:
    assert not holds("a == 'user.age'", a="user.name")
    assert not holds("order.user.age == 1")


def test_the_names_that_macros_bind_are_not_free() -> None:
    condition = compile_condition("['a', 'b'].exists(x, x == topic)")
    assert free_names(condition) == ("topic",)
    assert judge(condition, {"topic": "b"}).holds


@pytest.mark.parametrize(
    "source",
    [
        "size(a) == 2 && a.contains('1') && a.startsWith('1') && a.endsWith('2') && a.matches('^[0-9]+$')",
        "int(a) == 12 && double(a) == 12.0 && uint(a) == 12u && string(1) == '1' && bytes(a) == b'12'",
        "timestamp('2025-03-24T10:11:12Z').getHours() == 10 && duration('60s') == duration('1m')",
        "timestamp('2025-03-24T10:11:12Z').getFullYear() == 2025 && timestamp('2025-03-24T10:11:12Z').getMonth() == 2",
    ],
)
def test_the_functions_named_are_there(source: str) -> None:
    assert holds(source, a="12")


def test_the_fields_and_functions_are_written_down() -> None:
    assert set(FIELDS) == {"user", "session", "now"}
    assert "matches" in FUNCTIONS


@pytest.mark.parametrize("source", ["!" * 999 + "a", "-" * 999 + "1 == 1", "[" * 450 + "]" * 450, "a." * 499 + "a"])
def test_deep_expressions_are_refused_or_judged_but_never_crash(source: str) -> None:
    try:
        condition = compile_condition(source)
    except BadExpression:
        return
    judge(condition, {"a": True})


@given(st.text(max_size=60))
def test_any_text_compiles_or_is_refused(source: str) -> None:
    try:
        judge(compile_condition(source), {})
    except BadExpression:
        return


@given(SCALARS, SCALARS)
def test_no_values_make_a_condition_raise(left: object, right: object) -> None:
    judge(compile_condition("a < b || a == b || size(a) > 1 || a + b == a || a.contains(b)"), {"a": left, "b": right})
