from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.yaml_flows.loading import compile_source, load_book
from bot.core.answers import ANSWER_LIMIT
from bot.core.book import Book, Rules
from bot.core.flow import FlowPosition
from bot.core.interpreter import (
    OUT_OF_BUDGET_MESSAGES,
    Asking,
    Ended,
    Escalated,
    Heard,
    OutOfBudget,
    Turnout,
    Waiting,
    after_model,
    answer,
    begin,
    offers,
)
from bot.core.messages import Buttons, ListMenu, spoken
from tests.core.playing import book_of, scene
from tests.core.test_fitting import assert_fits

SAMPLES = book_of(Path(__file__).parents[2] / "flows")
STEPS = {
    "ask": "{id: ask, type: input, variable: x, text: 'X?', validate: {pattern: 'ok'}, retry: Again, attempts: 2, "
    "otherwise: lost}",
    "menu": "{id: menu, type: quick_replies, text: Which?, variable: x, replies: [{text: {en: One, hi: एक}}, "
    "{text: Two, value: second, action: goto, target: lost}, "
    "{text: Agent, action: escalate, department: sales, reason: 'R {x}'}, {text: Done, action: end}]}",
    "lost": "{id: lost, type: end, text: 'Lost {x}'}",
    "tell": "{id: tell, type: message, text: 'Got {x}'}",
}


def book(*steps: str, top: str = "", rules: Rules | None = None) -> Book:
    lines = [f"flow_id: f\nversion: 1\n{top}\nsteps:", *(f"  - {STEPS.get(step, step)}" for step in steps)]
    return book_of_sources("\n".join(lines), rules=rules)


def book_of_sources(*sources: str, rules: Rules | None = None) -> Book:
    flows = {flow.flow_id: flow for flow in map(compile_source, sources)}
    versions = {flow.digest: flow for flow in flows.values()}
    return Book(version="1", rules=rules or Rules(), flows=flows, versions=versions)


def start(found: Book, message: str = "", **around: object) -> Turnout:
    return begin(found, found.flows["f"], scene(message, **around))


def said(turnout: Turnout) -> list[str]:
    return [spoken(message) for message in turnout.say]


def position(turnout: Turnout) -> FlowPosition:
    assert turnout.position is not None
    return msgspec.msgpack.decode(msgspec.msgpack.encode(turnout.position), type=FlowPosition)


def hear(found: Book, turnout: Turnout, text: str, choice_id: str = "") -> Turnout:
    return answer(found, position(turnout), Heard(text=text, choice_id=choice_id), scene(text))


def test_steps_run_on_until_one_waits() -> None:
    turnout = start(book("tell", "tell2".replace("tell2", "{id: b, type: message, text: B}"), "ask", "lost"))
    assert said(turnout) == ["Got", "B", "X?"]
    assert turnout.outcome == Waiting()
    assert position(turnout).step_id == "ask"


def test_a_flow_that_runs_out_of_steps_ends_with_its_closing() -> None:
    turnout = start(book("tell", top="closing: Bye {user_name}"))
    assert said(turnout) == ["Got", "Bye Asha"]
    assert (turnout.outcome, turnout.position) == (Ended(), None)


def test_the_text_of_an_end_step_takes_the_place_of_the_closing() -> None:
    assert said(start(book("lost", top="closing: Bye"))) == ["Lost"]
    assert said(start(book("{id: e, type: end}", top="closing: Bye"))) == ["Bye"]
    assert said(start(book("{id: e, type: end}"))) == []


def test_a_good_answer_is_kept_and_a_bad_one_is_asked_for_again_until_otherwise() -> None:
    found = book("ask", "tell", "lost")
    asked = start(found)
    assert said(hear(found, asked, " ok "))[0] == "Got ok"
    again = hear(found, asked, "no")
    assert (said(again), position(again).attempts) == (["Again"], 1)
    assert said(hear(found, again, "still no")) == ["Lost"]


def test_attempts_count_anew_at_the_next_question() -> None:
    found = book("ask", STEPS["ask"].replace("id: ask", "id: ask2"), "lost")
    second = hear(found, hear(found, start(found), "no"), "ok")
    assert position(second).attempts == 0


def test_without_otherwise_the_third_bad_answer_escalates() -> None:
    found = book("{id: q, type: input, variable: x, text: 'Q?', validate: {type: date}}")
    turnout = start(found)
    for _ in range(2):
        turnout = hear(found, turnout, "no")
        assert said(turnout) == ["Q?"]
    assert hear(found, turnout, "no").outcome == Escalated(department="general", reason="no usable answer at step q")


def test_a_tap_answers_an_input_with_its_title() -> None:
    found = book("{id: q, type: input, variable: x, text: 'Q?'}", "tell")
    assert said(hear(found, start(found), "Tapped", "some:old:tap")) == ["Got Tapped"]
    assert said(hear(found, start(found), "", "payload")) == ["Got payload"]


def test_a_choice_is_made_by_payload_by_title_in_any_case_and_language_or_by_number() -> None:
    found = book("menu", "tell", "lost")
    shown = start(found)
    menu = shown.say[0]
    assert isinstance(menu, ListMenu)
    taps = [
        ("One", menu.rows[0].id),
        ("one", ""),
        ("ONE!", ""),
        ("एक", ""),
        ("1", ""),
        ("१.", ""),
        (menu.rows[0].id, ""),
    ]
    assert [said(hear(found, shown, *tap))[0] for tap in taps] == ["Got One"] * len(taps)


def test_the_value_of_a_reply_is_kept_in_place_of_its_title() -> None:
    found = book("menu", "tell", "lost")
    assert said(hear(found, start(found), "two")) == ["Lost second"]


def test_a_reply_may_hand_over_or_end() -> None:
    found = book("menu", "tell", "lost", top="closing: Bye")
    assert hear(found, start(found), "agent").outcome == Escalated(department="sales", reason="R Agent")
    assert said(hear(found, start(found), "4")) == ["Bye"]


@pytest.mark.parametrize("text", ["0", "5", "11", "one two", "", "99999999999999999999"])
def test_anything_else_puts_the_menu_again_and_then_escalates(text: str) -> None:
    found = book("menu", "tell", "lost")
    shown = start(found)
    again = hear(found, hear(found, shown, text), text)
    assert again.say == shown.say
    assert isinstance(hear(found, again, text).outcome, Escalated)


def test_a_tap_in_an_older_menu_counts_as_its_title() -> None:
    found = book("menu", "tell", "lost")
    assert said(hear(found, start(found), "One", "another:menu:one")) == ["Got One", "Lost One"]
    assert said(hear(found, start(found), "", "one")) == ["Got One", "Lost One"]


def test_a_waiting_step_offers_its_choices_and_nothing_else() -> None:
    found = book("menu", "tell", "lost")
    at_menu = position(start(found))
    assert offers(found, at_menu, Heard(text="Agent"))
    assert offers(found, at_menu, Heard(text="2"))
    assert not offers(found, at_menu, Heard(text="menu"))
    assert not offers(book("ask", "lost"), position(start(book("ask", "lost"))), Heard(text="ok"))


def test_conditionals_nest_and_hold_several_steps() -> None:
    found = book(
        "{id: c1, type: conditional, condition: 'x == 1', steps: [{id: a, type: message, text: A}, "
        "{id: c2, type: conditional, condition: 'y', steps: [{id: b, type: message, text: B}], else_steps: "
        "[{id: c, type: message, text: C}, {id: d, type: message, text: D}]}, {id: e, type: message, text: E}], "
        "else_steps: [{id: f, type: message, text: F}]}",
        "{id: g, type: message, text: G}",
    )
    run = [
        said(begin(found, found.flows["f"], scene(), {"x": x, "y": y})) for x, y in ((1, True), (1, False), (2, True))
    ]
    assert run == [["A", "B", "E", "G"], ["A", "C", "D", "E", "G"], ["F", "G"]]


def test_a_condition_that_cannot_be_evaluated_does_not_hold_and_is_reported() -> None:
    turnout = start(book("{id: c, type: conditional, condition: 'x > 5', steps: [{id: a, type: message, text: A}]}"))
    assert said(turnout) == []
    assert [fault.split(":")[0] for fault in turnout.faults] == ["x > 5"]


def test_conditions_know_the_customer_the_session_and_the_moment() -> None:
    sunday = datetime.fromisoformat("2025-03-23T23:30:00+00:00").timestamp()
    conditions = [
        "user.name == 'Asha' && user.phone == '919876543210' && user.language == 'en' && !user.opted_out",
        "session.id == 's-1' && session.started_at == 1700000000 && session.mode == 'bot'",
        "now.hour == 23 && now.minute == 30 && now.weekday == 6 && now.date == '2025-03-23' && now.open",
        f"now.timestamp == {int(sunday)} && message == 'hey' && language == 'en' && phone == user.phone",
    ]
    ok = "type: message, text: OK"
    steps = [
        f'{{id: c{number}, type: conditional, condition: "{text}", steps: [{{id: m{number}, {ok}}}]}}'
        for number, text in enumerate(conditions)
    ]
    assert said(start(book(*steps), message="hey", at=sunday)) == ["OK"] * len(conditions)


def test_set_keeps_numbers_and_fills_texts_once() -> None:
    found = book(
        "{id: s, type: set, values: {n: 5, t: true, a: '{message}!', b: 'x {a}'}}",
        "{id: c, type: conditional, condition: 'n == 5 && t', steps: [{id: m, type: message, text: '{b}'}]}",
    )
    assert said(start(found, message="{user_name}")) == ["x {user_name}!"]


def test_values_do_not_grow_without_end() -> None:
    found = book("{id: s, type: set, values: {a: '{a}{a}'}}", "tell", "ask", "lost")
    turnout = begin(found, found.flows["f"], scene(), {"a": "x" * ANSWER_LIMIT})
    assert position(turnout).variables["a"] == "x" * ANSWER_LIMIT


def test_setting_the_language_changes_it_and_tells_so() -> None:
    found = book(
        "{id: s, type: set, values: {language: hi}}",
        "{id: m, type: message, text: {en: Hello, hi: नमस्ते}}",
        "{id: c, type: conditional, condition: \"user.language == 'hi' && language == 'hi'\", "
        "steps: [{id: q, type: input, variable: x, text: {en: X, hi: 'अ {language}'}}]}",
    )
    turnout = start(found)
    assert (said(turnout), turnout.language) == (["नमस्ते", "अ hi"], "hi")
    assert said(hear(found, turnout, " ")) == ["अ hi"]


def test_the_language_that_conditions_see_follows_a_change_after_an_earlier_condition() -> None:
    found = book(
        "{id: c, type: conditional, condition: \"user.language == 'en'\", "
        "steps: [{id: s, type: set, values: {language: hi}}]}",
        "{id: d, type: conditional, condition: \"user.language == 'hi'\", "
        "steps: [{id: m, type: message, text: Hindi}]}",
    )
    assert said(start(found)) == ["Hindi"]


def test_an_unknown_language_is_only_a_value() -> None:
    turnout = start(
        book("{id: s, type: set, values: {language: xx}}", "{id: m, type: message, text: {en: Hello, hi: नमस्ते}}")
    )
    assert (said(turnout), turnout.language) == (["Hello"], "")


@pytest.mark.parametrize(("language", "expected"), [("hi", "H"), ("hi-IN", "H"), ("ta", "E"), ("", "E")])
def test_a_text_falls_back_to_the_default_language(language: str, expected: str) -> None:
    found = book("{id: m, type: message, text: {hi: H, en: E}}")
    assert said(start(found, language=language)) == [expected]


def test_a_text_in_no_language_we_know_is_said_as_it_is() -> None:
    assert said(start(book("{id: m, type: message, text: {fr: Bonjour}}"))) == ["Bonjour"]


def test_a_flow_waits_for_the_model_and_goes_on_with_its_reply() -> None:
    found = book("{id: m, type: model, instruction: 'About {message}', variable: x}", "tell")
    asking = start(found, message="tea")
    assert asking.outcome == Asking(instruction="About tea")
    assert answer(found, position(asking), Heard(text="coffee"), scene("coffee")).outcome == Asking(
        instruction="About coffee"
    )
    assert said(after_model(found, position(asking), scene("tea"), "Assam")) == ["Got Assam"]


def test_an_escalation_says_its_text_first() -> None:
    turnout = start(book("{id: e, type: escalate, department: sales, reason: 'From {user_name}', text: Wait}"))
    assert said(turnout) == ["Wait"]
    assert turnout.outcome == Escalated(department="sales", reason="From Asha", announced=True)
    assert turnout.position is None


OTHER = """
flow_id: g
version: 1
steps: [{id: a, type: input, variable: y, text: 'G {x}?'}, {id: b, type: end, text: '{x} {y}'}]
"""
SWITCH = "{id: m, type: quick_replies, text: T, variable: x, replies: [{text: Go, action: flow, target: g}]}"


def test_a_reply_may_start_another_flow_with_the_variables() -> None:
    found = book_of_sources(f"flow_id: f\nversion: 1\nsteps: [{SWITCH}]", OTHER)
    switched = hear(found, start(found), "go")
    assert (said(switched), position(switched).flow_id) == (["G Go?"], "g")
    assert position(switched).digest == found.flows["g"].digest
    assert said(hear(found, switched, "now")) == ["Go now"]


def test_a_flow_that_is_gone_is_handed_to_a_person() -> None:
    found = book(SWITCH)
    assert hear(found, start(found), "go").outcome == Escalated(department="general", reason="the flow g is gone")


def test_a_loop_ends_as_an_outcome_and_does_not_flood_the_customer() -> None:
    turnout = start(book("tell", "{id: back, type: goto, target: tell}"))
    assert turnout.outcome == OutOfBudget(step_id="tell")
    assert (len(turnout.say), turnout.position) == (OUT_OF_BUDGET_MESSAGES, None)


def test_the_budget_is_that_of_the_rules() -> None:
    steps = [f"{{id: s{number}, type: message, text: T}}" for number in range(5)]
    assert start(book(*steps, rules=Rules(step_budget=5))).outcome == Ended()
    assert start(book(*steps, rules=Rules(step_budget=4))).outcome == OutOfBudget(step_id="s4")


def test_a_conversation_stays_on_its_version() -> None:
    old, new = (compile_source(f"flow_id: f\nversion: {n}\nsteps: [{STEPS['menu']}, {STEPS['lost']}]") for n in (1, 2))
    before = Book(version="1", rules=Rules(), flows={"f": old}, versions={old.digest: old})
    after = Book(version="2", rules=Rules(), flows={"f": new}, versions={old.digest: old, new.digest: new})
    assert hear(after, hear(after, start(before), "?"), "??").position == FlowPosition(
        flow_id="f", digest=old.digest, pc=0, step_id="menu", attempts=2
    )


def test_a_position_that_leads_nowhere_has_ended() -> None:
    found = book("ask", "lost")
    nowhere = FlowPosition(flow_id="f", digest="gone", pc=0, step_id="ask")
    beyond = FlowPosition(flow_id="f", digest=found.flows["f"].digest, pc=9, step_id="ask")
    for lost in (nowhere, beyond):
        assert answer(found, lost, Heard(text="x"), scene()).outcome == Ended()
        assert after_model(found, lost, scene(), "x").outcome == Ended()
        assert not offers(found, lost, Heard(text="x"))


def test_after_model_at_another_step_goes_on_without_keeping_the_reply() -> None:
    found = book("ask", "tell", "lost")
    assert said(after_model(found, position(start(found)), scene(), "reply"))[0] == "Got"


def test_more_than_ten_choices_are_numbered_and_chosen_by_number() -> None:
    replies = ", ".join(f"{{text: Item {number}}}" for number in range(1, 13))
    found = book(f"{{id: m, type: quick_replies, text: T, variable: x, replies: [{replies}]}}", "tell")
    assert said(hear(found, start(found), "12")) == ["Got Item 12"]


def test_three_choices_are_buttons_whose_payload_comes_back() -> None:
    found = book("{id: m, type: quick_replies, text: T, variable: x, replies: [{text: A}, {text: B, id: own}]}", "tell")
    shown = start(found)
    menu = shown.say[0]
    assert isinstance(menu, Buttons)
    assert [button.id for button in menu.buttons] == ["f:m:a", "own"]
    assert said(hear(found, shown, "", "own")) == ["Got B"]


@given(st.sampled_from(sorted(SAMPLES.flows)), st.lists(st.tuples(st.text(st.characters()), st.booleans()), max_size=8))
def test_no_text_makes_a_sample_flow_raise_or_send_what_does_not_fit(
    flow_id: str, messages: list[tuple[str, bool]]
) -> None:
    turnout = begin(SAMPLES, SAMPLES.flows[flow_id], scene(user_name=messages[0][0] if messages else ""))
    for text, number in messages:
        for message in turnout.say:
            assert_fits(message)
        if turnout.position is None:
            return
        turnout = hear(SAMPLES, turnout, str(len(text) + 1) if number else text)


HOSTILE = st.sampled_from(
    [
        "{user_name}",
        "{{x}}",
        "{x}",
        "{message}",
        "' || true || '",
        "- {id: a, type: end}",
        "*a",
        "!!python/object:os",
        "%s",
    ]
)


@given(st.lists(HOSTILE | st.text(min_size=1), min_size=1, max_size=4).map("".join).filter(str.strip))
def test_what_a_customer_writes_is_never_evaluated(text: str) -> None:
    found = book(
        "{id: q, type: input, variable: x, text: Q}",
        "{id: s, type: set, values: {y: '{x}'}}",
        "{id: c, type: conditional, condition: \"x == 'secret'\", steps: [{id: no, type: message, text: BROKEN}]}",
        "{id: e, type: escalate, reason: '{y}'}",
    )
    turnout = hear(found, start(found), text)
    assert turnout.say == ()
    assert turnout.outcome == Escalated(department="general", reason=text[:ANSWER_LIMIT])


def test_the_sample_flows_load_without_a_single_problem() -> None:
    assert load_book(Path(__file__).parents[2] / "flows", Rules()).problems == ()
