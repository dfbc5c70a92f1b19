"""What can be told of flows from their shape, and of a set of flows from their looking at each other."""

from pathlib import Path

import pytest

from bot.adapters.yaml_flows.loading import check
from bot.adapters.yaml_flows.problems import Problem, render

PERSON = "  - {id: person, type: escalate}"


def flow(*steps: str, flow_id: str = "f", top: str = "priority: 0") -> str:
    """A flow whose steps begin at line 5."""
    return "\n".join([f"flow_id: {flow_id}", "version: 1", top, "steps:", *steps])


def problems_of(folder: Path, *sources: str, rules: str = "") -> list[Problem]:
    for number, source in enumerate(sources):
        (folder / f"f{number}.yaml").write_text(source, encoding="utf-8")
    if rules:
        (folder / "rules.yaml").write_text(rules, encoding="utf-8")
    return list(check([folder]))


def assert_warned(problems: list[Problem], *expected: tuple[int, str]) -> None:
    assert len(problems) == len(expected), render(problems)
    for problem, (line, part) in zip(problems, expected, strict=True):
        assert (problem.severity, problem.line) == ("warning", line)
        assert part in problem.message


def test_a_step_that_nothing_leads_to(tmp_path: Path) -> None:
    source = flow("  - {id: a, type: goto, target: person}", "  - {id: b, type: message, text: B}", PERSON)
    assert_warned(problems_of(tmp_path, source), (6, "nothing leads to this step"))


def test_a_conditional_is_reached_even_if_the_end_of_its_steps_is_not(tmp_path: Path) -> None:
    inner = "steps: [{id: b, type: goto, target: person}], else_steps: [{id: d, type: message, text: D}]"
    assert_warned(problems_of(tmp_path, flow(f"  - {{id: c, type: conditional, condition: 'true', {inner}}}", PERSON)))


def test_each_loop_that_never_waits(tmp_path: Path) -> None:
    source = flow(
        "  - {id: c, type: conditional, condition: 'user.opted_out', steps: [{id: x, type: goto, target: c}]}",
        "  - {id: between, type: message, text: B}",
        "  - {id: a, type: message, text: A}",
        "  - {id: b, type: conditional, condition: 'user.opted_out', steps: [{id: y, type: goto, target: a}]}",
        "  - {id: q, type: input, variable: v, text: Q}",
        "  - {id: z, type: conditional, condition: v == '', steps: [{id: w, type: goto, target: q}]}",
        PERSON,
    )
    assert_warned(problems_of(tmp_path, source), (5, "never waits"), (7, "never waits"))


@pytest.mark.parametrize(
    "step",
    [
        "{id: a, type: message, text: A}",
        "{id: a, type: end}",
        "{id: a, type: model, instruction: I}",
        "{id: a, type: quick_replies, text: T, otherwise: a, replies: [{text: Done, action: end}]}",
        "{id: a, type: input, variable: v, text: T, otherwise: a}",
    ],
)
def test_an_end_without_a_way_to_a_person(step: str, tmp_path: Path) -> None:
    assert_warned(problems_of(tmp_path, flow(f"  - {step}")), (5, "without having offered a person"))


@pytest.mark.parametrize(
    "step",
    [
        "{id: a, type: quick_replies, text: T, otherwise: a, replies: [{text: P, action: escalate}, {text: Done}]}",
        "{id: a, type: quick_replies, text: T, replies: [{text: Done}]}",
        "{id: a, type: input, variable: v, text: T, otherwise: escalate}",
    ],
)
def test_an_end_after_an_offer_is_no_dead_end(step: str, tmp_path: Path) -> None:
    assert_warned(problems_of(tmp_path, flow(f"  - {step}", "  - {id: b, type: message, text: B}")))


def test_a_flow_that_only_a_menu_with_an_offer_leads_to_is_no_dead_end(tmp_path: Path) -> None:
    menu = "  - {id: m, type: quick_replies, text: T, replies: [{text: G, action: flow, target: g}]}"
    ends = flow("  - {id: a, type: message, text: A}", flow_id="g")
    assert_warned(problems_of(tmp_path, flow(menu), ends))


def test_a_variable_that_no_step_sets_before(tmp_path: Path) -> None:
    source = flow(
        "  - {id: a, type: message, text: 'Hi {user_name} {who}'}",
        "  - {id: q, type: input, variable: who, text: 'Who, {message}?', retry: '{no}'}",
        "  - {id: c, type: conditional, condition: \"who == kind || ['a'].exists(x, x == who)\", steps: [",
        "      {id: s, type: set, values: {t: '{kind2}', n: 1}}]}",
        "  - {id: m, type: quick_replies, text: '{t} {n}', variable: o, replies: [{text: A}, {text: 'B {p}'}]}",
        "  - {id: i, type: model, instruction: '{o}', variable: told}",
        "  - {id: e, type: escalate, reason: '{told} {r}'}",
    )
    expected = [(5, "'who'"), (6, "'no'"), (7, "'kind'"), (8, "'kind2'"), (9, "'p'"), (11, "'r'")]
    assert_warned(problems_of(tmp_path, source), *expected)


def test_a_variable_set_later_in_a_loop_is_set(tmp_path: Path) -> None:
    source = flow(
        "  - {id: a, type: input, variable: x, text: 'X? {y}'}",
        "  - {id: b, type: input, variable: y, text: 'Y?'}",
        "  - {id: c, type: goto, target: a}",
    )
    assert_warned(problems_of(tmp_path, source))


def test_variables_are_carried_into_the_flows_that_replies_lead_to(tmp_path: Path) -> None:
    def menu(target: str, variable: str) -> str:
        return (
            f"  - {{id: m, type: quick_replies, text: T, variable: {variable}, "
            f"replies: [{{text: G, action: flow, target: {target}}}]}}"
        )

    last = flow("  - {id: e, type: escalate, reason: '{first} {second} {third}'}", flow_id="h")
    problems = problems_of(tmp_path, last, flow(menu("h", "second"), flow_id="g"), flow(menu("g", "first")))
    assert_warned(problems, (5, "'third'"))


def test_a_text_that_lacks_a_language_another_text_has(tmp_path: Path) -> None:
    source = flow(
        "  - {id: a, type: message, text: {en: A, hi: अ}}",
        "  - id: b",
        "    type: message",
        "    text: {en: B}",
        "  - {id: c, type: message, text: C}",
        PERSON,
    )
    assert_warned(problems_of(tmp_path, source), (8, "missing in: hi"))


def test_a_text_that_lacks_a_language_the_rules_name(tmp_path: Path) -> None:
    source = flow("  - {id: a, type: message, text: {en: A}}", PERSON)
    rules = "languages: [en, hi]\ntexts: {offer: {hi: अ}}"
    assert_warned(problems_of(tmp_path, source, rules=rules), (5, "missing in: hi"))


def test_a_long_flow_is_checked_in_a_moment(tmp_path: Path) -> None:
    steps = [f"  - {{id: s{number}, type: message, text: '{{v}}'}}" for number in range(4000)]
    source = flow("  - {id: q, type: input, variable: v, text: Q}", *steps)
    assert_warned(problems_of(tmp_path, source))


def test_words_that_two_flows_of_one_priority_wait_for(tmp_path: Path) -> None:
    triggers = (
        "triggers: [{type: keyword, values: [Hello, other]}, {type: exact_match, value: '1'}, {type: first_message}]"
    )
    same = triggers.replace("Hello, other", "hello").replace("'1'", "'1.'").replace("]", ", {type: pattern, value: a}]")
    same = same.replace("[hello, {type: pattern, value: a}]", "[hello]")
    problems = problems_of(tmp_path, flow(PERSON, top=triggers), flow(PERSON, flow_id="g", top=same))
    assert_warned(problems, (3, "the word 'hello'"), (3, "the message '1'"), (3, "a first message"))
    assert {problem.flow for problem in problems} == {"g"}
    assert "also starts the flow 'f'" in problems[0].message


def test_words_of_flows_of_different_priority_are_no_fight(tmp_path: Path) -> None:
    low, high = (f"triggers: [{{type: keyword, value: a}}]\npriority: {number}" for number in (0, 1))
    assert_warned(problems_of(tmp_path, flow(PERSON, top=low), flow(PERSON, flow_id="g", top=high)))


def test_a_reminder_that_comes_after_the_end_of_the_session(tmp_path: Path) -> None:
    late = "  - {id: a, type: input, text: A, variable: v, remind: {after: 3600, text: Still there?}}"
    assert_warned(problems_of(tmp_path, flow(late, PERSON)), (5, "after 3600 seconds of silence (SESSION_TIMEOUT)"))
    early = flow(late.replace("3600", "3599"), PERSON)
    rules = "languages: [en]\nremind: {after: 4000, text: Hm}"
    assert_warned(problems_of(tmp_path, early, rules=rules), (2, "this reminder never comes"))


def test_a_variable_that_a_reminder_uses_before_it_is_set(tmp_path: Path) -> None:
    asks = "  - {id: a, type: input, text: A, variable: v, remind: {after: 60, text: 'Still there? {v}'}}"
    assert_warned(problems_of(tmp_path, flow(asks, PERSON)), (5, "'v' is used here"))


def test_a_language_that_a_reminder_lacks(tmp_path: Path) -> None:
    asks = "  - {id: a, type: input, text: A, variable: v, remind: {after: 60, text: {en: Hm}}}"
    rules = "languages: [en, hi]\nremind: {after: 60, text: {en: Hm}}\nno_agent: {after: 60, text: {hi: Hm}}"
    assert_warned(
        problems_of(tmp_path, flow(asks, PERSON), rules=rules),
        (5, "the text is missing in: hi"),
        (1, "missing in 'en': no_agent"),
        (1, "missing in 'hi': remind"),
    )
