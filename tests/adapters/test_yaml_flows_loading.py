from pathlib import Path
from zoneinfo import ZoneInfo

import jsonschema
import msgspec
import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.yaml_flows.compiler import compile_flow, digest_of
from bot.adapters.yaml_flows.language import ACTION_KEYS, FLOW_KEYS, REPLY_KEYS, STEP_KEYS, TRIGGER_KEYS, VALIDATE_KEYS
from bot.adapters.yaml_flows.loading import BrokenFlow, check, compile_source, load_book
from bot.adapters.yaml_flows.problems import Report, has_errors, render
from bot.adapters.yaml_flows.rules import PERSONA_LIMIT, read_rules
from bot.adapters.yaml_flows.schema import flow_schema, render_schema
from bot.core.book import DEFAULT_TEXTS, NoAgent, Rules
from bot.core.flow import Reminder, SetValues
from tests.core.playing import UPDATE

FLOWS = Path(__file__).parents[2] / "flows"
SCHEMA_FILE = FLOWS / "flow.schema.json"
GOOD = "flow_id: {}\nversion: 3\nsteps: [{{id: a, type: escalate}}]\n"
BROKEN = "flow_id: {}\nsteps: [{{id: a, type: goto, target: b}}]\n"
SWITCHING = (
    "flow_id: f\nsteps: [{id: m, type: quick_replies, text: T, replies: [{text: G, action: flow, target: g}]}]\n"
)


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def test_a_folder_becomes_a_book(tmp_path: Path) -> None:
    write(tmp_path, f=GOOD.format("f"), g=GOOD.format("g"), rules="persona: Tea")
    (tmp_path / "notes.txt").write_text("not a flow")
    (tmp_path / ".hidden.yaml").write_text("not a flow")
    (tmp_path / "folder.yaml").mkdir()
    book = load_book(tmp_path, Rules(step_budget=7)).book
    assert book is not None
    assert (set(book.flows), book.rules.persona, book.rules.step_budget) == ({"f", "g"}, "Tea", 7)
    assert book.versions == {flow.digest: flow for flow in book.flows.values()}
    assert book.flows["f"].version == 3


def test_a_set_with_one_error_is_refused_whole(tmp_path: Path) -> None:
    write(tmp_path, f=GOOD.format("f"), g=BROKEN.format("g"))
    loaded = load_book(tmp_path, Rules())
    assert loaded.book is None
    assert [(Path(problem.file).name, problem.line) for problem in loaded.problems] == [("g.yaml", 2)]


def test_warnings_do_not_refuse_a_set(tmp_path: Path) -> None:
    write(tmp_path, f="flow_id: f\nsteps: [{id: a, type: message, text: A}]")
    loaded = load_book(tmp_path, Rules())
    assert loaded.book is not None
    assert loaded.problems


def test_the_version_of_a_book_is_that_of_its_files_and_limits(tmp_path: Path) -> None:
    def version(limits: Rules) -> str:
        book = load_book(tmp_path, limits).book
        assert book is not None
        return book.version

    write(tmp_path, f=GOOD.format("f"))
    first = version(Rules())
    assert version(Rules()) == first
    assert version(Rules(step_budget=9)) != first
    write(tmp_path, f=GOOD.format("f") + "# changed")
    assert version(Rules()) != first


def test_a_stored_source_compiles_to_the_same_version() -> None:
    for path in FLOWS.glob("[!r]*.yaml"):
        source = path.read_text(encoding="utf-8")
        flow = compile_source(source)
        assert (flow.source, flow.digest) == (source, digest_of(source))
        assert len(flow.digest) == 32


def test_a_stored_source_that_is_damaged_is_told() -> None:
    with pytest.raises(BrokenFlow, match="no step has the id 'b'"):
        compile_source(BROKEN.format("f"))


def test_a_flow_id_may_be_used_once(tmp_path: Path) -> None:
    write(tmp_path, f=GOOD.format("f"), g=GOOD.format("f"))
    (problem,) = check([tmp_path])
    assert (Path(problem.file).name, problem.line) == ("g.yaml", 1)
    assert "'f' is used before, in f.yaml" in problem.message


def test_a_flow_that_a_reply_leads_to_must_be_there(tmp_path: Path) -> None:
    write(tmp_path, f=SWITCHING)
    (problem,) = check([tmp_path])
    assert (problem.line, problem.severity) == (2, "error")
    assert "there is no flow 'g'" in problem.message


def test_a_flow_that_is_there_but_broken_is_not_missing(tmp_path: Path) -> None:
    write(tmp_path, f=SWITCHING, g=BROKEN.format("g"))
    assert [Path(problem.file).name for problem in check([tmp_path])] == ["g.yaml"]


def test_a_single_file_is_judged_among_its_neighbours(tmp_path: Path) -> None:
    write(tmp_path, f=SWITCHING, g=BROKEN.format("g"), h="- nothing")
    assert check([tmp_path / "f.yaml"]) == ()
    assert [Path(problem.file).name for problem in check([tmp_path / "f.yaml", tmp_path / "g.yaml"])] == ["g.yaml"]


def test_what_is_not_there_or_not_text_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"text: \xe9")
    assert "not UTF-8" in render(check([tmp_path]))
    assert "cannot be read" in render(check([tmp_path / "missing.yaml"]))
    assert "cannot be read" in render(check([tmp_path / "no" / "missing.yaml"]))
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no flow file" in render(check([empty]))
    assert "no such folder" in render(load_book(tmp_path / "no", Rules()).problems)


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.format("f").encode())
    assert check([tmp_path]) == ()


def test_set_values_are_what_yaml_takes_them_for_in_the_plain_cases() -> None:
    values = "{a: 5, b: -1.5, c: true, d: yes, e: 007, f: 10:30, g: '5', h: .inf, i: 2025-01-01, j: 0x10, k: gold}"
    op = compile_source(f"flow_id: f\nsteps: [{{id: s, type: set, values: {values}}}, {{id: e, type: escalate}}]").ops[
        0
    ]
    assert isinstance(op, SetValues)
    assert op.values == {
        "a": 5, "b": -1.5, "c": True, "d": "yes", "e": "007", "f": "10:30", "g": "5", "h": ".inf", "i": "2025-01-01",
        "j": "0x10", "k": "gold",
    }  # fmt: skip


def rules_of(source: str) -> tuple[Rules, str]:
    report = Report("rules.yaml")
    return read_rules(source, report, Rules()), render(report.problems)


def test_rules_are_put_over_the_limits() -> None:
    rules, problems = rules_of(
        "languages: [hi, en]\ndefault_language: hi\nwords: {menu: [Menü, मेनू]}\n"
        "texts: {offer: {hi: अ}, apology: Sorry}\n"
        "hours: {zone: Asia/Kolkata, mon: ['14:00-24:00', '9:00-13:00'], sun: []}"
    )
    assert problems == ""
    assert (rules.languages, rules.default_language) == (("hi", "en"), "hi")
    assert rules.words["menu"] == ("menu", "मेनू")
    assert rules.words["stop"] == ("stop",)
    assert rules.texts["offer"] == {"en": DEFAULT_TEXTS["offer"]["en"], "hi": "अ"}
    assert rules.texts["apology"] == {"": "Sorry"}
    assert rules.hours.zone == ZoneInfo("Asia/Kolkata")
    assert rules.hours.days == {0: ((540, 780), (840, 1440)), 6: ()}


@pytest.mark.parametrize(
    ("source", "line", "part"),
    [
        ("- a", 1, "must hold a mapping"),
        ("language: en", 1, "did you mean 'languages'?"),
        ("languages: [english]", 1, "not a language code"),
        ("languages: [en]\ndefault_language: hi", 2, "not among 'languages'"),
        ("words: {stopp: [a]}", 1, "did you mean 'stop'?"),
        ("words: {menu: []}", 1, "list of texts"),
        ("words:\n  menu: [a]\n  agent: [A!]", 3, "'a' stands for 'menu' and for 'agent'"),
        ("texts: {apologies: a}", 1, "did you mean 'apology'?"),
        (f"texts:\n  list_button: {'x' * 21}", 2, "WhatsApp takes 20"),
        (f"persona: {'x' * (PERSONA_LIMIT + 1)}", 1, "keep it under"),
        ("hours: {zone: Asia/Bombay2}", 1, "there is no time zone"),
        ("hours: {zone: ../../etc/passwd}", 1, "there is no time zone"),
        ("hours: {monday: ['9:00-10:00']}", 1, "did you mean 'mon'?"),
        ("hours:\n  mon: ['9-10']", 2, "not an opening"),
        ("hours:\n  mon: ['9:00-10:60']", 2, "not an opening"),
        ("hours:\n  mon: ['22:00-06:00']", 2, "must end after it starts"),
        ("hours:\n  mon: ['22:00-24:01']", 2, "must end after it starts"),
        ("hours: 9", 1, "must be a mapping"),
        ("remind: 9", 1, "'remind' must be a mapping"),
        ("remind:\n  text: Hm", 2, "needs 'after'"),
        ("remind:\n  text: Hm\n  after: soon", 3, "whole number from 1 to 82800"),
        ("no_agent: 9", 1, "must be a mapping"),
        ("no_agent:\n  after: 90", 2, "needs 'text'"),
        ("no_agent:\n  after: 0\n  text: Hm", 2, "whole number from 1 to 82800"),
        ("no_agent:\n  after: 9\n  text: Hm\n  then: close", 4, "use one of: return_to_bot, wait"),
        ("no_agent: {after: 9, text: Hm, otherwise: wait}", 1, "has no key 'otherwise'"),
    ],
)
def test_a_fault_of_the_rules_is_told_with_its_line(source: str, line: int, part: str) -> None:
    _, problems = rules_of(source)
    assert problems.startswith(f"rules.yaml:{line}: error: ")
    assert part in problems


def test_a_language_that_the_own_texts_of_the_bot_lack_is_a_warning() -> None:
    _, problems = rules_of("persona: x\nlanguages: [en, ta]\ntexts: {offer: {ta: o}, apology: a}")
    assert problems.startswith("rules.yaml:2: warning: the bot's own texts are missing in 'ta': person_button, ")


def test_silences_have_their_rules() -> None:
    rules, problems = rules_of(
        "languages: [en]\nremind: {after: 60, text: Hm}\nno_agent: {after: 90, text: {en: Wait}, then: return_to_bot}"
    )
    assert problems == ""
    assert rules.remind == Reminder(after=60, text={"": "Hm"})
    assert rules.no_agent == NoAgent(after=90, text={"en": "Wait"}, then="return_to_bot")
    rules, problems = rules_of("languages: [en]\nno_agent: {after: 90, text: Wait}")
    assert rules.no_agent == NoAgent(after=90, text={"": "Wait"}, then="wait")
    assert (rules.remind, problems) == (None, "")


def test_a_step_says_what_it_has_to_say_of_a_silence() -> None:
    asks = "flow_id: f\nsteps: [{id: a, type: input, text: A, variable: v%s}, {id: b, type: escalate}]"
    steps = [compile_source(asks % remind).ops[0] for remind in ("", ", remind: none", ", remind: {after: 5, text: B}")]
    assert [getattr(step, "remind", None) for step in steps] == ["default", "none", Reminder(after=5, text={"": "B"})]


def test_broken_rules_refuse_the_set(tmp_path: Path) -> None:
    write(tmp_path, f=GOOD.format("f"), rules="hours: 9")
    assert load_book(tmp_path, Rules()).book is None


def test_empty_rules_or_hours_without_days_change_nothing_else() -> None:
    rules, problems = rules_of("hours: {zone: Asia/Kolkata}")
    assert (rules.hours.days, problems) == ({}, "")
    assert msgspec.structs.replace(rules, hours=Rules().hours) == Rules()


@given(st.text(st.characters(categories=["L", "N", "P", "Z", "Cc"]), max_size=80))
def test_any_text_is_a_flow_or_has_errors(source: str) -> None:
    report = Report("f.yaml")
    compiled = compile_flow(source, report).compiled
    assert (compiled is None) == has_errors(report.problems)


def test_the_schema_on_disk_is_that_of_the_language() -> None:
    if UPDATE:
        SCHEMA_FILE.write_text(render_schema(), encoding="utf-8")
    assert SCHEMA_FILE.read_text(encoding="utf-8") == render_schema()


def test_the_schema_takes_the_sample_flows_and_refuses_what_the_check_refuses() -> None:
    schema = orjson.loads(SCHEMA_FILE.read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    samples = list(FLOWS.glob("[!r]*.yaml"))
    assert len(samples) == 3
    for path in samples:
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# yaml-language-server: $schema=flow.schema.json\n")
        assert validator.is_valid(yaml.safe_load(text))
    for bad in (
        "{}",
        "flow_id: f",
        "flow_id: f\nsteps: [{id: a, type: x}]",
        "flow_id: f\nsteps: [{id: a, type: end, x: 1}]",
    ):
        assert not validator.is_valid(yaml.safe_load(bad))


def test_the_schema_and_the_check_know_the_same_types_and_keys() -> None:
    schema = orjson.loads(render_schema())
    kinds = schema["$defs"]

    def keys(variants: dict[str, list[dict[str, dict[str, dict[str, str]]]]]) -> dict[str, set[str]]:
        return {
            variant["properties"]["type"]["const"]: set(variant["properties"]) - {"type"}
            for variant in variants["oneOf"]
        }

    assert set(schema["properties"]) == set(FLOW_KEYS)
    assert keys(kinds["step"]) == {name: set(found) for name, found in STEP_KEYS.items()}
    assert keys(kinds["trigger"]) == {name: set(found) for name, found in TRIGGER_KEYS.items()}
    assert set(kinds["reply"]["properties"]) == set(REPLY_KEYS)
    assert set(kinds["reply"]["properties"]["action"]["enum"]) == set(ACTION_KEYS)
    assert set(kinds["validate"]["properties"]) == set(VALIDATE_KEYS)
    assert flow_schema()["additionalProperties"] is False
