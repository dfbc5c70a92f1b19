"""Every error of a flow file by itself: found with its line, and told with what would put it right."""

import pytest

from bot.adapters.yaml_flows.compiler import compile_flow
from bot.adapters.yaml_flows.document import DEPTH_LIMIT, FILE_LIMIT
from bot.adapters.yaml_flows.problems import Problem, Report, render

ASKS = "id: a, type: input, text: T, variable: x"
STEP = "  - {id: a, type: message, text: Hi}"


def problems_of(source: str) -> list[Problem]:
    report = Report("f.yaml")
    compiled = compile_flow(source, report).compiled
    assert (compiled is None) == report.is_broken()
    return report.problems


def flow(*steps: str, top: str = "priority: 0") -> str:
    """A flow whose steps begin at line 5."""
    return "\n".join(["flow_id: f", "version: 1", top, "steps:", *(steps or [STEP])])


def reply(**keys: str) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}"


def menu(*replies: str, text: str = "T?") -> str:
    return f"  - {{id: m, type: quick_replies, text: '{text}', replies: [{', '.join(replies)}]}}"


def test_a_flow_without_a_fault_has_no_problems() -> None:
    assert problems_of(flow()) == []


@pytest.mark.parametrize(
    ("line", "source", "part"),
    [
        (1, "", "must hold a mapping"),
        (1, "- a", "must hold a mapping"),
        (2, "a: 1\nb: ]", "not YAML"),
        (1, "a: \x00", "not YAML"),
        (2, "a: &x {b: 1}\nc: *x", "aliases are not taken"),
        (1, "[" * (DEPTH_LIMIT + 1) + "]" * (DEPTH_LIMIT + 1), "inside each other"),
        (1, "[" * 20000, "inside each other"),
        (1, "#" * (FILE_LIMIT + 1), "larger than 256 KiB"),
        (2, "flow_id: a\n---\nflow_id: b", "not YAML"),
        (2, "flow_id: f\nflow_id: g\nsteps:\n" + STEP, "stands here twice"),
        (1, "[a]: b\nflow_id: f\nsteps:\n" + STEP, "a key must be a word"),
        (1, "version: 1", "a flow needs 'flow_id'"),
        (1, "flow_id: f", "a flow needs 'steps'"),
        (1, "flow_id: a b\nsteps:\n" + STEP, "cannot be an id"),
        (2, "flow_id: f\nsteps: []", "at least one entry"),
        (2, "flow_id: f\nsteps: {}", "at least one entry"),
        (3, "flow_id: f\nsteps:\n  - hello", "must be a mapping"),
        (3, flow(top="prioritty: 1"), "did you mean 'priority'?"),
        (3, flow(top="priority: high"), "whole number"),
        (2, flow().replace("version: 1", "version: 0"), "from 1 to"),
        (3, flow(top="triggers: [{type: keywords, values: [a]}]"), "did you mean 'keyword'?"),
        (3, flow(top="triggers: [{values: [a]}]"), "a trigger needs 'type'"),
        (3, flow(top="triggers: [{type: keyword}]"), "needs 'value' or 'values'"),
        (3, flow(top="triggers: [{type: keyword, values: []}]"), "list of texts"),
        (3, flow(top="triggers: [{type: keyword, values: [[a]]}]"), "list of texts"),
        (3, flow(top="triggers: [{type: keyword, value: '\u0301'}]"), "nothing that can be seen"),
        (3, flow(top=f"triggers: [{{type: keyword, value: {'a' * 101}}}]"), "more than 100 characters"),
        (3, flow(top="triggers: [{type: first_message, value: a}]"), "has no key 'value'"),
        (3, flow(top="triggers: [{type: pattern, value: '(?=a)'}]"), "invalid perl operator"),
        (3, flow(top=f"triggers: [{{type: pattern, value: {'a' * 501}}}]"), "longer than 500"),
        (3, flow(top="triggers: [hello]"), "must be a mapping"),
        (3, flow(top="closing: ''"), "text that is not empty"),
        (5, flow("  - {id: a, text: Hi}"), "a step needs 'type'"),
        (5, flow("  - {id: a, type: mesage, text: Hi}"), "did you mean 'message'?"),
        (5, flow("  - {type: message, text: Hi}"), "needs 'id'"),
        (5, flow("  - {id: a, type: message}"), "needs 'text'"),
        (5, flow("  - {id: a, type: message, txt: Hi, text: Hi}"), "did you mean 'text'?"),
        (6, flow(STEP, STEP), "used before, at line 5"),
        (5, flow("  - {id: a, type: message, text: [Hi]}"), "text that is not empty"),
        (5, flow("  - {id: a, type: message, text: {}}"), "text that is not empty"),
        (5, flow("  - {id: a, type: message, text: {english: Hi}}"), "not a language code"),
        (5, flow("  - {id: a, type: message, text: {en: ''}}"), "text that is not empty"),
        (5, flow(f"  - {{id: a, type: message, text: {'x' * 4097}}}"), "has 4097 characters; WhatsApp takes 4096"),
        (5, flow(f"  - {{id: a, type: message, text: {{hi: {'x' * 4097}}}}}"), "in 'hi'"),
        (5, flow("  - {id: a, type: goto, target: b}", "  - {id: bb, type: end}"), "did you mean 'bb'?"),
        (5, flow("  - {id: a, type: input, text: T, variable: 1a}"), "cannot be a variable"),
        (5, flow("  - {id: a, type: input, text: T, variable: now}"), "conditions know something else"),
        (5, flow("  - {id: a, type: input, text: T, variable: x, attempts: 0}"), "from 1 to 20"),
        (5, flow("  - {id: a, type: input, text: T, variable: x, otherwise: z}"), "no step has the id 'z'"),
        (5, flow("  - {id: a, type: input, text: T, variable: x, validate: {}}"), "either 'pattern' or 'type'"),
        (5, flow("  - {id: a, type: input, text: T, variable: x, validate: yes}"), "must be a mapping"),
        (5, flow("  - {id: a, type: input, text: T, variable: x, validate: {type: mail}}"), "did you mean 'email'?"),
        (5, flow("  - {id: a, type: input, text: T, variable: x, validate: {pattern: '('}}"), "missing )"),
        (5, flow(f"  - {{{ASKS}, remind: {{text: Hm}}}}"), "'remind' needs 'after'"),
        (5, flow(f"  - {{{ASKS}, remind: {{after: 60}}}}"), "'remind' needs 'text'"),
        (5, flow(f"  - {{{ASKS}, remind: {{after: 1 h, text: Hm}}}}"), "whole number from 1 to 82800"),
        (5, flow(f"  - {{{ASKS}, remind: {{after: 82801, text: Hm}}}}"), "whole number from 1 to 82800"),
        (5, flow(f"  - {{{ASKS}, remind: {{after: 60, text: {'x' * 4097}}}}}"), "WhatsApp takes 4096"),
        (5, flow(f"  - {{{ASKS}, remind: {{after: 60, txt: Hm}}}}"), "did you mean 'text'?"),
        (5, flow(f"  - {{{ASKS}, remind: off}}"), "takes 'after' and 'text', or the word none, and not 'off'"),
        (5, flow(f"  - {{{ASKS}, remind: [60, Hm]}}"), "'remind' must be a mapping"),
        (
            8,
            flow("  - id: m\n    type: quick_replies\n    text: T\n    remind: {after: 0, text: Hm}"),
            "from 1 to 82800",
        ),
        (5, flow("  - {id: a, type: message, text: Hi, remind: {after: 1, text: Hm}}"), "has no key 'remind'"),
        (5, flow("  - {id: a, type: conditional, condition: 'x ==', steps: []}"), "cannot be used (CEL)"),
        (5, flow("  - {id: a, type: conditional, steps: [{id: b, type: end}]}"), "needs 'condition'"),
        (5, flow("  - {id: a, type: conditional, condition: x, steps: []}"), "at least one entry"),
        (5, flow("  - {id: a, type: set, values: {n: [1]}}"), "must be a text, a number"),
        (5, flow("  - {id: a, type: set, values: {n: }}"), "must be a text, a number"),
        (5, flow("  - {id: a, type: set, values: {a b: 1}}"), "cannot be a variable"),
        (5, flow("  - {id: a, type: set, values: 1}"), "must be a mapping"),
        (5, flow("  - {id: a, type: escalate, department: a b}"), "cannot be a department"),
        (5, flow(menu(reply(text="x" * 21))), "has 21 characters; WhatsApp takes 20"),
        (5, flow(menu(*(reply(text=f"{n}" + "x" * 24) for n in range(4)))), "has 25 characters; WhatsApp takes 24"),
        (5, flow(menu(reply(text="a", description="x" * 73))), "WhatsApp takes 72"),
        (5, flow(menu(reply(text="a"), reply(text="Á"))), "the title is the same as at line 5"),
        (5, flow(menu(reply(text="{en: a, hi: c}"), reply(text="{en: b, hi: c}"))), "the title is the same"),
        (5, flow(menu(reply(text="a"), text="x" * 1025)), "WhatsApp takes 1024"),
        (5, flow(menu(*(reply(text=t) for t in "abcd"), text="x" * 4097)), "WhatsApp takes 4096"),
        (5, flow(menu(reply(text="a", action="jump"))), "there is no action 'jump'"),
        (5, flow(menu(reply(text="a", action="goto"))), "needs 'target'"),
        (5, flow(menu(reply(text="a", action="goto", target="z"))), "no step has the id 'z'"),
        (5, flow(menu(reply(text="a", action="end", target="m"))), "takes no 'target'"),
        (5, flow(menu(reply(text="a", department="b"))), "takes no 'department'"),
        (5, flow(menu(reply(text="a", id="p"), reply(text="b", id="p"))), "payload 'p' is used before, at line 5"),
        (5, flow(menu(reply(title="a"))), "a reply needs 'text'"),
        (5, flow(menu()), "at least one entry"),
    ],
)
def test_a_fault_is_told_with_its_line(line: int, source: str, part: str) -> None:
    found = [problem for problem in problems_of(source) if problem.severity == "error" and part in problem.message]
    assert [problem.line for problem in found] == [line], render(problems_of(source))


def test_all_faults_are_told_at_once() -> None:
    source = flow(
        "  - {id: a, type: mesage}", "  - {id: b, type: goto, target: c}", "  - {id: d, type: end, txt: x}", top="x: 1"
    )
    assert [problem.line for problem in problems_of(source)] == [3, 5, 7, 6]


def test_a_problem_names_its_flow_and_step() -> None:
    (problem,) = problems_of(flow("  - {id: a, type: goto, target: c}"))
    assert (problem.file, problem.flow, problem.step) == ("f.yaml", "f", "a")
    assert render([problem]) == "f.yaml:5: error: step 'a': no step has the id 'c'; use one of: a"


def test_faults_inside_nested_steps_have_their_own_lines() -> None:
    source = flow(
        "  - id: c",
        "    type: conditional",
        "    condition: 'true'",
        "    steps:",
        "      - {id: d, type: goto, target: nowhere}",
        "    else_steps:",
        "      - {id: c, type: message, text: Hi}",
    )
    assert [problem.line for problem in problems_of(source)] == [11, 9]


def test_long_titles_are_no_error_in_a_numbered_text() -> None:
    replies = [reply(text=f"{number} {'x' * 40}") for number in range(11)]
    (problem,) = problems_of(flow(menu(*replies)))
    assert (problem.severity, problem.line) == ("warning", 5)
    assert "11 replies are sent as a numbered text" in problem.message


def test_a_list_may_have_a_body_that_buttons_may_not() -> None:
    assert problems_of(flow(menu(*(reply(text=t) for t in "abcd"), text="x" * 1025))) == []


def test_words_that_yaml_takes_for_something_else_stay_words() -> None:
    assert problems_of(flow(menu(reply(text="yes"), reply(text="1"), reply(text="no")))) == []


def test_a_variable_that_hides_a_known_name_is_a_warning() -> None:
    (problem,) = problems_of(flow("  - {id: a, type: input, text: T, variable: phone}"))
    assert (problem.severity, problem.line) == ("warning", 5)
