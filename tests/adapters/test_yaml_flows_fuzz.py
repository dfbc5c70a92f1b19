"""Flow files gone wrong, and files made to harm: each is judged within bounds and never raises, and what is accepted
runs whatever customers write.
"""

import resource
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.yaml_flows.loading import load_book
from bot.adapters.yaml_flows.problems import has_errors, render
from bot.core.book import Book, Rules
from bot.core.effects import SendMessage
from bot.core.messages import Buttons, Inbound, ListMenu, Tap, Text
from tests.core.talking import Talk
from tests.fuzzing import bounded
from tests.wire.mutations import mutated

FLOWS = Path(__file__).parents[2] / "flows"
SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FLOWS.glob("*.yaml"))}
DOCUMENTS = [yaml.safe_load(source) for source in SOURCES.values()]
SECONDS = 5.0
"""Processor time that judging one file may take; the worst that we know of takes half of it."""
MEMORY = 300 << 20
"""Bytes that no file makes the process grow by."""

NONSENSE = (
    *("~", "yes", "0x10", "007", "1_0", "-0", "1e400", ".nan", "-.inf", "9" * 5000, "2025-01-01", "10:30", "''", '" "'),
    *("&a [1]", "*a", "!!python/object/apply:os.system [id]", "!!binary aGk=", "!!int x", "! x", "<<", "? a", "|-\n x"),
    *("[" * 60 + "]" * 60, "{a: " * 39 + "1" + "}" * 39, "[]", "{}", "'" + "x" * 5000 + "'"),
    *('"\\ud800"', '"\\0"', '"\\u202e"'),
    *("'(a+)+$'", "'[a-'", "'(?=a)'", "'a{1000}{1000}'", "'\\d{6}'", "'.*'", "''''", "'user.x.y == 1'", "'1/0 == 1'"),
    *("'a'.matches('b')", "'[1].all(x, x > user)'", "'order_id == \"1\" && '", "goto", "human", "escalate", "support"),
    *("'{order_id} {{x}} {'", "{en: a, hi: b}", "{en: ''}", "true", "quick_replies", "end", "model", "input", "none"),
)  # fmt: skip
NAMES = (
    *("id", "type", "text", "steps", "else_steps", "replies", "target", "action", "validate", "pattern", "condition"),
    *("variable", "values", "flow_id", "version", "triggers", "attempts", "remind", "hours", "words", "language", ""),
)
LINES = st.sampled_from([line for source in SOURCES.values() for line in source.splitlines()])


@st.composite
def edited(draw: st.DrawFn) -> str:
    """A sample as somebody in a hurry leaves it: lines gone, doubled, moved in and out, or from elsewhere."""
    lines = draw(st.sampled_from(list(SOURCES.values()))).splitlines()
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(lines) - 1))
        change = draw(st.sampled_from(("delete", "double", "indent", "outdent", "insert", "cut")))
        line = lines[place]
        lines[place : place + 1] = {
            "delete": [],
            "double": [line, line],
            "indent": ["  " + line],
            "outdent": [line[2:] if line.startswith("  ") else line],
            "insert": [line, draw(LINES)],
            "cut": [line[: draw(st.integers(0, len(line)))]],
        }[change] or [""]
    return "\n".join(lines)


messages: st.SearchStrategy[Inbound | int] = (
    st.integers(0, 9)
    | st.text(max_size=30).map(lambda text: Text(text=text))
    | st.sampled_from(
        (
            *("482913", "order 482913", "refund", "1", "agent", "menu", "STOP", "START", "hi", "मदद", "a@b.example"),
            *("{order_id}", "{{order_id}}", "{", "{user_name", "${7*7}", "{{7*7}}", "%s%n", "' || true || '"),
            *("user.phone == ''", "size(user) > 0", "\\d{6}", "(a+)+$", "\0", "\u202e", "a" * 5000, " ", "1e400"),
        )
    ).map(lambda text: Text(text=text))
)  # fmt: skip
talks = st.lists(messages, min_size=1, max_size=12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("flows")
    for name, source in SOURCES.items():
        (made / f"{name}.yaml").write_text(source, encoding="utf-8")
    return made


def judged(folder: Path, name: str, source: bytes) -> Book | None:
    """The book of the samples with one file in place of its own; it was judged within the bounds."""
    began = time.process_time()
    (folder / f"{name}.yaml").write_bytes(source)
    try:
        loaded = load_book(folder, Rules(quiet_moment=0.0))
    finally:
        (folder / f"{name}.yaml").write_text(SOURCES[name], encoding="utf-8")
    assert time.process_time() - began < SECONDS
    assert (loaded.book is None) == has_errors(loaded.problems)
    assert render(loaded.problems).encode() or not loaded.problems
    return loaded.book


def talked(book: Book, said: list[Inbound | int]) -> None:
    """Nothing that a customer says makes a step raise; a number taps what was offered last."""
    talk = Talk(book)
    for one in said:
        if talk.state.asking is not None and talk.state.asking.ask_id:
            talk.answered("Yes {order_id}.")
        talk.hear(_tapped(talk, one) if isinstance(one, int) else one)


def _tapped(talk: Talk, place: int) -> Inbound:
    offered: list[Tap] = []
    for effect in talk.effects:
        match effect:
            case SendMessage(content=Buttons(buttons=buttons)):
                offered = [Tap(id=button.id, title=button.title) for button in buttons]
            case SendMessage(content=ListMenu(rows=rows)):
                offered = [Tap(id=row.id, title=row.title) for row in rows]
            case _:
                pass
    return offered[place % len(offered)] if offered else Text(text=str(place))


@bounded(80)
@given(source=mutated(DOCUMENTS, NONSENSE, NAMES), name=st.sampled_from(list(SOURCES)), said=talks)
def test_a_flow_gone_wrong_is_judged_and_one_that_is_accepted_runs(
    folder: Path, source: str, name: str, said: list[Inbound | int]
) -> None:
    book = judged(folder, name, source.encode("utf-8", "surrogatepass"))
    if book is not None:
        talked(book, said)


@bounded(60)
@given(source=edited(), name=st.sampled_from(list(SOURCES)), said=talks)
def test_a_flow_edited_in_a_hurry_is_judged_and_one_that_is_accepted_runs(
    folder: Path, source: str, name: str, said: list[Inbound | int]
) -> None:
    book = judged(folder, name, source.encode())
    if book is not None:
        talked(book, said)


@bounded(40)
@given(source=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_judged(folder: Path, source: bytes) -> None:
    judged(folder, "support", source)


@bounded(40)
@given(said=talks)
def test_the_sample_flows_take_whatever_customers_write(said: list[Inbound | int]) -> None:
    book = load_book(FLOWS, Rules(quiet_moment=0.0)).book
    assert book is not None
    talked(book, said)


STEP = "flow_id: f\nsteps:\n- {id: e, type: escalate}\n"
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def steps(written: str, count: int) -> str:
    """A flow of `count` times these steps, with a number in place of N and the next one in place of M."""
    return "flow_id: f\nsteps:\n" + "".join(
        written.replace("N", str(number)).replace("M", str(number + 1)) for number in range(count)
    )


def condition(expression: str) -> str:
    return f"flow_id: f\nsteps:\n- id: c\n  type: conditional\n  condition: {expression}\n  steps: []\n"


HARMFUL: dict[str, str] = {
    "a billion laughs": LAUGHS,
    "an alias of itself": "a: &a [*a]\n",
    "a merge": "a: &a {b: c}\nd: {<<: *a}\n",
    "a tag that runs a program": "flow_id: !!python/object/apply:os.system ['echo harm']\nsteps: []\n",
    "a tag that makes an object": "flow_id: !!python/object:bot.config.Settings {}\nsteps: []\n",
    "a tag nobody knows": "flow_id: !harm x\nsteps: !!set {a, b}\n",
    "a key that is a list": "? [a, b]\n: c\n",
    "a key that is a mapping": "? {a: b}\n: c\n",
    "a key twice": STEP + "flow_id: g\n",
    "keys that are numbers": "1: a\n1.0: b\n~: c\ntrue: d\n",
    "a huge number": f"flow_id: f\nversion: {'9' * 100_000}\nsteps: []\n",
    "a huge number in other digits": f"flow_id: f\nversion: 0x{'f' * 100_000}\nsteps: []\n",
    "not a number": "flow_id: f\nversion: .nan\npriority: -.inf\nsteps: []\n",
    "a time": "flow_id: 2001-12-14t21:59:43.10-05:00\nversion: 2001-01-01\nsteps: []\n",
    "an impossible time": steps("- {id: s, type: set, values: {a: 2001-99-99}}\n", 1),
    "deep lists": "a: " + "[" * 100_000,
    "deep mappings": "".join(" " * depth + "a:\n" for depth in range(600)),
    "deep steps": "flow_id: f\nsteps: " + "[{id: a, type: conditional, condition: a, steps: " * 15 + "[]" + "}]" * 15,
    "many documents": "---\n" * 10_000,
    "many keys": "".join(f"k{number}: x\n" for number in range(12_000)),
    "many steps": steps("- {id: sN, type: message, text: x}\n", 2500),
    "many jumps": steps("- {id: sN, type: goto, target: sM}\n", 2500),
    "many jumps to nowhere": steps("- {id: sN, type: goto, target: tN}\n", 3000),
    "many variables": steps("- {id: sN, type: set, values: {vN: '{wN}'}}\n", 2000),
    "many ways back": steps(
        "- {id: sN, type: set, values: {vN: x}}\n"
        "- {id: cN, type: conditional, condition: a, steps: [{id: tN, type: goto, target: s0}]}\n",
        700,
    ),
    "a long line": "flow_id: " + "x" * 250_000,
    "a long expression": condition("a && " * 40_000 + "a"),
    "a deep expression": condition('"' + "(" * 20_000 + '"'),
    "a hungry expression": condition('"[1,2,3].all(x, [1,2,3].all(y, true))"'),
    "a hungry pattern": "flow_id: f\ntriggers: [{type: pattern, value: '((a{100}){100}){100}'}]\n" + STEP[11:],
    "a directive": "%YAML 9.9\n%TAG ! tag:harm,2000:\n---\n" + STEP,
    "a zero byte": "flow_id: \0\n",
    "another alphabet": STEP.encode("utf-16").decode("latin-1"),
    "a line's end that is none": STEP.replace("\n", "\x85"),
    "too large": "# " + "x" * 300_000,
}


@pytest.mark.parametrize("what", HARMFUL)
def test_a_file_made_to_harm_is_judged_within_bounds(
    folder: Path, what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    judged(folder, "support", HARMFUL[what].encode("utf-8", "surrogatepass"))
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MEMORY
    assert capfd.readouterr().out == ""


def test_yaml_is_read_by_safe_loaders_alone() -> None:
    """No code of ours names a loader that could make objects."""
    sources: dict[str, Any] = {
        str(path): path.read_text(encoding="utf-8") for path in (FLOWS.parent / "bot").rglob("*.py")
    }
    named = {name for name, text in sources.items() if "yaml." in text or "import yaml" in text}
    for name in named:
        for harmful in ("yaml.load(", "UnsafeLoader", "FullLoader", "yaml.Loader", "unsafe_load", "full_load"):
            assert harmful not in sources[name], f"{name} has {harmful}"
